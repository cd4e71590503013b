"""Count the context exactly, by part."""

from __future__ import annotations

from palaver.terminal.command import Command
from palaver.terminal.controller import Controller


async def run(chat: Controller, argument: str) -> None:
    """Ask the model's own tokenizer; the parts sum to the prompt of the next answer."""
    model = await chat.ready()
    count = await model.count(chat.conversation.view, chat.tooling.specs)
    width = max(len(name) for name, _ in count.parts)
    lines = [f"{name:<{width}}  {tokens:>7}" for name, tokens in count.parts]
    left = count.context - count.total
    lines.append(f"{'total':<{width}}  {count.total:>7} of {count.context}, {left} left")
    if left < 0:
        lines.append("it does not fit: /trim drops the oldest turns")
    chat.screen.page("\n".join(lines))


COMMAND = Command("/context", "Count what the context holds, exactly, by part.", run)
