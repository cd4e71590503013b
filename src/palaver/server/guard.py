"""What stands before every route: which hosts, which pages, whose key; and the log.

A page in the user's browser can send requests to 127.0.0.1, and by DNS rebinding read answers.
So the Host has to be one of ours, and where a browser says from which page a request comes
(Origin), that has to be ours or one that the owner named.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palaver.core.errors import UserError
from palaver.server.errors import ApiError, error_response
from palaver.server.keys import Keys
from palaver.server.metrics import Metrics
from palaver.server.static import is_static

HEAD_BYTES = 32 << 10
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OPEN = ("/health", "/healthz")  # say nothing that is secret: who watches a server has no key
_ALLOWED = "authorization, content-type, x-request-id, x-api-key, anthropic-version"


class Policy(Struct, frozen=True):
    """Who may ask. `hosts` are names that a Host may have, `origins` pages that may ask."""

    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()
    keys_needed: bool = False


class Guard:
    """Middleware; `log` gets a line a request, which holds nothing of what was said.

    `route` gives a request's route, which no client has made up.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy,
        keys: Keys,
        metrics: Metrics,
        log: Callable[[str], None],
        route: Callable[[Scope], str],
    ) -> None:
        self._app = app
        self._policy = policy
        self._keys = keys
        self._metrics = metrics
        self._log = log
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        headers = Headers(scope=scope)
        sent = headers.get("x-request-id", "")
        request_id = sent if _ID.fullmatch(sent) else f"req_{secrets.token_hex(12)}"
        origin = headers.get("origin")
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                made = MutableHeaders(raw=message["headers"])
                made["x-request-id"] = request_id
                made["x-content-type-options"] = "nosniff"
                if origin in self._policy.origins:
                    made["access-control-allow-origin"] = origin
                    made["access-control-expose-headers"] = "x-request-id"
                    made.add_vary_header("origin")
            await send(message)

        client = ""
        try:
            # h11 has a limit of its own, but not for what comes in one piece.
            if sum(len(name) + len(value) for name, value in headers.raw) > HEAD_BYTES:
                raise ApiError(f"the headers hold more than {HEAD_BYTES} bytes", status=431)
            if "content-length" in headers and "transfer-encoding" in headers:
                raise ApiError("a body has a length or comes in chunks, not both")
            self._check_place(scope, headers)
            if scope["method"] == "OPTIONS" and origin in self._policy.origins:
                await _preflight()(scope, receive, answer)
                return
            client = self._client(scope, headers)
            scope.setdefault("state", {})["client"] = client
            await self._app(scope, receive, answer)
        except ApiError as error:
            await error_response(error, scope["path"])(scope, receive, answer)
        finally:
            route = self._route(scope)
            self._metrics.requests[route, status] += 1
            seconds = time.monotonic() - began
            who = client or "-"
            what = f"{scope['method'][:16]} {route} {status or 'gone'}"
            self._log(f"{request_id} {who} {what} {seconds:.3f} s")

    def _check_place(self, scope: Scope, headers: Headers) -> None:
        """Raise ApiError where a request was sent to another host, or by a page of another."""
        host = headers.get("host", "")
        # The address that was connected to is no name that somebody else could have made up.
        address = scope["server"][0] if scope.get("server") else ""
        if _name(f"//{host}") not in {*self._policy.hosts, address} - {""}:
            raise ApiError(
                f"the host {host[:200]!r} is not served here; --allow-host adds names", status=403
            )
        origin = headers.get("origin")
        if origin is None:
            # A link that the user followed shows them an answer, and nobody else.
            followed = scope["method"] == "GET" and headers.get("sec-fetch-dest") == "document"
            foreign = headers.get("sec-fetch-site") == "cross-site" and not followed
        else:
            own = origin in (f"http://{host}", f"https://{host}")
            foreign = not own and origin not in self._policy.origins
        if foreign:
            raise ApiError(
                f"pages of {(origin or 'another site')[:200]!r} may not ask here;"
                " --allow-origin adds some",
                status=403,
            )

    def _client(self, scope: Scope, headers: Headers) -> str:
        """Return who asks: the name of their key, else their address. Raises ApiError."""
        kind, _, key = headers.get("authorization", "").partition(" ")
        if not kind:  # as Anthropic's clients send it
            kind, key = "bearer", headers.get("x-api-key", "")
        address = scope["client"][0] if scope.get("client") else "local"
        if not self._policy.keys_needed or scope["path"] in _OPEN or is_static(scope["path"]):
            return str(address)
        try:
            name = self._keys.owner(key.strip()) if kind.lower() == "bearer" else None
        except UserError as error:
            raise ApiError("the keys of this server can't be read", status=503) from error
        if name is None:
            raise ApiError(
                "a key is needed: Authorization: Bearer KEY", status=401, code="invalid_api_key"
            )
        return name


def _name(url: str) -> str:
    """Return the host's name in a URL, "" where it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _preflight() -> Response:
    """Answer a browser which asks whether a page may ask."""
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": _ALLOWED,
            "access-control-max-age": "600",
        },
    )
