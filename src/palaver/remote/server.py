"""Requests to one server: JSON asked and answered, and streams of server-sent events."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from palaver.core.errors import EngineError, UserError
from palaver.remote import address
from palaver.remote.errors import RefusedError, UnreachableError, hide, retry_after, words
from palaver.remote.events import Events

if TYPE_CHECKING:
    import httpx2

CONNECT = 10.0  # seconds until a connection must stand
IDLE = 300.0  # seconds that a server may say nothing: a long prompt is read that long
_MOST = 1 << 24  # bytes of an answer that is no stream
_ERROR = 1 << 16  # bytes of an error that are read


class Server:
    """One server. `url` is its base address, as `address.base_url` makes it."""

    def __init__(self, url: str, key: str = "", *, idle: float = IDLE) -> None:
        """Raises UserError for a key that can't be sent."""
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise UserError("the endpoint's key holds blanks or other odd characters")
        self.url = url
        self.has_key = bool(key)
        self._key = key
        self._idle = idle
        self._client: httpx2.AsyncClient | None = None

    @property
    def name(self) -> str:
        """The address as the user may see it."""
        return address.shown(self.url)

    def hide(self, text: str) -> str:
        """Return a text without the key."""
        return hide(text, self._key)

    async def get(self, path: str, *, limit: float | None = None) -> Any:
        """Ask for JSON below the base address; see `ask`."""
        return await self.ask("GET", address.join(self.url, path), limit=limit)

    async def ask(
        self, method: str, url: str, body: object = None, *, limit: float | None = None
    ) -> Any:
        """Send one request and return the JSON that answers it, within `limit` seconds.

        Raises RefusedError, UnreachableError, EngineError for an answer that is no JSON.
        """
        self._connected()  # what has to be imported takes no time from the server's
        try:
            async with asyncio.timeout(limit), self._open(method, url, body) as response:
                data = await self._body(response, _MOST)
        except TimeoutError:
            raise self._silent(url, limit or 0, self._is_it_there()) from None
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise EngineError(
                f"{address.shown(url)} answered with what is no JSON: {words(data, self._key)}",
                fix="is this the address of an OpenAI-compatible server?",
            ) from None

    async def stream(
        self, path: str, body: object, *, root: bool = False
    ) -> AsyncGenerator[list[str]]:
        """Send one request; yield the data of the events that came together, as they come.

        `path` is below the base address, or below its `root`, without /v1.
        The last is "[DONE]" where the server said so; an answer that is no stream is one event.
        Raises RefusedError, UnreachableError, EngineError.
        """
        url = address.join(address.root(self.url) if root else self.url, path)
        async with self._open("POST", url, body) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/html":  # a page for people, of a proxy or a portal
                raise EngineError(
                    f"{address.shown(url)} answered with a web page",
                    fix="is this the address of an OpenAI-compatible server?",
                )
            if kind == "application/json":
                yield [(await self._body(response, _MOST)).decode(errors="replace"), "[DONE]"]
                return
            events = Events()
            async for data in response.aiter_bytes():
                if found := events.feed(data):
                    yield found
            if found := events.finish():
                yield found

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        client, self._client = self._client, None
        if client:
            await client.aclose()

    @asynccontextmanager
    async def _open(self, method: str, url: str, body: object) -> AsyncGenerator[httpx2.Response]:
        import httpx2

        content = (
            None
            if body is None
            else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        )
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            async with self._connected().stream(
                method, url, content=content, headers=headers
            ) as response:
                if response.is_redirect:
                    raise self._redirected(url, response.headers.get("location", ""))
                if response.status_code != 200:
                    raise await self._refused(url, response)
                yield response
        except httpx2.TimeoutException as error:
            if isinstance(error, httpx2.ConnectTimeout):
                raise UnreachableError(
                    f"nothing answers at {address.shown(url)} within {CONNECT:.0f} s",
                    fix=self._is_it_there(),
                ) from None
            fix = "endpoint_idle sets how long a server may be silent"
            raise self._silent(url, self._idle, fix) from None
        except httpx2.InvalidURL as error:
            raise UserError(f"{address.shown(url)} is no address: {error}") from None
        except (httpx2.RequestError, httpx2.StreamError) as error:
            raise self._broken(url, error) from None

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            here = address.is_here(self.url)
            try:
                self._client = httpx2.AsyncClient(
                    timeout=httpx2.Timeout(self._idle, connect=CONNECT),
                    follow_redirects=False,  # key and words go to the named server alone
                    trust_env=not here,  # proxies are for other computers
                    # Certificates are read for nothing where nobody shows one.
                    verify=not here or self.url.startswith("https:"),
                    # One that is kept may be gone when it is used; here a new one is cheap.
                    limits=httpx2.Limits(max_keepalive_connections=0 if here else 2),
                )
            except (ValueError, ImportError, OSError) as error:
                raise UserError(
                    f"proxy or certificates of the environment can't be used: {error}",
                    fix="see HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE, SSL_CERT_DIR",
                ) from None
        return self._client

    async def _body(self, response: httpx2.Response, most: int) -> bytes:
        data = bytearray()
        async for part in response.aiter_bytes():
            data += part
            if len(data) > most:
                raise EngineError(f"{self.name} answered with more than {most >> 20} MiB")
        return bytes(data)

    async def _refused(self, url: str, response: httpx2.Response) -> RefusedError:
        data = bytearray()
        try:
            async with asyncio.timeout(CONNECT):
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > _ERROR:
                        break
        except TimeoutError:
            pass  # what it said so far says enough
        wait = retry_after(response.headers.get("retry-after"))
        said = words(bytes(data), self._key)
        return RefusedError(address.shown(url), response.status_code, said, wait)

    def _redirected(self, url: str, to: str) -> UserError:
        where = address.shown(self.hide(to))[:300]
        return UserError(
            f"{address.shown(url)} redirects to {where or 'nowhere'}: nothing was sent there",
            fix="if that is the right server, give its address as the endpoint",
        )

    def _silent(self, url: str, seconds: float, fix: str) -> UnreachableError:
        return UnreachableError(
            f"{address.shown(url)} said nothing for {seconds:.0f} s",
            fix=fix,
            passes=False,  # it may be reading a long prompt: a second one makes that no shorter
        )

    def _broken(self, url: str, error: Exception) -> UnreachableError:
        import httpx2

        causes = list(_causes(error))
        reason = next((said for cause in reversed(causes) if (said := _system(cause))), "")
        reason = reason or self.hide(str(error)) or type(error).__name__
        if isinstance(error, httpx2.ConnectError):
            return UnreachableError(
                f"nothing answers at {address.shown(url)}: {reason}",
                fix=self._is_it_there(),
                passes=not any(isinstance(cause, ssl.SSLError) for cause in causes),
            )
        return UnreachableError(f"the connection to {address.shown(url)} broke: {reason}")

    def _is_it_there(self) -> str:
        if address.is_here(self.url):
            return "is the server running? `palaver doctor` lists those that answer"
        return "is the address right, and the network there?"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from, also where several came together."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__


def _system(error: BaseException) -> str:
    """Return the system's words for an error of its own."""
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError) or error.errno is None:
        return ""
    return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
