"""Starts the chat: decides how it is painted and gets the engine's process going first.

Imports as little as it can before the prompt is drawn.
"""

from __future__ import annotations

import sys
from typing import Any

from palaver.config import environment, settings
from palaver.core.errors import UserError


def run(flags: dict[str, Any]) -> int:
    """Run the chat until the user leaves; returns the exit code. Raises PalaverError."""
    from palaver.config import paths
    from palaver.engines.child.prespawn import Prespawned

    names = settings.keys()
    given = {name: value for name, value in flags.items() if name in names}
    chosen = settings.load(**given)
    program = _program(chosen)
    waiting = None
    if program:
        waiting = Prespawned.start(paths.state_dir(), environment.engine_environment(), program)
    try:
        if _full_terminal(flags):
            from palaver.terminal.app import run_app

            return run_app(chosen, flags, waiting)
        from palaver.terminal.plain import run_plain

        return run_plain(chosen, flags, waiting)
    finally:
        if waiting:
            waiting.kill()


def _program(chosen: settings.Settings) -> tuple[str, ...]:
    """Return what to start while the prompt is drawn; nothing where that would be for nothing.

    Raises UserError for an engine that is not there.
    """
    from palaver.engines.child.prespawn import LLAMA_CPP

    if chosen.engine:
        from palaver.engines.registry import find

        kind = find(chosen.engine)
        kind.check()
        elsewhere = bool(kind.attached and chosen.endpoint)
        return () if elsewhere or kind.name == "llama-server" else kind.program
    if chosen.llama_server or chosen.endpoint:
        return ()
    if chosen.model is None or chosen.model.endswith(".gguf"):
        return LLAMA_CPP
    from palaver.launch import kind_of

    try:
        return kind_of(chosen).program
    except UserError:  # the chat says it, where another model can be named
        return ()


def _full_terminal(flags: dict[str, Any]) -> bool:
    """Say whether the terminal can be redrawn: a real one, not asked to be plain."""
    if flags.get("plain") or environment.dumb_terminal():
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()
