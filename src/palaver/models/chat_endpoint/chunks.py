"""What a chat endpoint sends: the shapes of OpenAI's chat completions, read leniently.

Any field may be missing or null. https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from palaver.core.errors import EngineError


class Function(Struct):
    """A piece of a call: its name, and text of its arguments (some servers send the object)."""

    name: str | None = None
    arguments: Any = None


class CallPiece(Struct):
    """More of a tool call. Not every server numbers them, or gives them ids."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(Struct):
    """More of a reply. Reasoning stands in `reasoning_content` or in `reasoning`."""

    content: Any = None  # a text, or a list of parts
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallPiece] | None = None


class Choice(Struct):
    """One of the replies; we ask for one. `message` stands in an answer that is no stream."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class _Details(Struct):
    cached_tokens: int | None = None


class Usage(Struct):
    """What a request took, in tokens; `cached` of the prompt's were not read again."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None

    @property
    def cached(self) -> int:
        """Return how many tokens of the prompt the server had already."""
        details = self.prompt_tokens_details
        return min(details.cached_tokens or 0, self.prompt_tokens or 0) if details else 0


class Chunk(Struct):
    """One event of a stream."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


def read(data: str) -> Chunk:
    """Read an event's data; raises EngineError for what is no chunk."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        failure = error
    try:  # half a surrogate pair, which Python's own reader lets pass, becomes a question mark
        whole = json.dumps(json.loads(data, strict=False), ensure_ascii=False)
        return _decode(whole.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        shown = " ".join(data.split())[:200]
        raise EngineError(f"the endpoint sent what is no chunk ({failure}): {shown}") from None


def text_of(content: Any) -> str:
    """Return the text of a `content`: it is one, or a list of parts of which some have one."""
    if isinstance(content, list):
        return "".join(text_of(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
