"""Responses in the session store, for clients that go on from them by an id."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from palaver.core.errors import PalaverError, UserError
from palaver.core.generation import Generation
from palaver.core.log import CallStarted, Entry, Row
from palaver.core.messages import Message, ToolResult
from palaver.server.errors import ApiError, as_api_error
from palaver.server.memory import Shelf
from palaver.sessions.store import Store


class Drawer:
    """Responses in the session store. A response's id says which row it is, and proves that the
    client who sends it was told it.
    """

    def __init__(self, shelf: Shelf, secret: Path) -> None:
        """`secret` is a file, made when it is first needed."""
        self._shelf = shelf
        self._secret = secret

    async def rows(self, client: str, response: str) -> list[Row]:
        """Return the conversation up to a response. Raises ApiError where the client has none."""
        kind, _, rest = response.partition("_")
        place, _, proof = rest.rpartition("_")
        sent, own = proof.encode("utf-8", "surrogatepass"), self._proof(client, place).encode()
        try:
            if kind == "resp" and secrets.compare_digest(sent, own):
                session, row = map(int, place.split("_"))
                return await (await self._shelf.store()).run(_answered, session, row)
        except UserError:  # it was deleted, or not answered to its end
            pass
        except PalaverError as error:
            raise as_api_error(error) from error
        raise no_such(response)

    async def made(self, client: str, response: str) -> list[Row]:
        """Return what a response is made of. Raises ApiError where the client has none."""
        rows = await self.rows(client, response)
        begun = int(response.split("_")[2])
        return rows[[row.id for row in rows].index(begun) + 1 :]

    async def begin(
        self, client: str, before: list[Row], new: Sequence[Message]
    ) -> tuple[str, Row]:
        """Write what was said; return the response's id and the last row. Raises StoreError."""
        session = before[-1].session if before else await self._shelf.begin()
        at = before[-1] if before else None
        for message in new:
            at = await self._shelf.append(session, at.id if at else None, message)
        assert at
        place = f"{session}_{at.id}"
        return f"resp_{place}_{self._proof(client, place)}", msgspec.structs.replace(
            at, session=session
        )

    async def append(self, last: Row, entry: Entry, generation: Generation | None) -> Row:
        """Write an entry below the last row. Raises StoreError."""
        row = await self._shelf.append(last.session, last.id, entry, generation, durable=True)
        return msgspec.structs.replace(row, session=last.session)

    async def release(self, last: Row) -> None:
        """Let others write the session of a row."""
        await self._shelf.release(last.session)

    async def close(self) -> None:
        """Close the store."""
        await self._shelf.close()

    def _proof(self, client: str, place: str) -> str:
        try:
            key = self._secret.read_bytes()
        except FileNotFoundError:
            key = secrets.token_bytes(32)
            self._secret.touch(0o600)
            self._secret.write_bytes(key)
        text = f"{client}\0{place}".encode("utf-8", "surrogatepass")
        return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]


def _answered(store: Store, session: int, row: int) -> list[Row]:
    """Return the path to the end of what was answered to a row: an answer, or several with the
    results of the server's own tools between them. Raises UserError where there is none.
    """
    end: list[Row] = []
    started: set[str] = set()
    while below := store.children(session, row):
        row = below[0]
        path = store.path(session, row)
        entry = path[-1].entry
        if isinstance(entry, CallStarted):
            started.add(entry.call_id)
        elif not isinstance(entry, Message) or not (
            entry.role == "assistant" or _ran_here(entry, started)
        ):
            break
        elif entry.role == "assistant":
            end = path
    if not end:
        raise UserError("it was not answered to its end")
    return end


def _ran_here(message: Message, started: set[str]) -> bool:
    """Say whether results are those of tools of ours: they were begun here, or refused."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    return bool(results) and all(one.failed or one.call_id in started for one in results)


def no_such(response: str) -> ApiError:
    """Make the error for a response that a client has not."""
    return ApiError(
        f"there is no response {response[:200]!r}",
        status=404,
        param="previous_response_id",
        code="previous_response_not_found",
    )
