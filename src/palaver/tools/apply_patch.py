"""Changes files by a patch, all of them or none."""

from __future__ import annotations

import asyncio
from typing import Any

from palaver.core.tool import Changed, ToolContext, ToolError, ToolSpec
from palaver.tools.patch import PatchError, Plan, apply, plan, unified


class ApplyPatch:
    """The tool `apply_patch`."""

    spec = ToolSpec(
        "apply_patch",
        "Add, change, move or delete files: *** Begin Patch, sections (*** Add File: PATH with"
        " +lines; *** Delete File: PATH; *** Update File: PATH, perhaps *** Move to: PATH, with"
        " hunks: @@ a line above, then lines that begin with a space, - or +), *** End Patch.",
        {
            "type": "object",
            "properties": {"patch": {"type": "string"}},
            "required": ["patch"],
        },
    )

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Apply the patch; the answer has a line for each file."""
        planned = await _planned(arguments, ctx)
        try:
            # Not on a thread: nothing can come between the change and its result.
            return apply(planned)
        except PatchError as error:
            raise ToolError(f"error: {error}") from None

    async def changes(self, arguments: dict[str, Any], ctx: ToolContext) -> list[Changed]:
        """Return what each file holds before and after."""
        planned = await _planned(arguments, ctx)
        return [(change.path, change.old, change.new) for change in planned.changes]

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        """Return the diff, with what fitted only loosely above it."""
        planned = await _planned(arguments, ctx)
        return "\n".join([*planned.said, *planned.notes, unified(planned)])


async def _planned(arguments: dict[str, Any], ctx: ToolContext) -> Plan:
    try:
        planned = await asyncio.to_thread(plan, ctx.root, str(arguments["patch"]))
    except PatchError as error:
        raise ToolError(f"error: {error}") from None
    for line in planned.restored:
        ctx.emit(f"{line}\n")
    return planned


TOOL = ApplyPatch()
