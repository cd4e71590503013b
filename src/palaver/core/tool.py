"""What a model is told of a tool."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class ToolSpec(Struct, frozen=True):
    """A tool's name, one-line description and the JSON Schema of its arguments (an object)."""

    name: str
    description: str
    parameters: dict[str, Any]
