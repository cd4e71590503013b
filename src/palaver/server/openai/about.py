"""Routes that tell of the server and its model, and that count tokens."""

from __future__ import annotations

import datetime
import time
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from palaver.core.errors import PalaverError
from palaver.server import body
from palaver.server.errors import ApiError, as_api_error, json_response
from palaver.server.openai.asked import InMessage, Tool
from palaver.server.openai.chat import as_rows
from palaver.server.openai.tools import specs
from palaver.server.service import Service


async def health(request: Request) -> Response:
    """Say whether requests are served."""
    service: Service = request.app.state.service
    lanes = service.lanes
    about = {
        "status": "ok" if service.state == "ready" else service.state,
        "model": service.name,
        "uptime_seconds": round(time.time() - service.began, 1),
        "active_requests": lanes.busy if lanes else 0,
        "waiting_requests": lanes.waiting if lanes else 0,
        "slots": len(lanes.lanes) if lanes else 0,
    }
    return json_response(about, 200 if service.state == "ready" else 503)


async def metrics(request: Request) -> Response:
    """Return what was counted."""
    service: Service = request.app.state.service
    lanes = service.lanes
    text = service.metrics.text(
        up=int(service.state == "ready"),
        slots=len(lanes.lanes) if lanes else 0,
        slots_busy=lanes.busy if lanes else 0,
        requests_waiting=lanes.waiting if lanes else 0,
    )
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def models(request: Request) -> Response:
    """List the models, the one that is served, as OpenAI's clients look for it and Anthropic's."""
    one = _model(request.app.state.service)
    ends = {"first_id": one["id"], "last_id": one["id"], "has_more": False}
    return json_response({"object": "list", "data": [one], **ends})


async def model(request: Request) -> Response:
    """Return the model of a name."""
    service: Service = request.app.state.service
    service.check_name(request.path_params["model"])
    return json_response(_model(service))


def _model(service: Service) -> dict[str, object]:
    began = datetime.datetime.fromtimestamp(int(service.began), datetime.UTC)
    made: dict[str, object] = {
        "id": service.name,
        "object": "model",
        "created": int(service.began),
        "owned_by": "palaver",
        "type": "model",
        "display_name": service.name,
        "created_at": began.isoformat(),
    }
    if service.lanes:
        made["max_model_len"] = service.served.engine.info.context
    return made


async def model_info(request: Request) -> Response:
    """Return what is known of the model of a name."""
    service: Service = request.app.state.service
    service.check_name(request.path_params["model"])
    engine = (await service.alive()).engine
    (fmt,) = {one.format for one in await service.models()}
    scalars = engine.file.metadata
    kind = scalars.get("general.architecture")
    return json_response(
        {
            "id": service.name,
            "name": engine.info.model,
            "engine": engine.info.name,
            "architecture": kind,
            "num_layers": scalars.get(f"{kind}.block_count"),
            "hidden_size": scalars.get(f"{kind}.embedding_length"),
            "trained_context": scalars.get(f"{kind}.context_length"),
            "context": engine.info.context,
            "slots": engine.parallel,
            "threads": engine.info.threads,
            "weights_bytes": engine.info.weights_bytes,
            "kv_bytes_per_token": engine.info.kv_bytes_per_token,
            "fingerprint": engine.info.fingerprint,
            "template": fmt.source,
            "replies": fmt.replies,
            "knows_tools": fmt.tools,
        }
    )


class TokenizeRequest(Struct):
    """Text to tokenise, by llama.cpp's name or vLLM's; or a chat, as the model would read it.

    `add_special` puts the beginning token before it; without `parse_special` texts of control
    tokens are plain text.
    """

    content: str | None = None
    prompt: str | None = None
    messages: Annotated[list[InMessage], Meta(min_length=1)] | None = None
    tools: list[Tool] | None = None
    add_special: bool = False
    parse_special: bool = True


class DetokenizeRequest(Struct):
    """Ids to write as text."""

    tokens: list[Annotated[int, Meta(ge=0, lt=1 << 31)]]


async def tokenize(request: Request) -> Response:
    """Return the ids of a text, or of a chat's prompt."""
    service: Service = request.app.state.service
    given = await body.read(request, TokenizeRequest)
    engine = (await service.alive()).engine
    try:
        ids = await _ids(service, given)
    except PalaverError as error:
        param = "content" if given.messages is None else "messages"
        raise as_api_error(error, param) from error
    about: dict[str, Any] = {"tokens": ids, "count": len(ids)}
    return json_response(about | {"max_model_len": engine.info.context})


async def _ids(service: Service, given: TokenizeRequest) -> list[int]:
    if given.messages is not None:
        model = (await service.models())[0]
        rows = as_rows(service, given.messages)
        return list((await model.prompt(rows, specs(given.tools or ()))).ids)
    text = given.content if given.content is not None else given.prompt
    if text is None:
        raise ApiError("content is missing", param="content")
    tokenizer = service.served.engine.tokenizer
    ids = await tokenizer.encode(text, special=given.parse_special)
    first = given.add_special and tokenizer.bos_id is not None
    return [tokenizer.bos_id, *ids] if first and tokenizer.bos_id is not None else ids


async def detokenize(request: Request) -> Response:
    """Return the text of ids."""
    service: Service = request.app.state.service
    given = await body.read(request, DetokenizeRequest)
    text = await service.decode(given.tokens, "tokens")
    return json_response({"content": text, "prompt": text})
