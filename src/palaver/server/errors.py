"""What is wrong with a request, said as OpenAI's API says it, or Anthropic's in theirs."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from palaver.core.errors import EngineError, PalaverError, UserError

ANTHROPIC = "/v1/messages"  # what is below is theirs
_KINDS = {404: "not_found_error", 413: "request_too_large", 503: "overloaded_error"}


class ApiError(Exception):
    """A request can't be served. `param` names the field that is wrong, as `messages[0].role`.

    `retry_after` is in seconds. The message is for the client and may hold what it sent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """OpenAI's `type` of the error."""
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        if self.status >= 500:
            return "server_error"
        return kinds.get(self.status, "invalid_request_error")

    def body(self, path: str = "") -> dict[str, Any]:
        """Return the error's object, as the API that `path` belongs to has it."""
        if path.startswith(ANTHROPIC):
            kind = _KINDS.get(self.status, "api_error" if self.status >= 500 else self.kind)
            return {"type": "error", "error": {"type": kind, "message": self.message}}
        inner = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": inner}


def as_api_error(error: PalaverError, param: str | None = None) -> ApiError:
    """Say an error of ours to a client: what they asked for is wrong, or the engine failed.

    `param` is the field that is wrong if it is the client's fault.
    """
    if isinstance(error, EngineError):
        code = "engine_died" if error.died else "engine_failed"
        return ApiError(error.message, status=503, code=code, retry_after=1)
    if isinstance(error, UserError):
        return ApiError(f"{param}: {error.message}" if param else error.message, param=param)
    return ApiError(error.message, status=503)


def server_ends() -> ApiError:
    """Make the error for what the server's end leaves undone."""
    return ApiError("the server is ending", status=503, code="draining", retry_after=5)


def our_fault() -> ApiError:
    """Make the error for a fault in palaver."""
    return ApiError("palaver failed; its log says more", status=500, code="internal_error")


def json_response(
    value: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Make an answer of JSON."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def error_response(error: ApiError, path: str) -> Response:
    """Make an error's answer to a request for `path`."""
    headers = {"retry-after": str(error.retry_after)} if error.retry_after is not None else None
    if error.status == 401:
        headers = {"www-authenticate": "Bearer"}
    return json_response(error.body(path), error.status, headers)
