"""Show what the conversation has cost."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.lines import after_answer
from palaver.terminal.words import plural, rate, seconds


async def run(chat: Controller, argument: str) -> None:
    """Sum up the answers on the path, and say how the last one came."""
    rows = [row for row in chat.conversation.rows if row.generation]
    if not rows:
        raise UserError("there is no answer yet")
    t = [row.generation.timings for row in rows if row.generation]
    decoded, decode = sum(x.decoded for x in t), sum(x.decode_seconds for x in t)
    read, reading = sum(x.prefilled for x in t), sum(x.prefill_seconds for x in t)
    reused = sum(x.reused for x in t)
    whole = max(reused + read, 1)
    about = "~" if any(x.guessed for x in t) else ""
    chat.screen.page(
        f"{plural(len(rows), 'answer')}, {about}{decoded} tokens in {seconds(decode)}"
        f" ({about}{rate(decoded, decode)})\n"
        f"prompts: {about}{whole} tokens, {about}{reused} reused ({100 * reused / whole:.0f} %),"
        f" {about}{read} read{_how_fast(read, reading)}\n"
        f"last answer: {after_answer(rows[-1]).replace('  ', ', ')}"
    )


def _how_fast(read: int, took: float) -> str:
    """Say how fast prompts were read; an endpoint does not tell."""
    return f" in {seconds(took)} ({rate(read, took)})" if took else ""


COMMAND = Command("/stats", "Show tokens, speed and reuse of this conversation.", run)
