"""Go on with a cut-off answer."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Prefill the answer's text and let the model go on."""
    await chat.carry_on()


COMMAND = Command("/continue", "Go on with an answer that was cut off or stopped.", run)
