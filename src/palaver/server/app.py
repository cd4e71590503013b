"""The routes."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from palaver.core.errors import PalaverError
from palaver.server import static
from palaver.server.anthropic import messages as anthropic_messages
from palaver.server.errors import ApiError, as_api_error, error_response, our_fault
from palaver.server.openai import about, chat, completions, embeddings, openapi
from palaver.server.responses import route as responses
from palaver.server.service import Service
from palaver.server.sessions import routes as sessions
from palaver.server.sessions.desk import Desk

ROUTES = [
    Route("/v1/chat/completions", chat.completions, methods=["POST"]),
    Route("/v1/completions", completions.completions, methods=["POST"]),
    Route("/v1/embeddings", embeddings.embeddings, methods=["POST"]),
    Route("/v1/responses", responses.create, methods=["POST"]),
    Route("/v1/responses/{response}", responses.retrieve),
    Route("/v1/messages", anthropic_messages.messages, methods=["POST"]),
    Route("/v1/messages/count_tokens", anthropic_messages.count_tokens, methods=["POST"]),
    Route("/v1/models", about.models),
    Route("/v1/models/{model:path}/info", about.model_info),
    Route("/v1/models/{model:path}", about.model),
    Route("/tokenize", about.tokenize, methods=["POST"]),
    Route("/detokenize", about.detokenize, methods=["POST"]),
    Route("/health", about.health),
    Route("/healthz", about.health),
    Route("/metrics", about.metrics),
    Route("/openapi.json", openapi.openapi),
    *sessions.ROUTES,
    *static.ROUTES,
]


_PATHS = {route.endpoint: route.path for route in ROUTES}


def route_of(scope: Scope) -> str:
    """Return the route that a request took, for counts and logs."""
    endpoint = scope.get("endpoint")
    return _PATHS.get(endpoint, "other") if endpoint else "other"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error, request.url.path)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, PalaverError)
    return error_response(as_api_error(error), request.url.path)


async def _fault(request: Request, error: Exception) -> Response:
    """Say that the fault is ours; the traceback is in the log."""
    return error_response(our_fault(), request.url.path)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path[:200]}"
    refused = ApiError(f"{what}: {error.detail.lower()}", status=error.status_code)
    made = error_response(refused, request.url.path)
    made.headers.update(error.headers or {})
    return made


async def _gone(request: Request, error: Exception) -> Response:
    """Answer nobody: the client left before it had said what it wants."""
    return Response(status_code=400)


def make_app(service: Service, desk: Desk) -> Starlette:
    """Make the application of a service and of the sessions that the page shows."""
    handlers = {
        ApiError: _refused,
        PalaverError: _failed,
        HTTPException: _no_route,
        ClientDisconnect: _gone,
        Exception: _fault,
    }
    app = Starlette(routes=ROUTES, exception_handlers=handlers)
    app.state.service = service
    app.state.desk = desk
    return app
