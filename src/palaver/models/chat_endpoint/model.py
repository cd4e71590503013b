"""The model: a request an answer, tried again while nothing was said, cancelled at any time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any, Literal

from msgspec import structs

from palaver.core.errors import EngineError, PalaverError, UserError
from palaver.core.events import Event, MessageDone, TextDelta
from palaver.core.generation import Generation, Sampling, Timings
from palaver.core.log import Row
from palaver.core.messages import Message, Stop, user
from palaver.core.model import Cost, Count, ModelInfo
from palaver.core.tool import ToolSpec
from palaver.models.chat_endpoint import request
from palaver.models.chat_endpoint.chunks import read
from palaver.models.chat_endpoint.counting import Counter, prompt_text
from palaver.models.chat_endpoint.gather import Reply
from palaver.models.chat_endpoint.patience import Patience, countdown
from palaver.models.chat_endpoint.refusals import Adapted, explained
from palaver.models.prompt import text_hash
from palaver.remote.errors import RefusedError, UnreachableError
from palaver.remote.listing import Listed, models
from palaver.remote.server import Server
from palaver.remote.until import until

Continues = Literal["trailing", "vllm", "prefix", "no"]
_LONGEST = 200  # characters of a reason to wait
_SPARE = 16  # tokens, for what an estimate leaves out
LISTING = 20.0  # seconds for the list of models, before anything else
# How an answer is gone on with, by what a server's list of models says of its owner.
_CONTINUES: dict[str, Continues] = {"llamacpp": "trailing", "vllm": "vllm"}


class ChatEndpoint:
    """An endpoint's model, see `palaver.core.model.Opened`. One answer at a time."""

    def __init__(
        self,
        server: Server,
        listed: Listed,
        *,
        context: int | None = None,
        effort: str | None = None,
        continues: Continues | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Use `open`. `continues` says how it goes on with an answer, where that is known."""
        self.name = listed.name
        self.effort = effort
        self.alive = True
        self._server = server
        self._context = context or listed.context
        self._continues = continues or _CONTINUES.get(listed.owner, "no")
        self._patience = patience or Patience()
        self._engine = f"chat-endpoint {server.name}"
        self._counter = Counter(self._engine)
        self._adapted = Adapted(listed.owner)
        self._reasoning: str | None = None  # the field that it sends reasoning in
        self._stop = asyncio.Event()

    @classmethod
    async def open(cls, server: Server, model: str | None, **given: Any) -> ChatEndpoint:
        """Ask the server what it has; `model` None takes its first. Raises UserError, EngineError.

        A server that has no list is taken at the user's word.
        """
        try:
            listed = await models(server, limit=LISTING)
        except RefusedError as error:
            if model is None or error.status in (401, 403):
                raise explained(error, server, model, []) from None
            listed = []
        if model is None and not listed:
            raise UserError(f"{server.name} has no models", fix="name one with --model")
        name = model or listed[0].name
        found = next((one for one in listed if one.name == name), Listed(name))
        return cls(server, found, **given)

    @property
    def info(self) -> ModelInfo:
        """What answers."""
        return ModelInfo(
            model=self.name,
            engine=self._server.name,
            context=self._context,
            template="the endpoint's",
            replies="read by the endpoint",
            tools=True,
        )

    # -- answers -------------------------------------------------------------------------

    async def respond(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event]:
        """Answer the log; see `palaver.core.model.Model.respond`."""
        self._stop = asyncio.Event()
        body = self._body(rows, tools, sampling)
        reply = Reply(request.names(tools))
        prompt = prompt_text(rows, tools)
        async with aclosing(self._answer(body, reply, prompt, sampling)) as events:
            async for event in events:
                yield event

    async def carry_on(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event]:
        """Go on with the text that the log ends with, where the endpoint can."""
        self._stop = asyncio.Event()
        last = rows[-1].entry if rows else None
        if not isinstance(last, Message) or last.role != "assistant":
            raise UserError("there is no answer to go on with")
        if self._continues == "no":
            raise UserError(
                f"{self._server.name} can't go on with an answer, as far as is known",
                fix="/retry asks for another one; a backend's key `continues` says how it can",
            )
        text = request.begun_text(last)
        body = self._body(rows, tools, sampling)
        if self._continues == "vllm":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        elif self._continues == "prefix":
            body["messages"][-1]["prefix"] = True
        reply = Reply(request.names(tools))
        reply.begin_with([TextDelta(text)])
        prompt = prompt_text(rows, tools)
        async with aclosing(self._answer(body, reply, prompt, sampling)) as events:
            async for event in events:
                yield event

    def cancel(self) -> None:
        """End the answer under way, or the waiting before it."""
        self._stop.set()

    def _body(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> dict[str, Any]:
        dicts = [made for _, made in request.message_dicts(rows, self._reasoning)]
        if self._context and sampling.max_tokens:  # some servers refuse what might not fit
            room = self._context - self._counter.count(rows, tools, None).total * 9 // 8
            most = min(sampling.max_tokens, max(room - _SPARE, _SPARE))
            sampling = structs.replace(sampling, max_tokens=most)
        return request.body(self.name, dicts, tools, sampling, self.effort)

    async def _answer(
        self, body: dict[str, Any], reply: Reply, prompt: str, sampling: Sampling
    ) -> AsyncGenerator[Event]:
        failure: PalaverError | None = None
        clock = _Clock()
        try:
            async with aclosing(self._tries(body, reply, clock)) as events:
                async for event in events:
                    yield event
        except EngineError as error:
            failure = error
            if not reply.said:
                failure = await self._explained(error)
        if isinstance(failure, UserError):
            raise failure
        if not failure and reply.filtered:
            failure = EngineError(f"the endpoint ended the answer: {reply.filtered}")
        cut = self._stop.is_set() and not reply.over
        stop: Stop = "error" if failure else "cancelled" if cut else reply.stop
        for event in reply.finish(whole=stop == "end"):
            yield event
        self._reasoning = reply.reasoning_field or self._reasoning
        generation = self._generation(reply, prompt, sampling, clock)
        yield MessageDone(reply.message(stop), generation)
        if failure:
            raise failure

    async def _tries(
        self, body: dict[str, Any], reply: Reply, clock: _Clock
    ) -> AsyncGenerator[Event]:
        """Send the request until something of the reply was said, or trying is of no use."""
        tried = 0
        while True:
            tried += 1
            try:
                async with aclosing(self._once(body, reply, clock)) as events:
                    async for event in events:
                        yield event
                return
            except EngineError as error:
                failure = error
            if reply.over:
                return  # all was said, only the end of the stream is missing
            if reply.said:
                raise failure
            if self._adapted.learn(failure):
                tried -= 1
                continue
            pause = self._patience.pause(failure, tried)
            if pause is None:
                raise failure
            why = str(failure).partition("\n")[0][:_LONGEST]
            async with aclosing(until(countdown(why, pause), self._stop)) as waits:
                async for wait in waits:
                    yield wait
            if self._stop.is_set():
                return

    async def _once(
        self, body: dict[str, Any], reply: Reply, clock: _Clock
    ) -> AsyncGenerator[Event]:
        """Send the request once. Raises EngineError where the reply is not whole."""
        clock.begin()
        stream = self._server.stream("/chat/completions", self._adapted.to(body))
        async with aclosing(until(stream, self._stop)) as found:
            async for datas in found:
                for data in datas:
                    if data.strip() == "[DONE]":
                        return
                    for event in reply.take(read(data)):
                        clock.tick()
                        yield event
        if not (reply.over or self._stop.is_set()):
            name = self._server.name
            raise UnreachableError(f"{name} broke off the answer: the stream ended early")

    async def _explained(self, error: EngineError) -> PalaverError:
        listed: list[Listed] = []
        if isinstance(error, RefusedError) and error.status == 404:
            with suppress(EngineError):
                listed = await models(self._server, limit=LISTING)
        return explained(error, self._server, self.name, listed)

    def _generation(
        self, reply: Reply, prompt: str, sampling: Sampling, clock: _Clock
    ) -> Generation:
        usage, size = reply.usage, len(prompt.encode("utf-8", "replace"))
        if usage and usage.prompt_tokens:
            self._counter.learn(size, usage.prompt_tokens)
        read_ = usage.prompt_tokens if usage else None
        said = usage.completion_tokens if usage else None
        cached = usage.cached if usage else 0
        timings = Timings(
            reused=cached,
            prefilled=(self._counter.tokens(size) if read_ is None else read_) - cached,
            decoded=self._counter.tokens(reply.size) if said is None else said,
            decode_seconds=clock.last - clock.first,
            ttft=clock.first - clock.began if clock.first else 0.0,
            guessed=read_ is None or said is None,
        )
        return Generation(
            engine=self._engine,
            model=self.name,
            prompt_hash=text_hash(prompt),
            prompt_chars=len(prompt),
            exact=False,
            sampling=sampling,
            timings=timings,
        )

    # -- counts --------------------------------------------------------------------------

    async def count(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> Count:
        """Estimate what the log takes."""
        return self._counter.count(rows, tools, self._context)

    async def cost(self, rows: Sequence[Row], tools: Sequence[ToolSpec], draft: str) -> Cost:
        """Estimate what sending `draft` takes; what the endpoint has cached it does not tell."""
        said = Row(-1, 0, rows[-1].id if rows else None, 0.0, user(draft))
        total = self._counter.count([*rows, said], tools, self._context).total
        return Cost(0, total, exact=False)

    # -- nothing runs here -----------------------------------------------------------------

    async def warm(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> None:
        """Do nothing: asking costs money, and nobody says what is kept."""

    async def save(self) -> bool:
        """Save nothing: the endpoint's cache is its own."""
        return False

    async def restart(self, threads: int | None = None) -> bool:
        """Let go of connections; the next request makes one."""
        await self._server.close()
        return True

    async def better_threads(self) -> int | None:
        """Know nothing of threads."""
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()


class _Clock:
    """When a request was sent, and when its first and its newest word came."""

    def __init__(self) -> None:
        self.began = self.first = self.last = 0.0

    def begin(self) -> None:
        self.began, self.first, self.last = time.perf_counter(), 0.0, 0.0

    def tick(self) -> None:
        self.last = time.perf_counter()
        self.first = self.first or self.last
