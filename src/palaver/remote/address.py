"""Where a server is: its base address, as the user gave it and as requests need it."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit, urlunsplit

from palaver.core.errors import UserError

_TAILS = ("/chat/completions", "/completions", "/models")


def base_url(text: str) -> str:
    """Return the base of all requests, without a slash at its end; raises UserError.

    `/v1` is added where there is no path; what stands behind the base is taken off.
    """
    fix = "an address looks like http://127.0.0.1:8080/v1"
    given = text.strip()
    if "://" not in given:
        given = f"http://{given}"
    try:
        parts = urlsplit(given)
        _ = parts.port  # raises where it is no number
    except ValueError:
        raise UserError("the endpoint is no address", fix=fix) from None
    if parts.scheme not in ("http", "https"):
        raise UserError(f"the endpoint's address begins with {parts.scheme}://", fix=fix)
    if not parts.hostname or not given.isprintable() or " " in given:
        raise UserError("the endpoint is no address", fix=fix)
    if parts.username or parts.password:
        raise UserError(
            "the endpoint's address holds a password",
            fix="take it out; a key is named by key_env, or given as endpoint_key",
        )
    path = parts.path.rstrip("/")
    for tail in _TAILS:
        path = path.removesuffix(tail)
    return urlunsplit((parts.scheme, parts.netloc, path or "/v1", parts.query, ""))


def join(base: str, path: str) -> str:
    """Return the address of `path` below a base; its query stays."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path))


def root(base: str) -> str:
    """Return the base without its `/v1`: where servers have what is not OpenAI's."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=parts.path.removesuffix("/v1")))


def shown(url: str) -> str:
    """Return an address for the user: without its query, which may hold a secret."""
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))


def is_here(url: str) -> bool:
    """Say whether an address is of this computer."""
    host = _host(urlsplit(url))
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").lower()
