"""Replies of endpoints cut off at any byte, and what has to be left of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from tests.support.endpoint import LOOK, collect, opened, rows
from tests.support.recordings import Recording
from tests.support.replay import replaying, stream

from palaver.core.errors import EngineError
from palaver.core.events import Event, MessageDone, ReasoningDelta, TextDelta
from palaver.core.messages import Message
from palaver.models.chat_endpoint.patience import Patience


def heard(found: Sequence[Event]) -> tuple[str, str]:
    text = "".join(e.text for e in found if isinstance(e, TextDelta))
    return text, "".join(e.text for e in found if isinstance(e, ReasoningDelta))


def arguments(message: Message) -> tuple[tuple[str, Any], ...]:
    return tuple((c.name, json.loads(c.arguments)) for c in message.calls)


def whole_lines(recording: Recording, cut: int) -> str:
    """Return the text of the events that are whole in the first `cut` bytes."""
    seen = recording.data[:cut].replace(b"\r\n", b"\n").rpartition(b"\n\n")[0]
    said_ = ""
    for event in seen.split(b"\n\n"):
        data = b"".join(line[5:] for line in event.split(b"\n") if line.startswith(b"data:"))
        if data and data.strip() != b"[DONE]":
            for choice in json.loads(data).get("choices") or ():
                said_ += choice["delta"].get("content") or choice["delta"].get("refusal") or ""
    return said_


async def cut_everywhere(recording: Recording, cuts: range) -> int:
    """Cut a reply at these bytes; return how many times that was. Raises AssertionError."""
    once = Patience(tries=1)
    async with (
        replaying(stream(b"")) as told,
        opened(told.url, idle=4.0, patience=once) as model,
    ):
        for cut in cuts:
            told.acts[:] = [stream(recording.data, cut=cut, framing="close")]
            async with asyncio.timeout(5):
                found, error = await collect(model, rows("hi"), tools=(LOOK,))
            assert error is None or isinstance(error, EngineError), (recording.name, cut, error)
            (done,) = [e for e in found if isinstance(e, MessageDone)]
            assert found[-1] is done
            text = done.message.text
            assert heard(found)[0] == text, (recording.name, cut)
            assert recording.text.startswith(text), (recording.name, cut)
            assert text.startswith(whole_lines(recording, cut)), (recording.name, cut)
            assert done.message.stop == ("error" if error else recording.stop)
            if error:
                assert all(c.error for c in done.message.calls), (recording.name, cut)
            else:
                assert arguments(done.message) == recording.calls, (recording.name, cut)
    return len(cuts)
