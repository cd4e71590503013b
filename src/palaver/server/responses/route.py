"""/v1/responses: answers as items; what came before is kept in the session store."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver.core.errors import PalaverError
from palaver.core.events import Event, MessageDone
from palaver.core.log import Row, message_of, visible
from palaver.core.messages import Message, system
from palaver.core.tool import ToolSpec
from palaver.server import body
from palaver.server.calls import CallIds
from palaver.server.drawer import Drawer, no_such
from palaver.server.errors import ApiError, as_api_error, json_response
from palaver.server.openai import asked, said
from palaver.server.openai.chat import effort
from palaver.server.openai.tools import choose, specs
from palaver.server.replies import Stream, Whole
from palaver.server.responses.input import ResponseRequest, TextFormat, to_messages
from palaver.server.responses.items import ItemStream, items
from palaver.server.responses.log import ResponseLog
from palaver.server.responses.tools import OwnTools, own_tools
from palaver.server.service import Service, Wanted

# What an answer's end makes of a response; where it is none of these, it is completed.
_STATUS: dict[str | None, str] = {
    "length": "incomplete",
    "cancelled": "cancelled",
    "error": "failed",
}


async def create(request: Request) -> Response:
    """Answer, streamed or whole."""
    service: Service = request.app.state.service
    given = await body.read(request, ResponseRequest)
    characters = len(given.input) if isinstance(given.input, str) else 0
    service.admit(given.model, characters, "input")
    client: str = request.state.client
    before: list[Row] = []
    if given.previous_response_id is not None:
        before = await _drawer(service, given.previous_response_id).rows(
            client, given.previous_response_id
        )
    desk = request.app.state.desk
    own = await own_tools(service, desk, client, given.tools or (), before)
    made = Answer(service, given, client, before, own)
    return Stream(made.events(), named=True) if given.stream else Whole(made.whole())


def _drawer(service: Service, response: str) -> Drawer:
    if service.drawer is None:
        raise no_such(response)
    return service.drawer


async def retrieve(request: Request) -> Response:
    """Return a response that was kept, as far as the store tells of it."""
    service: Service = request.app.state.service
    response = request.path_params["response"]
    rows = await _drawer(service, response).made(request.state.client, response)
    answers = [row for row in rows if isinstance(row.entry, Message) and row.generation]
    about: dict[str, Any] = {
        "id": response,
        "object": "response",
        "created_at": int(rows[-1].at),
        "model": answers[-1].generation.model if answers[-1].generation else service.name,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    messages = [row.entry for row in rows if isinstance(row.entry, Message)]
    return json_response(about | await _result(service, rows, items(messages)))


async def _result(
    service: Service, rows: Sequence[Row], output: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what came of a response, in all its answers."""
    answers = [row for row in rows if isinstance(row.entry, Message) and row.generation]
    last = message_of(answers[-1])
    costs = [
        said.usage([row.generation.timings], await service.thought(message_of(row)))
        for row in answers
        if row.generation
    ]

    def total(name: str, *inside: str) -> int:
        return sum(cost[name][inside[0]] if inside else cost[name] for cost in costs)

    cut = last.stop == "length"
    return {
        "status": _STATUS.get(last.stop, "completed"),
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output,
        "usage": {
            "input_tokens": total("prompt_tokens"),
            "input_tokens_details": {
                "cached_tokens": total("prompt_tokens_details", "cached_tokens"),
                "cache_write_tokens": 0,
            },
            "output_tokens": total("completion_tokens"),
            "output_tokens_details": {
                "reasoning_tokens": total("completion_tokens_details", "reasoning_tokens")
            },
            "total_tokens": total("total_tokens"),
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
        own: OwnTools | None,
    ) -> None:
        """`before` are the rows that it goes on from, `own` the server's tools that may be used.

        Raises ApiError.
        """
        self._service = service
        self._given = given
        self._client = client
        self._own = own
        said_before = [row.entry for row in before if isinstance(row.entry, Message)]
        new = to_messages(given.input, said_before)
        heads = [m.text for m in map(message_of, visible(before)) if m.role == "system"]
        if (given.instructions or "") != "".join(heads):  # an empty one ends the one before
            new.insert(0, system(given.instructions or ""))
        drawer = None if given.store is False else service.drawer
        self._stored = drawer is not None
        self._log = ResponseLog(service, drawer, client, before, new)
        self._wanted = self._want()
        self._created = int(time.time())

    def _want(self) -> Wanted:
        given, service = self._given, self._service
        sampling = asked.sampling(
            given, service.usual, given.max_output_tokens, service.limits.max_tokens
        )
        form = given.text.format.schema_of() if given.text else None
        tools, forced = choose(self._tools(), *given.chosen)
        return Wanted(
            self._log.view(),
            msgspec.structs.replace(sampling, json_schema=form),
            tools,
            forced,
            given.parallel_tool_calls is False,
            effort(given.reasoning.effort) if given.reasoning else None,
        )

    def _tools(self) -> tuple[ToolSpec, ...]:
        """Return the client's functions and the server's own tools."""
        functions = specs(self._given.functions)
        own = self._own.specs if self._own else ()
        if twice := {one.name for one in functions} & {one.name for one in own}:
            raise ApiError(f"tools: there are two tools named {min(twice)!r}", param="tools")
        return (*functions, *own)

    async def whole(self) -> object:
        """Return the whole answer. Raises ApiError."""
        async with aclosing(self._answers(CallIds)) as events:
            async for _ in events:
                pass
        return self._about() | await self._told(items(self._log.messages))

    async def _told(self, output: list[dict[str, Any]]) -> dict[str, Any]:
        return await _result(self._service, self._log.made, output)

    async def events(self) -> AsyncGenerator[dict[str, Any]]:
        """Yield the events of a stream, numbered. Raises ApiError before the first."""
        number = 0
        async with aclosing(self._events()) as events:
            async for event in events:
                yield event | {"sequence_number": number}
                number += 1

    async def _events(self) -> AsyncGenerator[dict[str, Any]]:
        stream, begun = ItemStream(self._own or ()), False
        pending: dict[str, Any] = {
            "status": "in_progress",
            "output": [],
            "usage": None,
            "error": None,
        }
        try:
            async with aclosing(self._answers(stream.anew)) as events:
                async for event in events:
                    if not begun:
                        begun = True
                        for kind in ("created", "in_progress"):
                            response = self._about() | pending
                            yield {"type": f"response.{kind}", "response": response}
                    for made in stream.feed(event):
                        yield made
            told = await self._told(stream.done)
            yield {"type": f"response.{told['status']}", "response": self._about() | told}
        except ApiError as error:
            if not begun:
                raise
            failed: dict[str, Any] = {"status": "failed", "output": stream.done, "usage": None}
            failed["error"] = {"code": "server_error", "message": error.message}
            yield {"type": "response.failed", "response": self._about() | failed}

    async def _answers(self, ids: Callable[[], CallIds]) -> AsyncGenerator[Event]:
        """Answer, run the calls of the server's own tools, answer again."""
        log = self._log
        try:
            while True:
                async with aclosing(self._answer(ids())) as events:
                    async for event in events:
                        yield event
                if self._own is None:
                    return
                async with aclosing(self._own.run(log)) as events:
                    async for event in events:
                        yield event
                if not self._own.wants_answer(await log.path()):
                    return
                self._wanted = msgspec.structs.replace(self._wanted, rows=log.view(), forced=())
        except PalaverError as error:
            raise as_api_error(error) from error
        finally:
            await log.close()

    async def _answer(self, ids: CallIds) -> AsyncGenerator[Event]:
        log = self._log
        keep = log.keep if self._stored else None
        answer = self._service.answer(self._client, self._wanted, ids, keep)
        async with aclosing(answer) as events:
            async for event in events:
                await log.begin()
                if isinstance(event, MessageDone) and not self._stored:
                    await log.keep(event)
                yield event

    def _about(self) -> dict[str, Any]:
        given, used = self._given, self._wanted.sampling
        return {
            "id": self._log.id,
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
            "store": self._stored,
            "temperature": used.temperature,
            "text": {"format": _form(given)},
            "tool_choice": msgspec.to_builtins(given.tool_choice or "auto"),
            "tools": msgspec.to_builtins(given.tools or []),
            "top_p": used.top_p,
            "truncation": "disabled",
            "user": given.user,
        }


def _form(given: ResponseRequest) -> dict[str, Any]:
    """Return the form of an answer as the API tells it again."""
    form = given.text.format if given.text else TextFormat()
    if form.type != "json_schema":
        return {"type": form.type}
    return {"type": form.type, "name": form.name or "answer", "schema": form.schema}
