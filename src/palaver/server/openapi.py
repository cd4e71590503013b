"""/openapi.json: what the routes take, as OpenAPI 3.1 tells it, made of the types that read it."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver import __version__
from palaver.server.about import DetokenizeRequest, TokenizeRequest
from palaver.server.asked import ChatRequest, CompletionRequest
from palaver.server.embeddings import EmbeddingRequest
from palaver.server.errors import json_response
from palaver.server.response_input import ResponseRequest

_TAKES: dict[str, type[msgspec.Struct]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/responses": ResponseRequest,
    "/v1/embeddings": EmbeddingRequest,
    "/tokenize": TokenizeRequest,
    "/detokenize": DetokenizeRequest,
}
_TELLS = (
    "/v1/models",
    "/v1/models/{model}",
    "/v1/models/{model}/info",
    "/v1/responses/{response}",
    "/health",
    "/metrics",
)
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


async def openapi(request: Request) -> Response:
    """Return the document."""
    return json_response(document())


@cache
def document() -> dict[str, Any]:
    """Make the document."""
    schemas, components = msgspec.json.schema_components(
        _TAKES.values(), ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Any] = {}
    for path, schema in zip(_TAKES, schemas, strict=True):
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths[path] = {"post": {"requestBody": body, "responses": _responses()}}
    for path in _TELLS:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
        paths[path] = {"get": {"parameters": parameters, "responses": _responses()}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "palaver serve", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components | {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _responses() -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    good: dict[str, Any] = {
        kind: {} for kind in ("application/json", "text/event-stream", "text/plain")
    }
    return {
        "200": {"description": "As OpenAI's API has it.", "content": good},
        "4XX": {"description": "What is wrong with the request.", "content": error},
        "503": {"description": "Loading, ending, or the engine failed.", "content": error},
    }
