"""The model that is served: its lanes, its formats, and answers to logs."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Literal

import msgspec
from msgspec import Struct

from palaver.core.errors import PalaverError
from palaver.core.events import CallDelta, CallParsed, Event, MessageDone, TextDelta
from palaver.core.format import Format, Rendered
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.messages import Message, ToolCall
from palaver.core.tool import ToolSpec
from palaver.engines.child.engine import ChildEngine
from palaver.models.local import LocalModel
from palaver.models.prompt import Prompt
from palaver.server import calls
from palaver.server.errors import ApiError, as_api_error
from palaver.server.lanes import Lanes

State = Literal["loading", "ready", "draining"]
MakeFormat = Callable[[datetime.date, str | None], Format]
_FORMATS = 8  # kept at a time: one for each day and effort that is asked for


class Limits(Struct, frozen=True):
    """What a server allows: requests that wait, tokens and seconds of an answer, messages of a
    chat that the model sees (all, if None).
    """

    queue: int = 64
    max_tokens: int | None = None
    max_context: int | None = None
    seconds: float = 600.0


class Wanted(Struct, frozen=True):
    """What a model is to do: answer `rows`, knowing `tools`.

    `forced`: with a call of one of them. `one_call`: with no more than one. `effort` is how long
    it is to think, if that was said.
    """

    rows: Sequence[Row]
    sampling: Sampling
    tools: tuple[ToolSpec, ...] = ()
    forced: tuple[ToolSpec, ...] = ()
    one_call: bool = False
    effort: str | None = None


class Served(Struct, frozen=True):
    """A model that was loaded: its engine, the queue before it, and how formats are made."""

    engine: ChildEngine
    lanes: Lanes
    make_format: MakeFormat


class Service:
    """One model and who may ask it for what."""

    def __init__(self, name: str, limits: Limits, usual: Sampling) -> None:
        """`name` is what clients call the model; `usual` what holds where they set nothing."""
        self.name = name
        self.limits = limits
        self.usual = usual
        self.state: State = "loading"
        self.created = int(time.time())
        self._served: Served | None = None
        self._models: dict[tuple[datetime.date, str | None], list[LocalModel]] = {}
        self._answering: set[LocalModel] = set()

    def opened(self, served: Served) -> None:
        """Serve a model that was loaded."""
        self._served = served
        self.state = "ready"

    @property
    def served(self) -> Served:
        """The model. Raises ApiError while it loads, and once the server ends."""
        if self._served is None:
            raise ApiError("the model is loading", status=503, code="loading", retry_after=1)
        if self.state == "draining":
            raise ApiError("the server is ending", status=503, code="draining", retry_after=5)
        return self._served

    def check_name(self, name: str | None) -> None:
        """Raise ApiError where a client asks for another model than is served."""
        if name is not None and name != self.name:
            raise ApiError(
                f"there is no model {name[:200]!r} here; {self.name!r} is served",
                status=404,
                param="model",
                code="model_not_found",
            )

    def models(self, effort: str | None) -> list[LocalModel]:
        """Return the model for each lane, with a format that knows today and the effort."""
        served = self.served
        key = datetime.date.today(), effort
        if key not in self._models:
            if len(self._models) == _FORMATS:
                self._models.pop(next(iter(self._models)))
            fmt = served.make_format(*key)
            caches = [lane.cache for lane in served.lanes.lanes]
            self._models[key] = [LocalModel(c.engine, fmt, c.states, c) for c in caches]
        return self._models[key]

    async def answer(self, client: str, wanted: Wanted) -> AsyncGenerator[Event]:
        """Answer a log, once it is the client's turn. Raises ApiError."""
        try:
            models = self.models(wanted.effort)
            if wanted.forced:
                prompt, sampling = await self._forced(models[0], wanted)
            else:
                prompt = await models[0].prompt(wanted.rows, wanted.tools)
                sampling = wanted.sampling
            self.check_room(len(prompt.ids), "messages")
            either = wanted.tools and not wanted.forced and sampling.json_schema
            answer = self._call_or_json if either else self._run
            async with (
                self.served.lanes.take(client, prompt.ids) as lane,
                aclosing(answer(models[lane.number], prompt, wanted, sampling)) as events,
            ):
                async for event in events:
                    yield event
        except PalaverError as error:
            raise as_api_error(error) from error

    async def _forced(self, model: LocalModel, wanted: Wanted) -> tuple[Prompt, Sampling]:
        """Make a prompt that ends where the JSON of a call begins."""
        prompt = await model.prompt(wanted.rows, wanted.tools)
        messages = [row.entry for row in wanted.rows if isinstance(row.entry, Message)]
        begun = calls.opener(model.format, messages, wanted.tools)
        ids = (*prompt.ids, *await model.encode(Rendered(begun)))
        prompt = msgspec.structs.replace(prompt, text=prompt.text + begun, ids=ids)
        schema = calls.call_schema(wanted.forced)
        return prompt, msgspec.structs.replace(wanted.sampling, json_schema=schema)

    async def _call_or_json(
        self, model: LocalModel, prompt: Prompt, wanted: Wanted, sampling: Sampling
    ) -> AsyncGenerator[Event]:
        """Let the model call; where it begins to say something, let it say that as JSON."""
        free, called = msgspec.structs.replace(sampling, json_schema=None), False
        async with aclosing(self._run(model, prompt, wanted, free)) as events:
            async for event in events:
                called = called or isinstance(event, CallDelta)
                if not called and isinstance(event, TextDelta | MessageDone):
                    break
                yield event
        if not called:
            async with aclosing(self._run(model, prompt, wanted, sampling)) as events:
                async for event in events:
                    yield event

    async def _run(
        self, model: LocalModel, prompt: Prompt, wanted: Wanted, sampling: Sampling
    ) -> AsyncGenerator[Event]:
        over = asyncio.get_running_loop().call_later(self.limits.seconds, model.cancel)
        parser = calls.ForcedCall() if wanted.forced else None
        enough = False
        self._answering.add(model)
        try:
            answer = model.answer(prompt, wanted.tools, sampling, parser=parser)
            async with aclosing(answer) as events:
                async for event in events:
                    if isinstance(event, MessageDone):
                        yield _one_call(event) if enough else self._ended(event)
                    elif not enough:
                        yield event
                    if isinstance(event, CallParsed) and wanted.one_call:
                        enough = True
                        model.cancel()
        finally:
            over.cancel()
            self._answering.discard(model)

    def _ended(self, done: MessageDone) -> MessageDone:
        """Say why an answer was ended from here: by the time it may take, or with the server."""
        if done.message.stop != "cancelled":
            return done
        if self.state == "draining":
            raise ApiError("the server is ending", status=503, code="draining", retry_after=5)
        message = msgspec.structs.replace(done.message, stop="length")
        return msgspec.structs.replace(done, message=message)

    def check_room(self, tokens: int, param: str) -> None:
        """Raise ApiError where a prompt leaves no room for an answer."""
        context = self.served.engine.info.context
        if tokens >= context:
            raise ApiError(
                f"{param}: they take {tokens} tokens, the context holds {context}",
                param=param,
                code="context_length_exceeded",
            )

    def cut_off(self) -> None:
        """End all answers under way."""
        for model in list(self._answering):
            model.cancel()

    async def close(self) -> None:
        """End the engine."""
        if self._served:
            await asyncio.shield(self._served.engine.close())


def _one_call(done: MessageDone) -> MessageDone:
    """Return an answer up to its first call, after which it was ended."""
    parts = done.message.parts
    first = next(i for i, part in enumerate(parts) if isinstance(part, ToolCall))
    message = msgspec.structs.replace(done.message, parts=parts[: first + 1], stop="end")
    return msgspec.structs.replace(done, message=message)
