"""What an endpoint's refusal means for the user, and which of them a changed request mends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.core.errors import EngineError, PalaverError, UserError
from palaver.remote.errors import RefusedError
from palaver.remote.listing import Listed
from palaver.remote.server import Server

_SHOWN = 12  # names of models


class Adapted:
    """How one server wants a request written, as far as that differs from server to server."""

    def __init__(self, owner: str) -> None:
        self._renamed = {"repeat_penalty": "repetition_penalty"} if owner == "vllm" else {}
        self._dropped: set[str] = set()

    def to(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body as the server wants it."""
        names = (name for name in body if name not in self._dropped)
        return {self._renamed.get(name, name): body[name] for name in names}

    def learn(self, error: EngineError) -> bool:
        """Say whether a refusal taught something that is worth another request.

        Newer models of OpenAI want `max_completion_tokens`; some servers know no `stream_options`.
        Others refuse more `max_tokens` than fit beside the prompt: then the context is the limit.
        """
        if not isinstance(error, RefusedError) or error.status not in (400, 422):
            return False
        if "max_completion_tokens" in error.said and "max_tokens" not in self._renamed:
            self._renamed["max_tokens"] = "max_completion_tokens"
            return True
        if "max_tokens" in error.said and "max_tokens" not in self._dropped:
            self._dropped.add("max_tokens")  # it is too much beside this prompt
            return True
        if "stream_options" in error.said and "stream_options" not in self._dropped:
            self._dropped.add("stream_options")
            return True
        return False


def explained(
    error: EngineError, server: Server, model: str | None, listed: Sequence[Listed]
) -> PalaverError:
    """Return an error that says what to do; one of the user's where the request was wrong."""
    if not isinstance(error, RefusedError) or error.passes:
        return error
    if error.status in (401, 403):
        known = "the endpoint refused the key" if server.has_key else "the endpoint wants a key"
        fix = (
            "endpoint_key in the config or PALAVER_ENDPOINT_KEY holds it; key_env names a variable"
        )
        return UserError(f"{known}: {error.said}", fix=fix)
    if error.status == 404 and model:
        names = ", ".join(one.name for one in listed[:_SHOWN])
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        fix = f"it has {names}{more}" if names else "is the address right?"
        return UserError(f"{error.message}; the model asked for was {model!r}", fix=fix)
    if error.status == 413 or "context" in error.said.lower():
        fix = "if it is too long: /trim drops the oldest turns"
        return UserError(error.message, fix=fix)
    return UserError(error.message)
