"""The routes."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from palaver.server import chat
from palaver.server.errors import ApiError, error_response, json_response
from palaver.server.service import Service


async def models(request: Request) -> Response:
    """List the models: the one that is served."""
    return json_response({"object": "list", "data": [_model(request.app.state.service)]})


def _model(service: Service) -> dict[str, object]:
    return {
        "id": service.name,
        "object": "model",
        "created": service.created,
        "owned_by": "palaver",
    }


async def health(request: Request) -> Response:
    """Say whether requests are served."""
    state = request.app.state.service.state
    return json_response({"status": state}, 200 if state == "ready" else 503)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path[:200]}"
    made = error_response(ApiError(f"{what}: {error.detail.lower()}", status=error.status_code))
    made.headers.update(error.headers or {})
    return made


def make_app(service: Service) -> Starlette:
    """Make the application of a service."""
    routes = [
        Route("/v1/chat/completions", chat.completions, methods=["POST"]),
        Route("/v1/models", models),
        Route("/health", health),
    ]
    app = Starlette(
        routes=routes, exception_handlers={ApiError: _refused, HTTPException: _no_route}
    )
    app.state.service = service
    return app
