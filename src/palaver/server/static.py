"""The page's files. What they may do is said in headers: nothing but talk to this server."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from palaver.server.errors import ApiError

_FOLDER = Path(__file__).parent / "page"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nobody's HTML is ever made on this page, so no string may become markup or code: Trusted Types
# make the browser see to that, too. Images are those of this server and those that a text holds.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "content-security-policy": _CSP,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Return each file's bytes, kind and tag, by its name."""
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _KINDS:
            data = path.read_bytes()
            tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
            found[path.name] = data, _KINDS[path.suffix], tag
    return found


def is_static(path: str) -> bool:
    """Say whether a path is one of the page's files, which need no key: they hold no secret."""
    return path == "/" or (path.startswith("/page/") and path[6:] in _files())


async def index(request: Request) -> Response:
    """Return the page."""
    return _file(request, "index.html")


async def file(request: Request) -> Response:
    """Return one of the page's files."""
    return _file(request, request.path_params["name"])


def _file(request: Request, name: str) -> Response:
    if name not in _files():
        raise ApiError(f"GET /page/{name[:80]}: not found", status=404)
    data, kind, tag = _files()[name]
    headers = _HEADERS | {"etag": tag, "content-type": kind}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers)


ROUTES = [Route("/", index), Route("/page/{name}", file)]
