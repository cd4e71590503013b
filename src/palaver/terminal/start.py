"""Starts the chat: decides how it is painted and gets the engine's process going first.

Imports as little as it can before the prompt is drawn.
"""

from __future__ import annotations

import sys
from typing import Any

from palaver.config import environment, settings


def run(flags: dict[str, Any]) -> int:
    """Run the chat until the user leaves; returns the exit code. Raises PalaverError."""
    from palaver.config import paths
    from palaver.engines.child.prespawn import Prespawned

    names = settings.keys()
    given = {name: value for name, value in flags.items() if name in names}
    chosen = settings.load(**given)
    waiting = None
    if not chosen.llama_server:
        waiting = Prespawned.start(paths.state_dir(), environment.engine_environment())
    try:
        if _full_terminal(flags):
            from palaver.terminal.app import run_app

            return run_app(chosen, flags, waiting)
        from palaver.terminal.plain import run_plain

        return run_plain(chosen, flags, waiting)
    finally:
        if waiting:
            waiting.kill()


def _full_terminal(flags: dict[str, Any]) -> bool:
    """Say whether the terminal can be redrawn: a real one, not asked to be plain."""
    if flags.get("plain") or environment.dumb_terminal():
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()
