"""The model that is served: its lanes, its formats, and answers to logs."""

from __future__ import annotations

import asyncio
import datetime
import functools
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Literal

import msgspec
from msgspec import Struct

from palaver.core.errors import EngineError, PalaverError
from palaver.core.events import CallDelta, CallParsed, Event, MessageDone, TextDelta
from palaver.core.format import Format, Parser, Rendered
from palaver.core.generation import Generation, Sampling, Timings
from palaver.core.log import Row
from palaver.core.messages import Message
from palaver.core.tool import ToolSpec
from palaver.engines.child.engine import ChildEngine
from palaver.models.local import LocalModel
from palaver.models.prompt import Prompt
from palaver.server import calls
from palaver.server.calls import CallIds
from palaver.server.drawer import Drawer
from palaver.server.errors import ApiError, as_api_error, server_ends
from palaver.server.lanes import Lane, Lanes
from palaver.server.leaving import Keep, Leaving, kept
from palaver.server.memory import Memory
from palaver.server.metrics import Metrics

State = Literal["loading", "ready", "draining"]
MakeFormat = Callable[[datetime.date, str | None], Format]
_LONGEST_TOKEN = 128  # characters, on average: seen before anything is rendered
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
    it is to think, if that was said. `leaving` is there where what came is kept in any case.
    """

    rows: Sequence[Row]
    sampling: Sampling
    tools: tuple[ToolSpec, ...] = ()
    forced: tuple[ToolSpec, ...] = ()
    one_call: bool = False
    effort: str | None = None
    leaving: Leaving | None = None


class Served(Struct, frozen=True):
    """A model that was loaded: its engine, the queue before it, how formats are made, and whether
    it makes vectors of texts.
    """

    engine: ChildEngine
    lanes: Lanes
    make_format: MakeFormat
    embeds: bool = False


class Service:
    """One model and who may ask it for what."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        usual: Sampling,
        memory: Memory,
        drawer: Drawer | None = None,
    ) -> None:
        """`name` is what clients call the model; `usual` what holds where they set nothing.

        `drawer` keeps responses that clients go on from, if any are kept.
        """
        self.name = name
        self.limits = limits
        self.usual = usual
        self.state: State = "loading"
        self.began = time.time()
        self.metrics = Metrics()
        self.memory = memory
        self.drawer = drawer
        self._served: Served | None = None
        self._models: dict[tuple[datetime.date, str | None], list[LocalModel]] = {}
        self._answering: set[LocalModel] = set()
        self._starting = asyncio.Lock()
        self._over = False  # no answer begins any more

    def opened(self, served: Served) -> None:
        """Serve a model that was loaded."""
        self._served = served
        self.usual = self.usual.completed(served.engine.info.sampling)
        if self.state == "loading":
            self.state = "ready"

    @property
    def lanes(self) -> Lanes | None:
        """The lanes, None while the model loads."""
        return self._served.lanes if self._served else None

    @property
    def served(self) -> Served:
        """The model. Raises ApiError while it loads."""
        if self._served is None:
            raise ApiError("the model is loading", status=503, code="loading", retry_after=1)
        return self._served

    async def alive(self) -> Served:
        """Return the model with an engine that runs: one that died is started again.

        Raises ApiError as `served`, where it can't be started, and once answers are cut off.
        """
        if self._over:
            raise server_ends()
        served = self.served
        async with self._starting:
            if not served.engine.alive:
                self.metrics.restarts += 1
                for lane in served.lanes.lanes:
                    lane.cache.forget()
                try:
                    await served.engine.restart()
                except PalaverError as error:
                    raise as_api_error(error) from error
        return served

    def admit(self, name: str | None, characters: int = 0, param: str | None = None) -> None:
        """Raise ApiError where a request can't be taken: for another model than is served, of
        more text (in `param`) than the context can hold, while the model loads, or once the
        server ends.
        """
        if self.state == "draining":
            raise server_ends()
        self.check_name(name)
        context = self.served.engine.info.context
        if characters > _LONGEST_TOKEN * context:
            raise ApiError(
                f"{param}: {characters} characters are more than {context} tokens of context hold",
                param=param,
                code="context_length_exceeded",
            )

    def check_name(self, name: str | None) -> None:
        """Raise ApiError where a client asks for another model than is served."""
        if name is not None and name != self.name:
            raise ApiError(
                f"there is no model {name[:200]!r} here; {self.name!r} is served",
                status=404,
                param="model",
                code="model_not_found",
            )

    async def models(self, effort: str | None = None) -> list[LocalModel]:
        """Return the model for each lane, with a format that knows today and the effort."""
        served = await self.alive()
        key = datetime.date.today(), effort
        if key not in self._models:
            if len(self._models) == _FORMATS:
                self._models.pop(next(iter(self._models)))
            fmt = served.make_format(*key)
            caches = [lane.cache for lane in served.lanes.lanes]
            self._models[key] = [LocalModel(c.engine, fmt, c.states, c) for c in caches]
        return self._models[key]

    async def raw_prompt(self, given: str | list[int], param: str = "prompt") -> Prompt:
        """Make a prompt of text, in which control tokens count as such, or of ids.

        Raises ApiError which names `param`.
        """
        if not isinstance(given, str):
            return Prompt(await self.decode(given, param), tuple(given))
        tokenizer = (await self.alive()).engine.tokenizer
        try:
            ids = await tokenizer.encode(given, special=True)
            if tokenizer.bos_id is not None and ids[:1] != [tokenizer.bos_id]:
                ids = [tokenizer.bos_id, *ids]
        except EngineError as error:
            raise as_api_error(error) from error
        if not ids:
            raise ApiError(f"{param}: it is empty", param=param)
        return Prompt(given, tuple(ids))

    async def decode(self, ids: list[int], param: str) -> str:
        """Return the text of ids. Raises ApiError, where the model has no such token, too."""
        engine = (await self.alive()).engine
        try:
            return await engine.tokenizer.decode(ids)
        except EngineError as error:
            if error.died:
                raise as_api_error(error) from error
            raise ApiError(f"{param}: the model has no token of such an id", param=param) from error

    async def thought(self, message: Message) -> int:
        """Count the tokens that an answer's reasoning takes. Raises ApiError."""
        if not message.reasoning:
            return 0
        tokenizer = (await self.alive()).engine.tokenizer
        try:
            return len(await tokenizer.encode(message.reasoning, special=False))
        except EngineError as error:
            raise as_api_error(error) from error

    async def go_on(
        self, client: str, prompt: Prompt, sampling: Sampling, parser: Parser
    ) -> AsyncGenerator[Event]:
        """Go on with a prompt as it stands, once it is the client's turn. Raises ApiError."""
        models = await self.models()
        self.check_room(len(prompt.ids), "prompt")
        if sampling.max_tokens == 0:  # an engine would read the prompt, and say one token at least
            nothing = Generation(
                *("", self.name),
                added=prompt.ids,
                sampling=sampling,
                timings=Timings(prefilled=len(prompt.ids)),
            )
            yield MessageDone(Message("assistant", (), "length"), nothing)
            return
        async with (
            self.served.lanes.take(client, prompt.ids) as lane,
            aclosing(self._run(lane, models, prompt, sampling, parser)) as events,
        ):
            async for event in events:
                self._check_end(event)
                yield event

    async def answer(
        self, client: str, wanted: Wanted, ids: CallIds, keep: Keep | None = None
    ) -> AsyncGenerator[Event]:
        """Answer a log, once it is the client's turn, and `keep` that. Raises ApiError.

        `ids` gives the calls their ids. What goes to the disk goes there also where the answer
        is cut off, by the client or the server's end.
        """
        leaving = Leaving() if keep or self.memory.captures else None
        wanted = msgspec.structs.replace(wanted, leaving=leaving)
        keep = keep or functools.partial(self.memory.keep, client, wanted.rows)
        answer = kept(self._answer(client, wanted), ids, keep)
        async with aclosing(leaving.follow(answer) if leaving else answer) as events:
            async for event in events:
                self._check_end(event)
                yield event

    async def _answer(self, client: str, wanted: Wanted) -> AsyncGenerator[Event]:
        models = await self.models(wanted.effort)
        sampling = wanted.sampling
        try:
            prompt = await models[0].prompt(wanted.rows, wanted.tools)
            if wanted.forced:
                prompt = await self._begun_call(models[0], prompt, wanted)
                sampling = self._held(models[0], sampling, wanted)
        except PalaverError as error:
            raise as_api_error(error, "messages") from error
        self.check_room(len(prompt.ids), "messages")
        parser = calls.ForcedCall() if wanted.forced else None
        stored = wanted.leaving is not None
        async with self.served.lanes.take(client, prompt.ids, kept=stored) as lane:
            if wanted.tools and not wanted.forced and sampling.json_schema:
                answer = self._call_or_json(lane, models, prompt, sampling, wanted)
            else:
                answer = self._run(lane, models, prompt, sampling, parser, wanted)
            async with aclosing(answer) as events:
                async for event in events:
                    yield event

    def _held(self, model: LocalModel, sampling: Sampling, wanted: Wanted) -> Sampling:
        """Return the sampling that makes a reply one call."""
        schema = calls.call_schema(wanted.forced)
        if model.engine.info.guidance and model.format.grammar(wanted.forced):
            return msgspec.structs.replace(sampling, grammar=calls.call_grammar(schema))
        return msgspec.structs.replace(sampling, json_schema=schema)

    async def _begun_call(self, model: LocalModel, prompt: Prompt, wanted: Wanted) -> Prompt:
        """Make the prompt end where the JSON of a call begins."""
        messages = [row.entry for row in wanted.rows if isinstance(row.entry, Message)]
        begun = calls.opener(model.format, messages, wanted.tools)
        ids = (*prompt.ids, *await model.encode(Rendered(begun)))
        return msgspec.structs.replace(prompt, text=prompt.text + begun, ids=ids)

    async def _call_or_json(
        self,
        lane: Lane,
        models: list[LocalModel],
        prompt: Prompt,
        sampling: Sampling,
        wanted: Wanted,
    ) -> AsyncGenerator[Event]:
        """Let the model call; where it begins to say something, let it say that as JSON."""
        free, called = msgspec.structs.replace(sampling, json_schema=None), False
        async with aclosing(self._run(lane, models, prompt, free, None, wanted)) as events:
            async for event in events:
                called = called or isinstance(event, CallDelta)
                if not called and isinstance(event, TextDelta | MessageDone):
                    break
                yield event
        if not called and not (wanted.leaving and wanted.leaving.left):
            answer = self._run(lane, models, prompt, sampling, None, wanted)
            async with aclosing(answer) as events:
                async for event in events:
                    yield event

    async def _run(
        self,
        lane: Lane,
        models: list[LocalModel],
        prompt: Prompt,
        sampling: Sampling,
        parser: Parser | None,
        wanted: Wanted | None = None,
    ) -> AsyncGenerator[Event]:
        """Answer a prompt in a lane. Raises ApiError."""
        model = models[lane.number]
        tools, one_call = (wanted.tools, wanted.one_call) if wanted else ((), False)
        leaving = wanted.leaving if wanted else None
        enough = False
        await self.alive()
        over = asyncio.get_running_loop().call_later(self.limits.seconds, model.cancel)
        self._answering.add(model)
        if leaving:
            leaving.model = model
        try:
            async with aclosing(model.answer(prompt, tools, sampling, parser=parser)) as events:
                async for event in events:
                    if isinstance(event, MessageDone):
                        self.metrics.answered(event)
                        yield calls.first(event) if enough else self._ended(event, leaving)
                    elif not enough:
                        yield event
                    if isinstance(event, CallParsed) and one_call:
                        enough = True
                        model.cancel()
        except PalaverError as error:
            param = "response_format" if sampling.json_schema or sampling.grammar else None
            raise as_api_error(error, "tools" if param and parser else param) from error
        finally:
            over.cancel()
            self._answering.discard(model)
            if leaving:
                leaving.model = None

    def _ended(self, done: MessageDone, leaving: Leaving | None) -> MessageDone:
        """Say of an answer that was ended from here whether it was the time that it may take."""
        left = leaving is not None and leaving.left
        if done.message.stop != "cancelled" or left or self.state == "draining":
            return done
        message = msgspec.structs.replace(done.message, stop="length")
        return msgspec.structs.replace(done, message=message)

    def _check_end(self, event: Event) -> None:
        """Raise ApiError where an answer was ended with the server."""
        cut = isinstance(event, MessageDone) and event.message.stop == "cancelled"
        if cut and self.state == "draining":
            raise server_ends()

    def check_room(self, tokens: int, param: str) -> None:
        """Raise ApiError where a prompt leaves no room for an answer."""
        context = self.served.engine.info.context
        if tokens >= context:
            raise ApiError(
                f"{param}: {tokens} tokens, which is more than the context of {context} holds",
                param=param,
                code="context_length_exceeded",
            )

    def cut_off(self) -> None:
        """End all answers under way, and all that wait."""
        self.state = "draining"
        self._over = True
        if self._served:
            self._served.lanes.refuse(server_ends())
        for model in list(self._answering):
            model.cancel()

    async def close(self) -> None:
        """End the engine; what it has cached of conversations that are kept is saved."""
        await self.memory.close()
        if self.drawer:
            await self.drawer.close()
        if self._served:
            await self._served.lanes.save()
            await asyncio.shield(self._served.engine.close())
