"""Leave the chat."""

from __future__ import annotations

from palaver.terminal.command import Command, Leave
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Leave."""
    raise Leave


COMMAND = Command("/quit", "Leave; everything is kept.", run)
