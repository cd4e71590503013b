"""The page's own routes. Only the page itself can ask them: a header says so that no other page
may send without leave, which nobody is given; and where a browser says from where it asks, that
has to be here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct, field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from palaver.chat.front import Answer
from palaver.core.errors import PalaverError
from palaver.core.generation import Sampling
from palaver.server import body
from palaver.server.errors import ApiError, as_api_error, json_response
from palaver.server.openai import asked
from palaver.server.replies import Stream
from palaver.server.sessions.desk import Desk
from palaver.server.sessions.turn import Asked

T = TypeVar("T")
HEADER = "x-palaver-page"
_LONGEST = 4 << 20  # characters of a message

Said = Annotated[str, Meta(max_length=_LONGEST)]


class PageSampling(asked.SamplingFields, kw_only=True):
    """What a page sets of sampling."""

    max_tokens: asked.Tokens | None = None


class Turn(Struct, kw_only=True):
    """Begins a turn where the session stands at `tip`."""

    tip: int | None = None
    sampling: PageSampling = field(default_factory=PageSampling)


class Say(Turn, kw_only=True):
    """What the user says; `row` is the message that it is said instead of, in an edit."""

    text: Said
    row: int = 0


class Go(Struct):
    """Goes from `tip` to the branch that `row` is in."""

    row: int
    tip: int | None = None


class Reply(Struct):
    """The answer to the question that `digest` names."""

    digest: str
    allowed: bool
    by: Literal["once", "session", "always"] = "once"
    reason: Annotated[str, Meta(max_length=10_000)] = ""


class Title(Struct):
    """A session's name."""

    title: Annotated[str, Meta(max_length=1000)]


class Words(Struct):
    """What is looked for."""

    text: Annotated[str, Meta(max_length=1000)]


class Place(Struct):
    """A row, None for where the session stands."""

    row: int | None = None


class Nothing(Struct):
    """A body in which nothing has to stand."""


async def _open(request: Request, kind: type[T]) -> tuple[Desk, T]:
    """Check who asks, read what they want. Raises ApiError."""
    check(request)
    return request.app.state.desk, await body.read(request, kind)


def check(request: Request) -> None:
    """Raise ApiError where it is not the page that asks."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.get(HEADER) != "1" or site != "same-origin":
        raise ApiError("only the page of this server may ask this", status=403)
    request.app.state.desk.check(request.state.client)


def _session(request: Request) -> int:
    return int(request.path_params["session"])


def _asked(request: Request, turn: Turn) -> Asked:
    service = request.app.state.service
    usual: Sampling = service.usual
    most = turn.sampling.max_tokens or usual.max_tokens
    sampling = asked.sampling(turn.sampling, usual, most, service.limits.max_tokens)
    return Asked(sampling, request.state.client)


def _route(path: str, do: Callable[[Request], Awaitable[object]], method: str = "POST") -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            made = await do(request)
        except PalaverError as error:
            raise as_api_error(error) from error
        if isinstance(made, Response):
            return made
        return json_response(
            {"ok": True} if made is None else made, 200, {"cache-control": "no-store"}
        )

    return Route(f"/page/api{path}", endpoint, methods=[method])


async def _about(request: Request) -> object:
    check(request)
    desk: Desk = request.app.state.desk
    service = desk.service
    served = service.served if service.state == "ready" else None
    return {
        "model": service.name,
        "state": service.state,
        "context": served.engine.info.context if served else None,
        "sampling": service.usual,
        "tools": desk.bench.names,
        "root": str(desk.bench.root),
        "keeps": desk.keeps,
    }


async def _list(request: Request) -> object:
    check(request)
    return {"sessions": await request.app.state.desk.sessions()}


async def _watch(request: Request) -> Response:
    check(request)
    desk: Desk = request.app.state.desk
    await desk.chat(_session(request))
    return Stream(desk.watch(_session(request)))


async def _search(request: Request) -> object:
    desk, words = await _open(request, Words)
    return {"hits": await desk.search(words.text)}


async def _create(request: Request) -> object:
    desk, said = await _open(request, Say)
    return {"id": await desk.create(said.text, _asked(request, said))}


async def _say(request: Request) -> None:
    desk, said = await _open(request, Say)
    await desk.say(_session(request), said.tip, said.text, _asked(request, said))


async def _edit(request: Request) -> None:
    desk, said = await _open(request, Say)
    asked_ = _asked(request, said)
    await desk.edit(_session(request), said.tip, said.row, said.text, asked_)


async def _retry(request: Request) -> None:
    desk, turn = await _open(request, Turn)
    await desk.retry(_session(request), turn.tip, _asked(request, turn))


async def _carry_on(request: Request) -> None:
    desk, turn = await _open(request, Turn)
    await desk.carry_on(_session(request), turn.tip, _asked(request, turn))


async def _undo(request: Request) -> None:
    desk, turn = await _open(request, Turn)
    await desk.undo(_session(request), turn.tip)


async def _redo(request: Request) -> None:
    desk, turn = await _open(request, Turn)
    await desk.redo(_session(request), turn.tip)


async def _go(request: Request) -> None:
    desk, wanted = await _open(request, Go)
    await desk.go(_session(request), wanted.tip, wanted.row)


async def _stop(request: Request) -> None:
    desk, _ = await _open(request, Nothing)
    await (await desk.chat(_session(request))).stop()


async def _answer(request: Request) -> None:
    desk, reply = await _open(request, Reply)
    answer = Answer(reply.allowed, reply.by, reply.reason)
    (await desk.chat(_session(request))).answer(reply.digest, answer)


async def _title(request: Request) -> None:
    desk, named = await _open(request, Title)
    await desk.title(_session(request), named.title)


async def _fork(request: Request) -> dict[str, Any]:
    desk, place = await _open(request, Place)
    return {"id": await desk.fork(_session(request), place.row)}


async def _delete(request: Request) -> None:
    desk, _ = await _open(request, Nothing)
    await desk.delete(_session(request))


_ONE = "/sessions/{session:int}"
ROUTES = [
    _route("/about", _about, "GET"),
    _route("/search", _search),
    _route("/sessions", _list, "GET"),
    _route("/sessions", _create),
    _route(f"{_ONE}/events", _watch, "GET"),
    _route(f"{_ONE}/say", _say),
    _route(f"{_ONE}/edit", _edit),
    _route(f"{_ONE}/retry", _retry),
    _route(f"{_ONE}/continue", _carry_on),
    _route(f"{_ONE}/undo", _undo),
    _route(f"{_ONE}/redo", _redo),
    _route(f"{_ONE}/go", _go),
    _route(f"{_ONE}/stop", _stop),
    _route(f"{_ONE}/answer", _answer),
    _route(f"{_ONE}/title", _title),
    _route(f"{_ONE}/fork", _fork),
    _route(f"{_ONE}/delete", _delete),
]
