"""Count the context by part, exactly where that can be told."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Show the parts of the next answer's prompt, and their sum; "~" marks what is estimated."""
    model = await chat.ready()
    count = await model.count(chat.conversation.view, chat.tooling.specs)
    width = max(len(name) for name, _ in count.parts)
    about = "" if count.exact else "~"
    rows = [*count.parts, ("total", count.total)]
    lines = [f"{name:<{width}}  {f'{about}{tokens}':>7}" for name, tokens in rows]
    if count.context is None:
        lines[-1] += "; how much fits is not known (--context says it)"
    else:
        left = count.context - count.total
        lines[-1] += f" of {count.context}, {about}{left} left"
        if left < 0:
            lines.append("it does not fit: /trim drops the oldest turns")
    chat.screen.page("\n".join(lines))


COMMAND = Command("/context", "Count what the context holds, by part.", run)
