"""/v1/embeddings: vectors of texts, where the server was started for them."""

from __future__ import annotations

import base64
from array import array
from typing import Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from palaver.core.errors import PalaverError
from palaver.launch import EMBEDDED
from palaver.server import body
from palaver.server.errors import ApiError, as_api_error
from palaver.server.openai.completions import prompts
from palaver.server.replies import Whole
from palaver.server.service import Service


class EmbeddingRequest(Struct):
    """The body of /v1/embeddings. An input is text or ids of tokens, or several of one kind."""

    input: str | list[int | str | list[int]]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


async def embeddings(request: Request) -> Response:
    """Return a vector for each input."""
    service: Service = request.app.state.service
    given = await body.read(request, EmbeddingRequest)
    service.admit(given.model)
    if not service.served.embeds:
        raise ApiError("this server makes no embeddings: it was started without --embeddings")
    return Whole(_embed(service, given, request.state.client))


async def _embed(service: Service, given: EmbeddingRequest, client: str) -> object:
    served = await service.alive()
    ready = [await service.raw_prompt(one, "input") for one in prompts(given.input, "input")]
    most = min(EMBEDDED, served.engine.info.context)
    for i, prompt in enumerate(ready):
        if len(prompt.ids) > most:
            raise ApiError(
                f"input: number {i} has {len(prompt.ids)} tokens, {most} are the most",
                param="input",
                code="context_length_exceeded",
            )
    async with served.lanes.take(client, ready[0].ids) as lane:
        try:
            vectors = await served.engine.embed([prompt.ids for prompt in ready])
        except PalaverError as error:
            raise as_api_error(error, "input") from error
        finally:
            served.lanes.forget_idle(lane)
    if given.dimensions not in (None, len(vectors[0])):
        raise ApiError(f"dimensions: those of this model are {len(vectors[0])}", param="dimensions")
    tokens = sum(len(prompt.ids) for prompt in ready)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": _written(vector, given)}
            for i, vector in enumerate(vectors)
        ],
        "model": service.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _written(vector: list[float], given: EmbeddingRequest) -> list[float] | str:
    if given.encoding_format != "base64":
        return vector
    return base64.b64encode(array("f", vector).tobytes()).decode()
