"""/v1/responses: answers as items; what came before is kept in the session store."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver.core.errors import PalaverError
from palaver.core.events import Event, MessageDone
from palaver.core.generation import Generation
from palaver.core.log import Row, visible
from palaver.core.messages import Message, system
from palaver.core.tool import ToolSpec
from palaver.server import asked, body, calls, said
from palaver.server.chat import effort
from palaver.server.drawer import no_such
from palaver.server.errors import ApiError, as_api_error, json_response
from palaver.server.messages import window
from palaver.server.replies import Stream, Whole
from palaver.server.response_input import FunctionChoice, ResponseRequest, to_messages
from palaver.server.response_items import ItemStream, items, new_id
from palaver.server.service import Service, Wanted


async def create(request: Request) -> Response:
    """Answer, streamed or whole."""
    service: Service = request.app.state.service
    given = await body.read(request, ResponseRequest)
    characters = len(given.input) if isinstance(given.input, str) else 0
    service.admit(given.model, characters, "input")
    client: str = request.state.client
    before: list[Row] = []
    if given.previous_response_id is not None:
        before = await _before(service, client, given.previous_response_id)
    made = Answer(service, given, client, before)
    return Stream(made.events(), named=True) if given.stream else Whole(made.whole())


async def _before(service: Service, client: str, response: str) -> list[Row]:
    if service.drawer is None:
        raise no_such(response)
    return await service.drawer.rows(client, response)


async def retrieve(request: Request) -> Response:
    """Return a response that was kept, as far as the store tells of it."""
    service: Service = request.app.state.service
    response = request.path_params["response"]
    row = (await _before(service, request.state.client, response))[-1]
    assert isinstance(row.entry, Message)
    about: dict[str, Any] = {
        "id": response,
        "object": "response",
        "created_at": int(row.at),
        "model": row.generation.model if row.generation else service.name,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    result = await _result(service, row.entry, row.generation, items(row.entry))
    return json_response(about | result)


async def _result(
    service: Service,
    message: Message,
    generation: Generation | None,
    output: list[dict[str, Any]],
) -> dict[str, Any]:
    cut = message.stop == "length"
    timings = [generation.timings] if generation else []
    cost = said.usage(timings, await service.thought(message))
    return {
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output,
        "usage": {
            "input_tokens": cost["prompt_tokens"],
            "input_tokens_details": {
                "cached_tokens": cost["prompt_tokens_details"]["cached_tokens"],
                "cache_write_tokens": 0,
            },
            "output_tokens": cost["completion_tokens"],
            "output_tokens_details": cost["completion_tokens_details"],
            "total_tokens": cost["total_tokens"],
        },
    }


class Answer:
    """One request for a response."""

    def __init__(
        self,
        service: Service,
        given: ResponseRequest,
        client: str,
        before: list[Row],
    ) -> None:
        """`before` are the rows that it goes on from. Raises ApiError."""
        self._service = service
        self._drawer = None if given.store is False else service.drawer
        self._given = given
        self._client = client
        self._before = before
        said_before = [row.entry for row in before if isinstance(row.entry, Message)]
        self._new = to_messages(given.input, said_before)
        heads = [m.text for m in map(_message, visible(before)) if m.role == "system"]
        if (given.instructions or "") != "".join(heads):  # an empty one ends the one before
            self._new.insert(0, system(given.instructions or ""))
        self._wanted = self._want()
        self._ids = calls.CallIds()
        self._id = new_id("resp")
        self._created = int(time.time())
        self._begun: Row | None = None  # the newest of what was said, once that is kept

    def _want(self) -> Wanted:
        given, service = self._given, self._service
        sampling = asked.sampling(
            given, service.usual, given.max_output_tokens, service.limits.max_tokens
        )
        form = given.text.format.schema_of() if given.text else None
        new = [Row(-i, 0, None, 0.0, message) for i, message in enumerate(self._new, 1)]
        rows = visible([*self._before, *new])
        if service.limits.max_context is not None:
            kept = window([_message(row) for row in rows], service.limits.max_context)
            rows = [row for row in rows if any(row.entry is one for one in kept)]
        if not self._before:
            rows = service.memory.recall(self._client, rows)
        tools, forced = self._tools()
        return Wanted(
            rows,
            msgspec.structs.replace(sampling, json_schema=form),
            tools,
            forced,
            given.parallel_tool_calls is False,
            effort(given.reasoning.effort) if given.reasoning else None,
        )

    def _tools(self) -> tuple[tuple[ToolSpec, ...], tuple[ToolSpec, ...]]:
        choice = self._given.tool_choice
        name = choice.name if isinstance(choice, FunctionChoice) else None
        kind = None if isinstance(choice, FunctionChoice) else choice
        return calls.choose(self._given.known_tools(), kind, name)

    async def whole(self) -> object:
        """Return the whole answer. Raises ApiError."""
        done: MessageDone | None = None
        async with aclosing(self._answer()) as events:
            async for event in events:
                done = event if isinstance(event, MessageDone) else done
        assert done
        told = done.message, done.generation, items(done.message)
        return self._about() | await _result(self._service, *told)

    async def events(self) -> AsyncGenerator[dict[str, Any]]:
        """Yield the events of a stream, numbered. Raises ApiError before the first."""
        number = 0
        async with aclosing(self._events()) as events:
            async for event in events:
                yield event | {"sequence_number": number}
                number += 1

    async def _events(self) -> AsyncGenerator[dict[str, Any]]:
        stream, begun = ItemStream(self._ids), False
        pending: dict[str, Any] = {
            "status": "in_progress",
            "output": [],
            "usage": None,
            "error": None,
        }
        try:
            async with aclosing(self._answer()) as events:
                async for event in events:
                    if not begun:
                        begun = True
                        for kind in ("created", "in_progress"):
                            response = self._about() | pending
                            yield {"type": f"response.{kind}", "response": response}
                    for made in stream.feed(event):
                        yield made
                    if isinstance(event, MessageDone):
                        cut = event.message.stop == "length"
                        status = "incomplete" if cut else "completed"
                        for made in stream.close(status):
                            yield made
                        told = event.message, event.generation, stream.done
                        response = self._about() | await _result(self._service, *told)
                        yield {"type": f"response.{status}", "response": response}
        except ApiError as error:
            if not begun:
                raise
            failed: dict[str, Any] = {"status": "failed", "output": stream.done, "usage": None}
            failed["error"] = {"code": "server_error", "message": error.message}
            yield {"type": "response.failed", "response": self._about() | failed}

    async def _answer(self) -> AsyncGenerator[Event]:
        keep = self._keep if self._drawer else None
        answer = self._service.answer(self._client, self._wanted, self._ids, keep)
        async with aclosing(answer) as events:
            async for event in events:
                if keep and self._begun is None:
                    await self._begin()
                yield event

    async def _begin(self) -> None:
        """Write what was said once the answer begins: its row names the response."""
        assert self._drawer
        try:
            made = await self._drawer.begin(self._client, self._before, self._new)
        except PalaverError as error:
            raise as_api_error(error) from error
        self._id, self._begun = made

    async def _keep(self, done: MessageDone) -> None:
        if self._begun is None:
            await self._begin()
        assert self._begun
        assert self._drawer
        await self._drawer.end(self._begun, done)

    def _about(self) -> dict[str, Any]:
        given, used = self._given, self._wanted.sampling
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "model": self._service.name,
            "instructions": given.instructions,
            "incomplete_details": None,
            "max_output_tokens": given.max_output_tokens,
            "metadata": given.metadata or {},
            "parallel_tool_calls": given.parallel_tool_calls is not False,
            "previous_response_id": given.previous_response_id,
            "reasoning": msgspec.to_builtins(given.reasoning) if given.reasoning else None,
            "store": self._drawer is not None,
            "temperature": used.temperature,
            "text": {"format": {"type": given.text.format.type if given.text else "text"}},
            "tool_choice": msgspec.to_builtins(given.tool_choice or "auto"),
            "tools": msgspec.to_builtins(given.tools or []),
            "top_p": used.top_p,
            "truncation": "disabled",
            "user": given.user,
        }


def _message(row: Row) -> Message:
    assert isinstance(row.entry, Message)
    return row.entry
