"""Values that a model wrote without a type, as JSON of the type that the tool's schema says."""

from __future__ import annotations

import ast
import json
from typing import Any

from palaver.core.tool import ToolSpec

ANY = frozenset({"null", "integer", "number", "boolean", "object", "array", "string"})
STRING = frozenset({"string"})
_BOOLEAN = frozenset({"boolean"})
_encode = json.JSONEncoder(ensure_ascii=False).encode


def kinds(tool: ToolSpec | None, key: str) -> frozenset[str]:
    """Return the types of JSON that the parameter `key` may have; all where none is said.

    A key that a tool does not know is a text.
    """
    root = tool.parameters if tool else {}
    properties = root.get("properties")
    schema = properties.get(key) if isinstance(properties, dict) else None
    if schema is None and properties and not root.get("additionalProperties"):
        return STRING
    return schema_kinds(schema, root)


def child(schema: Any, key: str | None, root: dict[str, Any]) -> Any:
    """Return the schema of an object's value, or (without a `key`) of a list's elements."""
    schema = _resolved(schema, root)
    if not isinstance(schema, dict):
        return None
    for part in (schema, *(_resolved(one, root) for one in _options(schema))):
        if not isinstance(part, dict):
            continue
        held = part.get("items") if key is None else part.get("properties")
        found = held if key is None else held.get(key) if isinstance(held, dict) else None
        if found is not None:
            return found
    return None


def _options(schema: dict[str, Any]) -> list[Any]:
    """Return the schemas that a schema puts together."""
    return [
        one
        for word in ("anyOf", "oneOf", "allOf")
        for one in (schema[word] if isinstance(schema.get(word), list) else ())
    ]


def _resolved(schema: Any, root: dict[str, Any]) -> Any:
    """Follow a schema's reference, if it is one."""
    ref = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return schema
    found: Any = root
    for part in ref[2:].split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def schema_kinds(schema: Any, root: dict[str, Any], depth: int = 0) -> frozenset[str]:
    """Return the types of JSON that a schema within the schema `root` allows."""
    if not isinstance(schema, dict) or depth > 8:
        return ANY
    said = schema.get("type")
    if isinstance(said, str):
        said = [said]
    if isinstance(said, list):
        known = frozenset(_NAMES.get(str(one).lower(), "string") for one in said)
        return known or ANY
    if options := _options(schema):
        return frozenset().union(*(schema_kinds(one, root, depth + 1) for one in options))
    if isinstance(schema.get("enum"), list):
        return frozenset(_kind(one) for one in schema["enum"]) or ANY
    if "const" in schema:
        return frozenset({_kind(schema["const"])})
    if (found := _resolved(schema, root)) is not schema:
        return schema_kinds(found, root, depth + 1)
    if "properties" in schema:
        return frozenset({"object"})
    return frozenset({"array"}) if "items" in schema else ANY


def typed(raw: str, allowed: frozenset[str]) -> str:
    """Return `raw` as JSON text of one of the `allowed` types, else as a string."""
    text = raw.strip()
    if allowed == STRING or (not text and "string" in allowed):
        return json.dumps(raw, ensure_ascii=False)
    if text in ("null", "None") and (
        ("null" in allowed and allowed != ANY) or "string" not in allowed
    ):
        return "null"
    if text in ("0", "1") and allowed == _BOOLEAN:
        return "true" if text == "1" else "false"
    loose = () if "string" in allowed and allowed != ANY else (_words,)
    for made in (_json, *loose, _python, _unescaped):
        found = made(text)
        if found is None:
            continue
        kind = _kind(found[0])
        if kind == "string" and "string" in allowed:
            break
        if kind in allowed or (kind == "integer" and "number" in allowed):
            return str(found[1])
        if kind == "number" and "integer" in allowed and found[0] == int(found[0]):
            return str(int(found[0]))
    return json.dumps(raw, ensure_ascii=False)


def escaped(text: str) -> str:
    """Return text as the inside of a JSON string."""
    return _encode(text)[1:-1]


def _json(text: str) -> tuple[Any, str] | None:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return (value, text) if value not in _ENDLESS else None


def _words(text: str) -> tuple[Any, str] | None:
    """Read words in another case, and numbers that JSON writes otherwise (`007`, `.5`)."""
    word = text.lower()
    if word in _WORDS:
        return _WORDS[word], word.replace("none", "null")
    if len(text) > 40 or not text.isascii() or "_" in text:
        return None
    for number in (int, float):
        try:
            value = number(text)
            return value, json.dumps(value, allow_nan=False)
        except (ValueError, OverflowError):
            continue
    return None


def _python(text: str) -> tuple[Any, str] | None:
    """Read an object or a list as Python writes it."""
    if not text.startswith(("{", "[", "(")):
        return None
    try:
        value = ast.literal_eval(text)
        return value, json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _unescaped(text: str) -> tuple[Any, str] | None:
    """Read an object or a list whose quotes are escaped, as if it stood in a string."""
    if not text.startswith(("{", "[")) or '\\"' not in text:
        return None
    try:
        return _json(json.loads(f'"{text}"', strict=False))
    except (ValueError, RecursionError):
        return None


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _kind(value: Any) -> str:
    for made, name in _KINDS:
        if isinstance(value, made):
            return name
    return "null"


_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list | tuple, "array"),
    (dict, "object"),
)
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_ENDLESS = (float("inf"), float("-inf"))
_NAMES = {name: name for name in ANY} | {
    "int": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
    "tuple": "array",
    "none": "null",
    "str": "string",
    "text": "string",
}
