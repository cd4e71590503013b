"""Which range of a rendered conversation each message takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from palaver.core.errors import UserError
from palaver.core.messages import Message, ToolResult
from palaver.formats._tokens import ControlTokens


def spans(
    messages: Sequence[Message],
    write: Callable[[Sequence[Message]], str],
    control: ControlTokens,
) -> list[tuple[int, int]]:
    """Return ranges that follow one another and cover the whole text.

    A message ends where the rendering of the conversation up to it ends. Where later messages
    have changed what a template writes for it, its end is looked for behind its own text. What
    closed one message is taken to close the next of its kind if it stands there, so that a long
    conversation is not rendered again for every message.
    """
    if not messages:
        return []
    whole = write(messages)
    ends: list[int] = []
    closings: dict[tuple[str, ...], str] = {}
    at = 0
    for count, (message, after) in enumerate(pairwise(messages), 1):
        own = _last_text(message)
        kind = (message.role, after.role, "calls" if message.calls else "")
        place = whole.find(own + closings[kind], at) if own and kind in closings else -1
        if place >= 0:
            at = place + len(own) + len(closings[kind])
        else:
            start, at = at, _end(messages[:count], whole, at, write, control)
            place = whole.rfind(own, start, at) if own else -1
            if place >= 0:
                closings[kind] = whole[place + len(own) : at]
        ends.append(at)
    return list(zip([0, *ends], [*ends, len(whole)], strict=True))


def _end(
    messages: Sequence[Message],
    whole: str,
    at: int,
    write: Callable[[Sequence[Message]], str],
    control: ControlTokens,
) -> int:
    """Return where the last of `messages`, which begins at `at`, ends in `whole`."""
    try:
        alone = write(messages)
    except UserError:
        alone = ""  # some templates refuse a conversation that ends here
    if len(alone) >= at and whole.startswith(alone) and alone:
        return len(alone)
    own = _last_text(messages[-1])
    place = whole.find(own, at) if own else -1
    if place < 0:
        return at
    end = place + len(own)
    if own in alone:
        closing = alone[alone.rfind(own) + len(own) :]
        return end + _shared(closing, whole[end : end + len(closing)])
    token = next(control.find(whole[end : end + 32]), None)
    return end if token is None else end + token[1] + whole.startswith("\n", end + token[1])


def _shared(closing: str, found: str) -> int:
    """Return how much of a closing stands there, to the end of a tag or line if not all."""
    pairs = enumerate(zip(closing, found, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), min(len(closing), len(found)))
    if same == len(closing):
        return same
    return max(closing.rfind(char, 0, same) + 1 for char in ">]\n")


def _last_text(message: Message) -> str:
    """Return the text of a message that a template writes last."""
    texts = [part.text for part in message.parts if isinstance(part, ToolResult)]
    texts += [part.name for part in message.calls] or [message.text]
    return next((text.strip() for text in reversed(texts) if text.strip()), "")
