"""Responses in the session store, for clients that go on from them by an id."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from palaver.core.errors import PalaverError, UserError
from palaver.core.events import MessageDone
from palaver.core.log import Row
from palaver.core.messages import Message
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

    async def end(self, begun: Row, done: MessageDone) -> None:
        """Write an answer. Raises StoreError."""
        answer = done.message, done.generation
        await self._shelf.append(begun.session, begun.id, *answer, durable=True)
        await self._shelf.release(begun.session)

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
    """Return the path to the answer below a row. Raises UserError where there is none."""
    below = store.children(session, row)
    if not below:
        raise UserError("it was not answered to its end")
    return store.path(session, below[0])


def no_such(response: str) -> ApiError:
    """Make the error for a response that a client has not."""
    return ApiError(
        f"there is no response {response[:200]!r}",
        status=404,
        param="previous_response_id",
        code="previous_response_not_found",
    )
