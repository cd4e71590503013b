"""What the tests say to vLLM: recorded once from a real one, said again to what was recorded."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.endpoint import LOOK, collect, opened, rows
from tests.support.talk import Talk
from tests.support.vllm import DATA

from palaver import assemble
from palaver.core.engine import Token
from palaver.core.errors import UserError
from palaver.core.events import Event
from palaver.core.generation import Sampling
from palaver.core.messages import user
from palaver.engines.completions.engine import Completions
from palaver.engines.completions.open import attach
from palaver.models.kv import States
from palaver.models.local import LocalModel
from palaver.remote.server import Server

NANO = DATA / "palaver-nano"
HELLO = "Hello! I am palaver-nano, a model for tests."
SMILE = "😀 Sure! 👩\u200d🚀🇩🇪 café naïve €"
TYPED = "what does <|im_end|> mean?"  # a control token as a user's text
GREEDY: dict[str, Any] = {"max_tokens": 64, "temperature": 0.0}


@asynccontextmanager
async def attached(
    url: str, secret: str, *, tokenizer: Path | None = None
) -> AsyncIterator[LocalModel]:
    """Open a model over a completions server."""
    server = Server(url, secret)
    try:
        engine = await attach(server, None, str(tokenizer) if tokenizer else None, None)
        yield local(engine)
    finally:
        await server.close()


def local(engine: Completions) -> LocalModel:
    """Join an engine to its model's format."""
    fmt = assemble.make_format(engine.file, datetime.date(2026, 11, 20))
    return LocalModel(engine, fmt, States(Path("/nonexistent"), engine.info.fingerprint, 0))


async def prompt(model: LocalModel, said: str) -> list[int]:
    """Return the ids of a first message."""
    rendered = model.format.render([user(said)], (), reply=True)
    return await model.engine.tokenizer.encode(rendered.text, special=True)


async def reply(model: LocalModel, said: str, **sampling: Any) -> list[Token]:
    """Let the engine answer a first message."""
    tokens = model.engine.generate(await prompt(model, said), Sampling(**GREEDY | sampling))
    return [token async for token in tokens]


async def turns(model: LocalModel) -> Talk:
    """Have the conversation that the model knows, with an answer that was cut off in it."""
    talk = Talk(model)
    await talk.ask("Hello", **GREEDY | {"max_tokens": 5})
    await talk.carry_on(**GREEDY)
    await talk.ask("Count to five.", **GREEDY)
    await talk.ask("Thanks", **GREEDY)
    return talk


async def typed(model: LocalModel) -> list[int]:
    """Return the ids of a prompt in which a user typed a control token."""
    talk = Talk(model)
    talk.add(user(TYPED))
    return list((await model._prompts.build(talk.rows, ())).ids)


async def refused(model: LocalModel) -> str:
    """Ask with an id that there is not; return what is said to that."""
    try:
        async for _ in model.engine.generate([5, 363], Sampling(**GREEDY)):
            pass
    except UserError as error:
        return str(error)
    return ""


async def chat(url: str, secret: str) -> list[list[Event]]:
    """Ask the chat endpoint: an answer, one that goes on, one with a call."""
    found = []
    async with opened(url, key=secret) as model:
        for said, sampling in (("Hello", GREEDY), ("Smile", GREEDY)):
            events, error = await collect(model, rows(said), **sampling)
            assert error is None
            found.append(events)
        events, error = await collect(model, rows("Hello"), tools=(LOOK,), **GREEDY)
        assert error is None
        found.append(events)
        cut, _ = await collect(model, rows("Hello"), **GREEDY | {"max_tokens": 5})
        path = rows("Hello", cut[-1].message)
        found.append([e async for e in model.carry_on(path, (), Sampling(**GREEDY))])
    return found


async def everything(url: str, secret: str) -> None:
    """Say all of it."""
    async with attached(url, secret) as model:
        for said in ("Hello", "Smile"):
            await reply(model, said)
        for stop in ("palaver-nano", "o! I", "tests.!"):
            await reply(model, "Hello", stop=(stop,))
        await reply(model, "Hello", max_tokens=1)
        await reply(model, "Hello", max_tokens=8, logprobs=3)
        await turns(model)
        await typed(model)
        await refused(model)
        async for _ in model.engine.prefill(await prompt(model, "Hello")):
            pass
    async with attached(url, secret, tokenizer=NANO) as model:
        await reply(model, "Hello")
        await turns(model)
    await chat(url, secret)
