"""/openapi.json: what the routes take, as OpenAPI 3.1 tells it, made of the types that read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palaver import __version__
from palaver.server.anthropic.input import CountRequest, MessagesRequest
from palaver.server.errors import ANTHROPIC, json_response
from palaver.server.openai import rules
from palaver.server.openai.about import DetokenizeRequest, TokenizeRequest
from palaver.server.openai.asked import ChatRequest, CompletionRequest
from palaver.server.openai.embeddings import EmbeddingRequest
from palaver.server.responses.input import ResponseRequest
from palaver.server.service import Service

Json = dict[str, Any]
_TAKES: dict[str, type[msgspec.Struct]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/responses": ResponseRequest,
    "/v1/embeddings": EmbeddingRequest,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": CountRequest,
    "/tokenize": TokenizeRequest,
    "/detokenize": DetokenizeRequest,
}
_STREAMED = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")
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

_ANTHROPIC_ERROR = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}


async def openapi(request: Request) -> Response:
    """Return the document."""
    state = request.app.state
    return json_response(document(state.service, state.desk.bench.names))


def document(service: Service, tools: Sequence[str]) -> Json:
    """Make the document: what this server takes, as it was started and with its model.

    `tools` are its own.
    """
    takes = {path: kind for path, kind in _TAKES.items() if path != "/v1/embeddings"}
    if service.lanes is None or service.served.embeds:
        takes = _TAKES
    schemas, components = msgspec.json.schema_components(
        takes.values(), ref_template="#/components/schemas/{name}"
    )
    rules.add(components, service, tools)
    paths: Json = {}
    for path, schema in zip(takes, schemas, strict=True):
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        kinds = ("application/json", *(("text/event-stream",) if path in _STREAMED else ()))
        paths[path] = {"post": {"requestBody": body, "responses": _responses(kinds, path)}}
    for path in _TELLS:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
        kinds = ("text/plain",) if path == "/metrics" else ("application/json",)
        paths[path] = {"get": {"parameters": parameters, "responses": _responses(kinds, path)}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "palaver serve", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components | {"Error": _ERROR, "AnthropicError": _ANTHROPIC_ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _responses(kinds: tuple[str, ...], path: str) -> Json:
    name = "AnthropicError" if path.startswith(ANTHROPIC) else "Error"
    error = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    good: Json = {kind: {} for kind in kinds}
    return {
        "200": {"description": "As the API has it.", "content": good},
        "4XX": {"description": "What is wrong with the request.", "content": error},
        "503": {"description": "Loading, ending, or the engine failed.", "content": error},
    }
