"""What a client may ask for: the fields that are understood, with the values they may have.

Names and limits are those of OpenAI's API (platform.openai.com/docs/api-reference); `top_k`,
`min_p` and the two names of the repeat penalty are those that other local servers take.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from palaver.core.generation import Sampling
from palaver.server.errors import ApiError

Probability = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Tokens = Annotated[int, Meta(ge=1, le=1 << 30)]
Texts = Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=16)]


class StreamOptions(Struct):
    """`include_usage`: the last event of a stream holds the usage."""

    include_usage: bool | None = None


class SamplingFields(Struct, kw_only=True):
    """What both kinds of completions understand of sampling."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=1 << 30)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Meta(ge=0, le=1 << 30)] | None = None
    min_p: Probability | None = None
    repeat_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    repetition_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Annotated[dict[str, Bias], Meta(max_length=1024)] | None = None
    seed: int | None = None
    stop: str | Texts | None = None
    n: Annotated[int, Meta(ge=1, le=16)] | None = None

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


def sampling(asked: SamplingFields, usual: Sampling, most: int | None) -> Sampling:
    """Turn what was asked for into sampling; `usual` is what holds where nothing was.

    `most` is the number of tokens that no answer may pass. Raises ApiError.
    """
    longer = getattr(asked, "max_completion_tokens", None)
    wanted = [n for n in (asked.max_tokens, longer, most) if n is not None]
    penalty = asked.repeat_penalty
    penalty = asked.repetition_penalty if penalty is None else penalty
    given = {
        "max_tokens": min(wanted) if wanted else None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "min_p": asked.min_p,
        "repeat_penalty": penalty,
        # the largest number means "any" to llama.cpp
        "seed": None if asked.seed is None else asked.seed % 0xFFFF_FFFF,
        "stop": _stops(asked.stop),
    }
    known = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(usual, **known | {"max_tokens": given["max_tokens"]})


def _stops(stop: str | list[str] | None) -> tuple[str, ...] | None:
    if stop is None:
        return None
    if stop == "":
        raise ApiError("stop: an empty text would end every answer", param="stop")
    return (stop,) if isinstance(stop, str) else tuple(stop)


class Function(Struct):
    """A function that the model may call."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct):
    """A tool: only functions are understood."""

    type: Literal["function"]
    function: Function


class InCall(Struct):
    """A call in an assistant's message that the client sends back."""

    class Called(Struct):
        """Its function and the arguments, JSON as the model wrote it."""

        name: str
        arguments: str = ""

    id: str
    function: Called


class InMessage(Struct):
    """A message as a client sends it."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[InCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


class ChatRequest(SamplingFields, kw_only=True):
    """The body of /v1/chat/completions."""

    messages: Annotated[list[InMessage], Meta(min_length=1)]
    max_completion_tokens: Tokens | None = None
    max_tokens: Tokens | None = None
    tools: Annotated[list[Tool], Meta(max_length=1024)] | None = None
