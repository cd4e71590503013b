"""What a client may ask for: the fields that are understood, with the values they may have.

Names and limits are those of OpenAI's API (platform.openai.com/docs/api-reference); `top_k`,
`min_p`, the two names of the repeat penalty, `reasoning_content` and `return_token_ids` are those
that other local servers take.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from palaver.core.generation import Sampling
from palaver.server.errors import ApiError

Probability = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Repeat = Annotated[float, Meta(ge=1e-6, le=10)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
TokenKey = Annotated[str, Meta(pattern=r"^[0-9]{1,9}$")]  # a token's id
Tokens = Annotated[int, Meta(ge=1, le=1 << 30)]
Choices = Annotated[int, Meta(ge=1, le=16)]
Stop = Annotated[str, Meta(min_length=1)]  # an empty one would end every answer
Stops = Annotated[list[Stop], Meta(max_length=16)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
_TOKEN = 1 << 31  # ids are below


class StreamOptions(Struct):
    """`include_usage`: the last event of a stream holds the usage."""

    include_usage: bool | None = None


class SamplingFields(Struct, kw_only=True):
    """What all kinds of requests understand of sampling."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Meta(ge=0, lt=_TOKEN)] | None = None
    min_p: Probability | None = None
    repeat_penalty: Repeat | None = None
    repetition_penalty: Repeat | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Annotated[dict[TokenKey, Bias], Meta(max_length=1024)] | None = None
    seed: int | None = None
    stop: Stop | Stops | None = None

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


def sampling(
    asked: SamplingFields, usual: Sampling, *limits: int | None, logprobs: int | None = None
) -> Sampling:
    """Turn what was asked for into sampling; `usual` is what holds where nothing was.

    The smallest of `limits` that is one is the most tokens of the answer. Raises ApiError.
    """
    penalty = asked.repeat_penalty
    if penalty is None:
        penalty = asked.repetition_penalty
    given = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "min_p": asked.min_p,
        "repeat_penalty": penalty,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "logit_bias": _biases(asked.logit_bias),
        # the largest number means "any" to llama.cpp
        "seed": None if asked.seed is None else asked.seed % 0xFFFF_FFFF,
        "stop": _stops(asked.stop),
        "logprobs": logprobs,
    }
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    most = min((limit for limit in limits if limit is not None), default=None)
    return msgspec.structs.replace(usual, max_tokens=most, **known)


def _stops(stop: str | list[str] | None) -> tuple[str, ...] | None:
    if stop is None:
        return None
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _biases(biases: dict[str, float] | None) -> tuple[tuple[int, float], ...] | None:
    if biases is None:
        return None
    return tuple((int(key), bias) for key, bias in biases.items())


def another_seed(sampling: Sampling, number: int) -> Sampling:
    """Return the sampling of another choice, which says something else."""
    if sampling.seed is None or not number:
        return sampling
    return msgspec.structs.replace(sampling, seed=(sampling.seed + number) % 0xFFFF_FFFF)


class Function(Struct):
    """A function that the model may call."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Struct):
    """A tool: only functions are understood."""

    type: Literal["function"]
    function: Function


class Named(Struct):
    """Something that has a name."""

    name: str


class ToolChoice(Struct):
    """The function that is to be called."""

    type: Literal["function"]
    function: Named


class Schema(Struct):
    """A JSON Schema that an answer is to follow; its name is for the client alone."""

    schema: dict[str, Any] | None = None


class ResponseFormat(Struct):
    """The form of an answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None

    def schema(self) -> str | None:
        """Return the JSON Schema as text, None for plain text. Raises ApiError."""
        given = self.json_schema.schema if self.json_schema else None
        return schema_text(self.type, given, "response_format.json_schema.schema")


def schema_text(kind: str, schema: dict[str, Any] | None, param: str) -> str | None:
    """Return the JSON Schema of a form, None for plain text. Raises ApiError naming `param`."""
    if kind == "text":
        return None
    if kind == "json_object":
        return '{"type":"object"}'
    if schema is None:
        raise ApiError(f"{param} is missing", param=param)
    return msgspec.json.encode(schema).decode()


class Called(Struct):
    """A call's function and its arguments, JSON as the model wrote it."""

    name: str
    arguments: str = ""


class InCall(Struct):
    """A call in an assistant's message that the client sends back."""

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
    n: Choices | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: Annotated[list[Tool], Meta(max_length=1024)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None


class CompletionRequest(SamplingFields, kw_only=True):
    """The body of /v1/completions. A prompt is text or ids of tokens, or several of one kind."""

    prompt: str | list[int | str | list[int]]
    max_tokens: Annotated[int, Meta(ge=0, le=1 << 30)] | None = None
    n: Choices | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    return_token_ids: bool | None = None
