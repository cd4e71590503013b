"""What endpoints stream becomes events and a message, whatever shape it has, cut anywhere."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.cuts import arguments, cut_everywhere, heard
from tests.support.endpoint import LOOK, collect, opened, rows
from tests.support.recordings import BEGIN, RECORDINGS, STOP, Recording, call, chunk, events, said
from tests.support.replay import answer, replaying, stream

from palaver.core.errors import EngineError
from palaver.core.events import CallDelta, CallParsed
from palaver.core.messages import ToolCall


def ask(*acts, **given):
    async def work():
        async with replaying(*acts) as told, opened(told.url, **given) as model:
            return await collect(model, rows("hi"), tools=(LOOK,))

    return asyncio.run(work())


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.name)
def test_a_reply_is_read_in_every_shape(recording: Recording):
    found, error = ask(stream(recording.data, framing=recording.framing))
    assert error is None
    message, generation = found[-1].message, found[-1].generation
    assert (message.text, message.reasoning) == (recording.text, recording.thought)
    assert heard(found) == (recording.text, recording.thought)
    assert arguments(message) == recording.calls
    assert len({c.id for c in message.calls}) == len(message.calls)
    assert all(c.id and not c.error for c in message.calls)
    assert message.stop == recording.stop
    timings = generation.timings
    assert timings.guessed == (recording.tokens is None)
    if recording.tokens is not None:
        assert timings.reused + timings.prefilled == recording.tokens
    assert not generation.exact
    assert not generation.added


def test_deltas_of_a_call_join_to_it_and_stand_before_it():
    recording = next(r for r in RECORDINGS if r.name == "interleaved")
    found, _ = ask(stream(recording.data))
    for number, made in enumerate(e for e in found if isinstance(e, CallParsed)):
        pieces = [e for e in found if isinstance(e, CallDelta) and e.index == made.index]
        assert "".join(p.arguments for p in pieces) == made.call.arguments
        assert pieces[0].name == made.call.name
        assert found.index(pieces[-1]) < found.index(made)
        assert made.call.id == "ba"[number]


def test_an_answer_that_is_no_stream_is_taken_whole():
    reply = {"role": "assistant", "content": "All at once."}
    body = {"choices": [{"message": reply, "finish_reason": "stop"}]}
    found, error = ask(answer(200, body))
    assert error is None
    assert found[-1].message.text == "All at once."


@pytest.mark.parametrize(
    ("piece", "why"),
    [
        (call(0, "a", "look", '{"n": 1'), "no JSON"),
        (call(0, "a", "look", "[1]"), "no object"),
        (call(0, "a", None, "{}"), "no tool"),
    ],
)
def test_a_call_that_cannot_be_run_is_kept_and_says_why(piece, why):
    found, error = ask(stream(events(BEGIN, piece, STOP)))
    assert error is None
    (made,) = found[-1].message.calls
    assert why in made.error


def test_a_call_without_arguments_has_none():
    found, _ = ask(stream(events(BEGIN, call(0, "a", "look", None), STOP)))
    assert found[-1].message.calls == (ToolCall("a", "look", "{}"),)


def test_half_a_surrogate_pair_loses_nothing_else():
    found, error = ask(
        stream(events('data: {"choices":[{"delta":{"content":"a\\ud83d b"}}]}', STOP))
    )
    assert error is None
    assert found[-1].message.text == "a? b"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("data: {not json", "no chunk"),
        ('data: {"choices": [{"delta": {"content": "x"}}', "no chunk"),
        ('data: {"choices": 7}', "no chunk"),
        ('data: {"error": {"message": "out of memory"}}', "out of memory"),
        ('error: {"code": 500, "message": "out of luck"}', "out of luck"),
        ("data: " + "x" * (1 << 24), "16 MiB"),
        ("y" * ((1 << 24) + 1), "16 MiB"),
    ],
    ids=["garbage", "torn", "shape", "error", "llama.cpp's old errors", "huge", "no line"],
)
def test_what_is_no_stream_of_a_chat_ends_the_answer_with_what_came(broken, words):
    found, error = ask(stream(events(BEGIN, said("So far"), broken, STOP), framing="close"))
    assert isinstance(error, EngineError)
    assert words in str(error)
    assert found[-1].message.text == heard(found)[0] == "So far"
    assert found[-1].message.stop == "error"


def test_what_an_endpoint_filtered_says_so():
    found, error = ask(stream(events(BEGIN, said("Well"), chunk({}, "content_filter"))))
    assert "content_filter" in str(error)
    assert found[-1].message.stop == "error"


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.name)
def test_a_stream_that_is_cut_loses_no_word(recording: Recording):
    """A sample of the places; `python -m benchmarks.cut_streams` tries every one."""
    size = len(recording.data)
    assert asyncio.run(cut_everywhere(recording, range(1, size, 1 + size // 14)))
