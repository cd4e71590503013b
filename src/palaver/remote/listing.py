"""Which models a server has: `GET /v1/models`, with what some servers say beside the names."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from palaver.core.errors import EngineError
from palaver.remote.server import Server

# Where servers say how many tokens fit: vLLM, OpenRouter, Groq, LM Studio.
_CONTEXTS = ("max_model_len", "context_length", "context_window", "loaded_context_length")


class Listed(Struct, frozen=True):
    """A model of a server; `owner` names the server's program with llama.cpp and vLLM."""

    name: str
    owner: str = ""
    context: int | None = None


async def models(server: Server, *, limit: float) -> list[Listed]:
    """Ask for the models, for `limit` seconds at most; raises as `Server.get` does."""
    answer = await server.get("/models", limit=limit)
    entries = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise EngineError(
            f"{server.name} lists no models",
            fix="is this the address of an OpenAI-compatible server?",
        )
    return [_listed(e) for e in entries if isinstance(e, dict) and isinstance(e.get("id"), str)]


def _listed(entry: dict[str, Any]) -> Listed:
    meta = entry.get("meta")
    said = {**(meta if isinstance(meta, dict) else {}), **entry}
    contexts = [said.get(name) for name in (*_CONTEXTS, "n_ctx")]
    context = next((n for n in contexts if isinstance(n, int) and n > 0), None)
    return Listed(entry["id"], str(entry.get("owned_by") or ""), context)
