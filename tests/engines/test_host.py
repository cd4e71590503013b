"""The host around a model: where it stops, what it holds, what it answers to strangers."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.parrot import Parrot

from palaver.core import install
from palaver.core.errors import UserError
from palaver.engines.child.wire import RefusedError, Wire
from palaver.engines.host.sampling import Sampler, logprobs, settings
from palaver.engines.host.server import Server
from palaver.engines.host.slot import Chunk, Emit, Request, Slot, Stop, read_request
from palaver.engines.host.text import Outlet

PROMPT = list(range(300, 340))
SAYS = "One two three."


def ask(slot: Slot, emit: Any = None, stop: Stop | None = None, **body: Any) -> list[Chunk]:
    """Ask for a greedy reply; return copies of the chunks."""
    chunks: list[Chunk] = []

    def take(chunk: Chunk) -> None:
        chunks.append(chunk)
        if emit:
            emit(chunk)

    request = read_request({"prompt": PROMPT, "temperature": 0.0} | body, slot.model)
    slot.reply(request, take, stop or Stop())
    return chunks


def said(chunks: list[Chunk]) -> str:
    return "".join(chunk.content for chunk in chunks)


# -- where it stops ----------------------------------------------------------------------


def test_a_cancel_between_chunks_of_a_prompt_reads_no_further_one():
    model = Parrot(SAYS)
    slot, stop = Slot(model, batch=8), Stop()

    def second(chunk: Chunk) -> None:
        if chunk.prompt_progress["processed"] == 16:
            stop.ask()

    ask(slot, second, stop)
    assert model.steps == [8, 8]
    model.steps.clear()
    assert said(ask(slot)) == SAYS
    assert model.steps[:3] == [8, 8, 8]  # 16 of 40 were read


def test_a_cancel_before_its_turn_changes_nothing():
    model = Parrot(SAYS)
    slot, stop = Slot(model, batch=64), Stop()
    ask(slot)
    held = list(model.held)
    stop.ask()
    assert ask(slot, stop=stop, prompt=[1, 2, 3]) == []
    assert model.held == held


def test_a_cancel_while_a_token_is_computed_takes_no_further_token():
    stop = Stop()
    model = Parrot(SAYS, lambda step: stop.ask() if step == 7 else None)
    slot = Slot(model, batch=8)
    chunks = ask(slot, stop=stop)
    assert len(model.steps) == 8  # five chunks, three tokens
    assert chunks[-1].stop_type is None
    assert slot.model.held == PROMPT + model.says[:3]


def test_an_error_arrives_after_what_was_said_and_nothing_is_held_then():
    def breaks(step: int) -> None:
        if step == 4:
            raise RuntimeError("out of memory")

    model = Parrot(SAYS, breaks)
    slot = Slot(model, batch=64)
    chunks: list[Chunk] = []
    with pytest.raises(RuntimeError, match="out of memory"):
        ask(slot, chunks.append)
    assert said(chunks)
    assert SAYS.startswith(said(chunks))
    assert model.held == []
    model.before = lambda _: None
    again = ask(slot)
    assert said(again) == SAYS
    assert again[-1].timings.cache_n == 0


def test_the_context_is_never_left():
    model = Parrot("one " * 200)
    chunks = ask(Slot(model, batch=64))
    assert chunks[-1].stop_type == "limit"
    assert chunks[-1].timings.predicted_n == 128 - len(PROMPT)
    assert len(model.held) < 128


# -- what it holds -----------------------------------------------------------------------


def test_only_what_is_new_is_read():
    model = Parrot(SAYS)
    slot = Slot(model, batch=64)
    first = ask(slot)
    held = PROMPT + model.says
    longer = ask(slot, prompt=[*held, 300, 301])[-1].timings
    assert (first[-1].timings.cache_n, longer.cache_n) == (0, len(held) - 1)
    same = ask(slot, prompt=PROMPT)[-1].timings
    assert (same.cache_n, same.prompt_n) == (len(PROMPT) - 1, 1)
    other = ask(slot, prompt=[*PROMPT[:10], 299, 298])[-1].timings
    assert (other.cache_n, other.prompt_n) == (10, 2)


def test_a_cache_that_can_not_be_cut_is_gone_on_from_or_read_again():
    model = Parrot(SAYS, cuts=False)
    slot = Slot(model, batch=64)
    ask(slot)
    on = ask(slot, prompt=[*PROMPT, *model.says, 300])[-1].timings
    assert on.cache_n == len(PROMPT) + len(model.says) - 1
    back = ask(slot, prompt=PROMPT)[-1].timings
    assert (back.cache_n, back.prompt_n) == (0, len(PROMPT))
    assert model.held == PROMPT + model.says[:-1]


def test_a_state_that_can_not_be_read_leaves_nothing_held(tmp_path):
    slot = Slot(Parrot(SAYS), batch=64)
    ask(slot)
    assert slot.save(tmp_path / "a") == (tmp_path / "a").stat().st_size
    assert slot.restore(tmp_path / "a") == len(slot.model.held)
    (tmp_path / "a").write_text("no numbers")
    with pytest.raises(ValueError, match="invalid literal"):
        slot.restore(tmp_path / "a")
    assert ask(slot)[-1].timings.cache_n == 0


# -- text --------------------------------------------------------------------------------


@given(
    st.lists(st.text("ab<|", max_size=4), max_size=12),
    st.lists(st.text("ab<|", min_size=1, max_size=4), max_size=3),
)
def test_no_part_of_a_stop_text_is_let_out_and_nothing_else_is_lost(pieces, stops):
    words = iter(pieces)
    outlet = Outlet(lambda _: next(words), stops)
    out, ids, ended = "", [], ""
    for i in range(len(pieces)):
        piece = outlet.add(i)
        out, ids, ended = out + piece.text, ids + piece.ids, piece.stopped
        if ended:
            break
    whole = "".join(pieces)
    if ended:
        assert whole.startswith(out + ended)
    else:
        rest = outlet.finish()
        assert out + rest.text == whole
        assert ids + rest.ids == list(range(len(pieces)))
    assert not any(stop in out for stop in stops)


# -- sampling ----------------------------------------------------------------------------

LOGITS = np.log(np.array([0.4, 0.3, 0.15, 0.1, 0.05], np.float32))
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


def shares(**asked: Any) -> list[float]:
    """Return how often each token is picked of 4000 times."""
    sampler = Sampler(settings(OFF | {"seed": 7} | asked, {}))
    picked = [sampler.pick(LOGITS.copy(), []) for _ in range(4000)]
    return [picked.count(i) / 4000 for i in range(5)]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, [0.4, 0.3, 0.15, 0.1, 0.05]),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0, 0]),
        ({"top_p": 0.65}, [4 / 7, 3 / 7, 0, 0, 0]),
        ({"min_p": 0.3}, [0.4 / 0.85, 0.3 / 0.85, 0.15 / 0.85, 0, 0]),
        ({"temperature": 0.5}, [x * x / 0.285 for x in (0.4, 0.3, 0.15, 0.1, 0.05)]),
        ({"temperature": 0}, [1, 0, 0, 0, 0]),
        ({"top_p": 0}, [1, 0, 0, 0, 0]),
        ({"logit_bias": [[0, -100.0]]}, [0, 0.5, 0.25, 1 / 6, 1 / 12]),
    ],
)
def test_tokens_come_as_often_as_the_settings_say(asked, wanted):
    assert np.abs(np.array(shares(**asked)) - wanted).max() < 0.02


def test_unset_takes_the_models_own_and_zero_does_not():
    own = {"temperature": 0.0, "top_k": 1.0}
    assert settings({}, own).temperature == 0.0
    assert settings({}, own).top_k == 1
    assert settings({"temperature": 0.7, "top_k": 0}, own).top_k == 0
    assert settings({}, {}).temperature == 0.8


def test_what_stood_lately_is_less_likely():
    sampler = Sampler(settings({"temperature": 0, "repeat_penalty": 3.0}, {}))
    logits = np.array([2.0, 1.0, -1.0], np.float32)
    assert sampler.pick(logits.copy(), []) == 0
    assert sampler.pick(logits.copy(), [0]) == 1
    assert sampler.pick(logits.copy(), [0] + [2] * 64) == 0  # too long ago
    often = Sampler(settings({"temperature": 0, "frequency_penalty": 0.6}, {}))
    assert [often.pick(logits.copy(), [0] * n) for n in (1, 2)] == [0, 1]
    present = Sampler(settings({"temperature": 0, "presence_penalty": 1.1}, {}))
    assert present.pick(logits.copy(), [0]) == 1


def test_log_probabilities_are_those_of_all_tokens():
    found = logprobs(LOGITS + 5, 2, 2)
    assert [i for i, _ in found] == [2, 0, 1]
    assert np.allclose([chance for _, chance in found], np.log([0.15, 0.4, 0.3]), atol=1e-5)


# -- strangers ---------------------------------------------------------------------------


@asynccontextmanager
async def serving(slot: Slot, states: Path) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="ph-") as folder, ThreadPoolExecutor(1) as worker:
        server = Server(slot, worker, "secret", states)
        path = f"{folder}/s"
        async with await asyncio.start_unix_server(server.serve, path):
            yield path


def test_who_lacks_the_key_or_asks_wrongly_is_refused(tmp_path):
    async def run() -> None:
        async with serving(Slot(Parrot(SAYS), 64), tmp_path) as socket:
            for secret in ("", "wrong"):
                with pytest.raises(RefusedError, match="the key is wrong"):
                    await Wire(socket, 0, secret).call("POST", "/tokenize", {"content": "a"})
            wire = Wire(socket, 0, "secret")
            for path, body in (
                ("/nothing", {}),
                ("/tokenize", {}),
                ("/tokenize", [1]),
                ("/completion", {"prompt": []}),
                ("/completion", {"prompt": ["x"]}),
                ("/completion", {"prompt": [1], "grammar": "root ::= x"}),
                ("/slots/0?action=save", {"filename": "../x"}),
                ("/slots/0?action=erase", {"filename": "x"}),
                ("/slots/0?action=restore", {"filename": "none"}),
            ):
                with pytest.raises(RefusedError):
                    await wire.call("POST", path, body)
            assert not list(tmp_path.iterdir())
            ids = (await wire.call("POST", "/tokenize", {"content": "One"}))["tokens"]
            assert (await wire.call("POST", "/detokenize", {"tokens": ids}))["content"] == "One"

    asyncio.run(run())


@pytest.mark.parametrize("junk", [b"", b"GET", b"\x16\x03\x01" * 50, b"POST / HTTP/1.1\r\n\r\n"])
def test_what_is_no_request_ends_its_connection_alone(tmp_path, junk):
    async def run() -> None:
        async with serving(Slot(Parrot(SAYS), 64), tmp_path) as socket:
            reader, writer = await asyncio.open_unix_connection(socket)
            writer.write(junk)
            writer.write_eof()
            answer = await reader.read()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 401")
            writer.close()
            await writer.wait_closed()
            wire = Wire(socket, 0, "secret")
            assert await wire.call("POST", "/tokenize", {"content": ""}) == {"tokens": []}

    asyncio.run(run())


class Watched(Slot):
    """A slot that shows whether its client has left."""

    def reply(self, request: Request, emit: Emit, stop: Stop) -> None:
        self.stop = stop
        super().reply(request, emit, stop)


def test_a_client_that_leaves_ends_what_it_asked_for(tmp_path):
    model = Parrot("one " * 100)
    slot = Watched(model, 64)

    def until_left(step: int) -> None:
        while step == 3 and not slot.stop.asked:
            time.sleep(0.001)

    model.before = until_left

    async def run() -> None:
        async with serving(slot, tmp_path) as socket:
            wire = Wire(socket, 0, "secret")
            stream = wire.events("/completion", {"prompt": PROMPT, "temperature": 0.0})
            async for _ in stream.events():
                stream.abort()
            await wire.call("POST", "/slots/0?action=save", {"filename": "a"})
            held = len((tmp_path / "a").read_text().split())
            assert len(PROMPT) <= held <= len(PROMPT) + 3

    asyncio.run(run())


def test_a_grammar_without_the_library_is_refused_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(UserError, match="needs llguidance") as caught:
        read_request({"prompt": PROMPT, "json_schema": {}}, Parrot(SAYS))
    assert caught.value.fix == install.pip("llguidance")


@pytest.mark.parametrize("rows", [300, 400])
def test_a_grammar_holds_where_the_model_has_other_tokens_than_its_tokenizer(rows):
    model = Parrot(SAYS)
    model.tokens = rows
    request = read_request({"prompt": [1], "grammar": 'root ::= "ab" | "c"'}, model)
    logits = np.zeros(rows, np.float32)
    request.held.mask(logits)
    allowed = {model.vocabulary.decode([int(i)]) for i in np.flatnonzero(logits == 0)}
    assert {"a", "c"} <= allowed <= {"a", "ab", "c"}
