"""Whether a call's arguments fit the JSON Schema of its tool, as far as tools use that."""

from __future__ import annotations

import difflib
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def problem(value: Any, schema: dict[str, Any], name: str = "the arguments") -> str | None:
    """Say what is wrong with a value, for a model that has to mend it; None if nothing is.

    Knows type, properties, required, additionalProperties, items, prefixItems, enum, anyOf,
    minimum.
    """
    if "anyOf" in schema:
        found = [problem(value, one, name) for one in schema["anyOf"]]
        return None if None in found else found[0]
    if "enum" in schema and value not in schema["enum"]:
        return f"{name} must be one of {', '.join(map(repr, schema['enum']))}"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{name} must be {' or '.join(kinds)}, not {_kind(value)}"
    if isinstance(value, int | float) and value < schema.get("minimum", value):
        return f"{name} must be at least {schema['minimum']}"
    if isinstance(value, list):
        return _items(value, schema, name)
    return _object(value, schema) if isinstance(value, dict) else None


def _items(value: list[Any], schema: dict[str, Any], name: str) -> str | None:
    first: list[Any] = schema.get("prefixItems", [])
    rest = schema.get("items", {})
    if first and rest is False and len(value) != len(first):
        return f"{name} must have {len(first)} items, not {len(value)}"
    pairs = enumerate(zip(value, (*first, *[rest] * len(value)), strict=False))
    tried = (problem(v, kind, f"{name}[{i}]") for i, (v, kind) in pairs)
    return next((wrong for wrong in tried if wrong), None)


def _object(value: dict[str, Any], schema: dict[str, Any]) -> str | None:
    known: dict[str, Any] = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            return f"{key!r} is missing"
    for key, item in value.items():
        if key in known:
            if wrong := problem(item, known[key], repr(key)):
                return wrong
        elif known and schema.get("additionalProperties") in (None, False):
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            return f"there is no argument {key!r}; {hint}"
    return None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return False
    return isinstance(value, _TYPES.get(kind, (object,)))


def _kind(value: Any) -> str:
    return next((kind for kind in _TYPES if _is(value, kind)), "something else")
