"""Commands of the user's around every call: what they say before it runs, and of its result."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from palaver.core.errors import UserError
from palaver.core.log import FileChange
from palaver.core.messages import ToolCall, ToolResult
from palaver.core.process import Sandbox
from palaver.core.tool import Deny, Preview, Tool, ToolContext, ToolError, Verdict
from palaver.tools.guard import Guard
from palaver.tools.toolbox import Box, parsed

_KEYS = ("before", "after", "timeout")
_LONGEST = 2000  # characters of what a hook printed that a model is told
_FIX = 'as in: [hooks], before = ["my-check"], timeout = 10'


class Hooks(Struct, frozen=True):
    """Shell command lines that run before and after calls, each for `timeout` seconds at most."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    timeout: float = 10.0


def read_hooks(text: str, name: str) -> Hooks:
    """Read `[hooks]` of a config file's text; `name` is for messages. Raises UserError."""
    import tomllib

    try:
        table = tomllib.loads(text).get("hooks", {})
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{name}: {error}", fix="mend it with: palaver config edit") from None
    where = f"{name}: [hooks]"
    if not isinstance(table, dict) or not set(table) <= set(_KEYS):
        raise UserError(f"{where} takes {', '.join(_KEYS)} and nothing else", fix=_FIX)
    lines: dict[str, tuple[str, ...]] = {}
    for key in ("before", "after"):
        found = table.get(key, [])
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not all(isinstance(v, str) and v.strip() for v in found):
            raise UserError(f"{where}: {key} must be a list of command lines", fix=_FIX)
        lines[key] = tuple(found)
    timeout = table.get("timeout", 10)
    if type(timeout) not in (int, float) or not 0 < timeout < 3600:
        raise UserError(f"{where}: timeout must be a number of seconds, up to an hour", fix=_FIX)
    return Hooks(**lines, timeout=timeout)


class HookedBox(Box):
    """Tools with hooks: what is judged, shown and run is a call as the hooks left it."""

    def __init__(
        self,
        tools: Sequence[Tool],
        guard: Guard | None,
        sandbox: Sandbox | None,
        *,
        hooks: Hooks,
        root: Path,
        environment: Mapping[str, str],
    ) -> None:
        """Hooks run in the folder `root`, outside of any sandbox: they are the user's own."""
        super().__init__(tools, guard, sandbox)
        self._hooks = hooks
        self._root = root
        self._environment = environment
        self._seen: dict[ToolCall, ToolCall | Deny] = {}

    async def prepare(self, calls: Sequence[ToolCall]) -> None:
        """Run the hooks that come before calls, once for each while it is open."""
        self._seen = {call: seen for call, seen in self._seen.items() if call in calls}
        for call in calls:
            if call not in self._seen and self.unfit(call) is None:
                self._seen[call] = await self._before(call)

    def judge(self, call: ToolCall) -> Verdict:
        """Say whether a call may run as the hooks left it."""
        seen = self._seen.get(call, call)
        return seen if isinstance(seen, Deny) else super().judge(seen)

    async def preview(self, call: ToolCall, ctx: ToolContext) -> Preview:
        """Return what the call that the hooks left would do."""
        seen = self._left(call)
        preview = await super().preview(seen, ctx)
        if seen == call:
            return preview
        return structs.replace(preview, notes=(*preview.notes, "a hook changed the arguments"))

    async def changes(self, call: ToolCall, ctx: ToolContext) -> tuple[FileChange, ...]:
        """Return what the call that the hooks left will make of files."""
        seen = self._seen.get(call, call)
        return () if isinstance(seen, Deny) else await super().changes(seen, ctx)

    def remember(self, call: ToolCall, *, always: bool) -> str | None:
        """Allow the call that the hooks left from now on."""
        return super().remember(self._left(call), always=always)

    async def run(self, call: ToolCall, ctx: ToolContext) -> ToolResult:
        """Run a call as the hooks left it; then those that come after see its result."""
        if call not in self._seen:
            return ToolResult(call.id, call.name, "not run: the hooks did not see it", failed=True)
        try:
            seen = self._left(call)
        except ToolError as error:
            return ToolResult(call.id, call.name, str(error), failed=True)
        result = await self._after(seen, await super().run(seen, ctx))
        if seen == call:
            return result
        said = f"(a hook had changed the arguments to {seen.arguments})"
        return structs.replace(result, text=f"{result.text.removesuffix(chr(10))}\n{said}")

    def _left(self, call: ToolCall) -> ToolCall:
        seen = self._seen.get(call, call)
        if isinstance(seen, Deny):
            raise ToolError(seen.reason)
        return seen

    async def _before(self, call: ToolCall) -> ToolCall | Deny:
        try:
            for line in self._hooks.before:
                said = await self._ask(line, self._about("before", call), "arguments", dict)
                if said is not None:
                    call = structs.replace(call, arguments=json.dumps(said, ensure_ascii=False))
                    if wrong := self.unfit(call):
                        raise ToolError(f"the hook `{line}` made a wrong call: {wrong.reason}")
        except ToolError as error:
            return Deny(f"not run: {error}")
        return call

    async def _after(self, call: ToolCall, result: ToolResult) -> ToolResult:
        try:
            for line in self._hooks.after:
                about = self._about("after", call)
                about |= {"result": result.text, "failed": result.failed}
                said = await self._ask(line, about, "result", str)
                if said is not None:
                    result = structs.replace(result, text=said)
        except ToolError as error:
            return structs.replace(
                result, text=f"it ran, but its result is withheld: {error}", failed=True
            )
        return result

    def _about(self, event: str, call: ToolCall) -> dict[str, Any]:
        what = {"event": event, "id": call.id, "tool": call.name}
        return {**what, "arguments": parsed(call), "folder": str(self._root)}

    async def _ask(self, line: str, about: dict[str, Any], key: str, kind: type) -> Any:
        """Run a hook; return what it puts in the place of `key`, None for nothing.

        Raises ToolError where it forbids, and where it fails in any way.
        """
        code, out, err = await self._run_line(line, json.dumps(about))
        if code:
            reason = (err.strip() or out.strip())[-_LONGEST:] or f"exit code {code}"
            raise ToolError(f"the hook `{line}` says no: {reason}")
        if not out.strip():
            return None
        try:
            said = json.loads(out)
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict) and isinstance(said.get("deny"), str):
            raise ToolError(f"the hook `{line}` says no: {said['deny']}")
        if not isinstance(said, dict) or not said.keys() <= {key}:
            what = f'{{"deny": "..."}} or {{"{key}": ...}}'
            raise ToolError(f"the hook `{line}` printed something other than {what}")
        if key in said and not isinstance(said[key], kind):
            raise ToolError(f"the hook `{line}` gave {key} of a wrong type")
        return said.get(key)

    async def _run_line(self, line: str, given: str) -> tuple[int, str, str]:
        """Return a hook's exit code and what it printed; all that it started ends with it."""
        try:
            process = self._start(line)
        except OSError as error:
            raise ToolError(f"the hook `{line}` can't be started: {error.strerror}") from None

        def wait() -> tuple[bytes, bytes]:
            with process:
                try:
                    return process.communicate(given.encode(), self._hooks.timeout)
                finally:
                    _end(process.pid)

        try:
            out, err = await asyncio.to_thread(wait)
        except subprocess.TimeoutExpired:
            seconds = f"{self._hooks.timeout:g} seconds"
            raise ToolError(f"the hook `{line}` took longer than {seconds}") from None
        except asyncio.CancelledError:
            _end(process.pid)  # then the thread ends, too
            raise
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def _start(self, line: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["/bin/sh", "-c", line], cwd=self._root, env=self._environment,
            start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
