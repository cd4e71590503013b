"""Shared by both front ends: what a line of input means, and what is said after an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver.core.errors import PalaverError, StoreError, UserError
from palaver.core.generation import Generation
from palaver.core.log import Row
from palaver.core.messages import Message
from palaver.terminal import command, offers
from palaver.terminal.command import Leave
from palaver.terminal.words import plural, rate, seconds

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller

UNANSWERED = "nothing was answered", "/retry asks again, /undo takes it back"
GO_ON = "/continue goes on"
_ENDINGS = {"length": "cut off at the limit", "cancelled": "stopped", "error": "broken off"}


async def handle(chat: Controller, line: str) -> None:
    """Do what a line asks for: a command, or something said. Errors are shown; Leave passes."""
    line = line.strip()
    if not line:
        return
    found = command.split(line)
    stood = chat.conversation.rows[-1:]
    try:
        if _leaves(chat, line):
            raise Leave
        if found is None:
            await chat.say(command.said(line))
        else:
            name, argument = found
            await command.find(name).run(chat, argument)
        await offers.put(chat)
    except PalaverError as error:
        chat.screen.error(error)
        if isinstance(error, StoreError) and chat.conversation.rows[-1:] == stood:
            chat.screen.offer(line)  # nothing of it was kept
        tried = found is None or found[0] in ("retry", "edit", "continue")
        if tried and isinstance(error, UserError) and chat.waits_for_answer():
            chat.screen.advise(*chat.tooling.unanswered())


def spoken(chat: Controller, line: str) -> str | None:
    """Return what a line says to the model; None for one that does something else."""
    line = line.strip()
    return None if command.split(line) or _leaves(chat, line) else command.said(line)


def _leaves(chat: Controller, line: str) -> bool:
    return line.casefold() in {word.strip().casefold() for word in chat.settings.farewells}


def after_answer(row: Row | None) -> str:
    """Return the line below an answer: tokens, speed, time to first token, reuse, how it ended.

    Empty where nothing came.
    """
    if row is None or not isinstance(row.entry, Message):
        return ""
    generation = row.generation
    ending = how_it_ended(row)
    parts = [f"{ending}: {GO_ON}"] if ending else []
    if generation:
        parts += _figures(generation)
    return "  ".join(parts)


def how_it_ended(row: Row | None) -> str:
    """Say how an answer ended, where it is not whole."""
    if row is None or not isinstance(row.entry, Message):
        return ""
    return _ENDINGS.get(row.entry.stop or "end", "")


def _figures(generation: Generation) -> list[str]:
    t = generation.timings
    about = "~" if t.guessed else ""
    parts = [f"{about}{plural(t.decoded, 'token')}"]
    # The first token comes out of prefill: decode time is that of the others.
    if t.decoded > 1 and t.decode_seconds > 0:
        parts.append(about + rate(t.decoded - 1, t.decode_seconds))
    if t.ttft:
        parts.append(f"first after {seconds(t.ttft)}")
    parts.append(f"{about}{t.reused} reused, {about}{t.prefilled} read")
    if generation.added and not generation.exact:
        parts.append("ids not exact")
    return parts
