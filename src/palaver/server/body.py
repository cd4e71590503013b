"""Reading a request's body: as far as it may be long, in the time that it may take, as what
its route wants. What a route does not know is ignored, what is wrong is named.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from palaver.server.errors import ApiError

T = TypeVar("T")

LONGEST = 16 << 20  # bytes
PATIENCE = 60.0  # seconds for a body to come
_WHERE = re.compile(r" - at `(?:key` in `)?\$\.?(.*?)`$", re.DOTALL)


async def read(request: Request, kind: type[T]) -> T:
    """Return the body as a `kind`. Raises ApiError, starlette's ClientDisconnect."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise ApiError("the content type must be application/json", status=415)
    try:
        async with asyncio.timeout(PATIENCE):
            data = await _bytes(request)
    except TimeoutError:
        raise ApiError(f"the body did not come within {PATIENCE:.0f} seconds", status=408) from None
    return decode(data, kind)


async def _bytes(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > LONGEST:
        raise _too_long()
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LONGEST:
            raise _too_long()
    return bytes(data)


def _too_long() -> ApiError:
    return ApiError(f"the body is longer than {LONGEST >> 20} MiB", status=413)


def decode(data: bytes, kind: type[T]) -> T:
    """Return JSON as a `kind`. Raises ApiError which names the field that is wrong."""
    try:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise
            return msgspec.convert(_whole(msgspec.json.decode(data)), kind)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _WHERE.search(text)
        param = (found[1] or None) if found else None
        reason = _WHERE.sub("", text)
        missing = re.search("missing required field `(.*)`", reason)
        if missing:
            param = f"{param}.{missing[1]}" if param else missing[1]
        raise ApiError(f"{param}: {reason}" if param else reason, param=param) from None
    except msgspec.DecodeError as error:
        raise ApiError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise ApiError("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise ApiError("the body is not UTF-8") from None


def _whole(value: Any) -> Any:
    """Return JSON in which 5.0 is 5: to JSON both are the same number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    return value
