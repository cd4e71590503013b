"""Shared by both front ends: what a line of input means, and what is said after an answer."""

from __future__ import annotations

from palaver.core.errors import PalaverError, UserError
from palaver.core.generation import Generation
from palaver.core.log import Row
from palaver.core.messages import Message
from palaver.core.model import Cost
from palaver.terminal import command
from palaver.terminal.command import Leave
from palaver.terminal.controller import Controller


async def handle(chat: Controller, line: str) -> None:
    """Do what a line asks for: a command, or something said. Errors are shown; Leave passes."""
    line = line.strip()
    if not line:
        return
    try:
        if line.casefold() in {word.casefold() for word in chat.settings.farewells}:
            raise Leave
        found = command.split(line)
        if found is None:
            await chat.say(command.said(line))
        else:
            name, argument = found
            await command.find(name).run(chat, argument)
    except PalaverError as error:
        chat.screen.error(error)
        if isinstance(error, UserError) and chat.waits_for_answer():
            chat.screen.note("nothing was answered: /retry asks again, /undo takes it back")


def after_answer(row: Row | None) -> str:
    """Return the line below an answer: tokens, speed, time to first token, reuse, how it ended."""
    if row is None or not isinstance(row.entry, Message):
        return "no answer"
    generation = row.generation
    endings = {"length": "cut off at the limit: /continue goes on", "cancelled": "stopped",
               "error": "broken off"}  # fmt: skip
    ending = endings.get(row.entry.stop or "end")
    parts = [ending] if ending else []
    if generation:
        parts += _figures(generation)
    return "  ".join(parts)


def _figures(generation: Generation) -> list[str]:
    t = generation.timings
    parts = [f"{t.decoded} tokens"]
    # The first token comes out of prefill: decode time is that of the others.
    if t.decoded > 1 and t.decode_seconds > 0:
        parts.append(f"{(t.decoded - 1) / t.decode_seconds:.1f} tokens/s")
    if t.ttft:
        parts.append(f"first after {seconds(t.ttft)}")
    parts.append(f"{t.reused} reused, {t.prefilled} read")
    if not generation.exact:
        parts.append("ids not exact")
    return parts


def next_cost(cost: Cost | None) -> str:
    """Return what the next turn will cost, for the status line."""
    if cost is None:
        return ""
    text = f"next: {cost.reused} reused, {cost.prefill} to read"
    if cost.seconds is not None:
        text += f" (~{seconds(cost.seconds)})"
    return f"{text}; {cost.broke}" if cost.broke else text


def seconds(value: float) -> str:
    """Write a duration so that it can be read at a glance."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min"
