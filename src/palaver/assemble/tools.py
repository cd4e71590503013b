"""From settings to tools, and to what judges, confines and surrounds their calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.chat.calls import done_calls, open_calls
from palaver.chat.work import Workshop
from palaver.config import environment, paths
from palaver.config.settings import Settings, config_file, config_text
from palaver.core.errors import UserError
from palaver.core.log import CallStarted, Notice, Row
from palaver.core.model import Opened
from palaver.core.tool import Tool
from palaver.tools import chosen
from palaver.tools.consent import PRESETS, Rules, read_rules
from palaver.tools.consent.trust import STORE, project_rules
from palaver.tools.guard import Guard
from palaver.tools.toolbox import NAMES, Box, load

if TYPE_CHECKING:
    from palaver.tools.hooks import Hooks
    from palaver.tools.sandbox.policy import Kind
    from palaver.tools.sandbox.sandbox import OpenSandbox

PRINTED = "what your own commands printed"


def open_guard(
    root: Path, *, preset: str | None, asks: Callable[[], bool], sandboxed: bool
) -> Guard:
    """Make what judges calls, by the rules of the user's config. Raises UserError.

    `preset` takes the place of the config's; `asks` says whether somebody can be asked.
    """
    if preset is not None and preset not in PRESETS:
        raise UserError(f"there is no preset {preset!r}", fix=f"one of {', '.join(PRESETS)}")
    config = config_file()
    own = read_rules(config_text(), str(config))
    project, note = project_rules(root, paths.data_dir() / STORE)
    chosen = next((one for one in PRESETS if one == preset), own.preset)
    rules = Rules(chosen, (*project, *own.rules))  # the last that fits counts: the user's own
    return Guard(rules, root, config=config, asks=asks, sandboxed=sandboxed, note=note)


def hear(guard: Guard, rows: Sequence[Row], tools: str) -> None:
    """Let a guard know what a conversation that is gone on with has read."""
    guard.begin()
    specs = {tool.spec.name: tool.spec for tool in (*load(NAMES), *chosen.tools(tools))}
    if any(isinstance(row.entry, Notice) and row.entry.kind == "exec" for row in rows):
        guard.taint(PRINTED)
    for call in done_calls(rows):
        if call.name in specs:
            guard.learn(call, specs[call.name], network=False)


def cut_patches(rows: Sequence[Row]) -> set[Path]:
    """Return the folders in which a call of apply_patch was under way when the program ended."""
    cut = {call.call.id for call in open_calls(rows) if call.call.name == "apply_patch"}
    begun = [row.entry for row in rows if isinstance(row.entry, CallStarted)]
    return {Path(entry.root) for entry in begun if entry.root and entry.call_id in cut}


def open_hooks() -> Hooks | None:
    """Read which commands the user wants run around calls. Raises UserError."""
    text = config_text()
    if "hooks" not in text:
        return None
    from palaver.tools.hooks import read_hooks

    hooks = read_hooks(text, str(config_file()))
    return hooks if hooks.before or hooks.after else None


def open_sandbox(root: Path, *, kind: Kind = "auto") -> OpenSandbox:
    """Make the sandbox that programs of a session run in; "none" is no sandbox at all."""
    from palaver.tools.sandbox import sandbox
    from palaver.tools.sandbox.policy import Policy

    hidden = (paths.config_dir(), paths.data_dir(), paths.state_dir())
    policy = Policy(root, hidden=hidden)
    return sandbox.open_sandbox(policy, environment=environment.everything(), kind=kind)


def open_box(
    tools: Sequence[Tool],
    root: Path,
    guard: Guard | None = None,
    sandbox: OpenSandbox | None = None,
    hooks: Hooks | None = None,
) -> Box:
    """Put tools together with what is around their calls; `hooks` run in the folder `root`."""
    if hooks is None:
        return Box(tools, guard, sandbox)
    from palaver.tools.hooks import HookedBox

    everything = environment.everything()
    return HookedBox(tools, guard, sandbox, hooks=hooks, root=root, environment=everything)


def workshop(
    settings: Settings,
    model: Opened | None,
    root: Path,
    guard: Guard,
    sandbox: OpenSandbox | None = None,
    hooks: Hooks | None = None,
) -> Workshop:
    """Make the tools that are on for a model, working in `root`; none where there is no model.

    Raises UserError for a tool that can't be had.
    """
    tools = chosen.tools(settings.tools, knows=model.info.tools) if model else []
    box = open_box(tools, root, guard, sandbox, hooks)
    context = model.info.context if model else None
    return Workshop(box, root, settings.max_tool_rounds, context)
