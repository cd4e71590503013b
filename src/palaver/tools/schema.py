"""A type of Python as JSON Schema, and values of JSON as that type."""

from __future__ import annotations

import re
import typing
from pathlib import PurePath
from typing import Any

import msgspec

_STEP = re.compile(r"\$|\[\.\.\.\]|\[\d+\]|\.\w+")
_ONE, _MANY = ("items", "additionalProperties"), ("anyOf", "prefixItems")  # hold schemas


def schema_of(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type, without references: few chat templates follow them.

    Raises TypeError for a type that JSON has no values of, or that contains itself.
    """
    try:
        found = msgspec.json.schema(hint, schema_hook=_schema)
        msgspec.json.Decoder(hint, dec_hook=_decoded)  # knows of more that can't be
    except TypeError as error:
        raise TypeError(str(error).rpartition("\n")[2]) from None
    except RecursionError:
        raise TypeError("its type contains itself") from None
    named = found.pop("$defs", {})
    made = _inlined(found, named, ())
    said = [text for text in getattr(hint, "__metadata__", ()) if isinstance(text, str)]
    return made | {"description": said[0]} if said else made


def value_of(given: Any, hint: Any, name: str) -> Any:
    """Make what JSON gave a value of a type. Raises ValueError: where in `name` what is wrong."""
    try:
        return msgspec.convert(given, hint, dec_hook=_decoded, str_keys=True)
    except (msgspec.ValidationError, OverflowError) as error:
        what, _, where = str(error).partition(" - at `")
        steps = _STEP.findall(where.removeprefix("key in "))[1:]
        raise ValueError(f"{name}{''.join(steps)}: {what[:1].lower()}{what[1:]}") from None


def plain(value: Any) -> Any:
    """Return a value as JSON has it. Raises TypeError, ValueError for one that it does not have."""
    return msgspec.json.decode(text_of(value))


def text_of(value: Any) -> str:
    """Return a value as JSON text. Raises TypeError, ValueError for what JSON does not have."""
    try:
        return msgspec.json.encode(value, enc_hook=_encoded).decode()
    except RecursionError:
        raise ValueError("it contains itself") from None


def _inlined(
    schema: dict[str, Any], named: dict[str, Any], above: tuple[str, ...]
) -> dict[str, Any]:
    """Put what `$ref` names in its place, take our names of types out, say the type of enums."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in above:
            raise TypeError(f"the type {name} contains itself")
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _inlined(named[name] | rest, named, (*above, name))
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: _inlined(one, named, above) for name, one in value.items()}
        elif key in _ONE and isinstance(value, dict):
            made[key] = _inlined(value, named, above)
        elif key in _MANY:
            made[key] = [_inlined(one, named, above) for one in value]
        elif key not in ("title", "discriminator"):  # OpenAPI's: it names what is inlined
            made[key] = value
    kinds = {type(value) for value in made.get("enum", ())}
    if "type" not in made and kinds in ({str}, {int}):  # templates print it
        made["type"] = "string" if kinds == {str} else "integer"
    return made


def accepting_none(hint: Any) -> Any:
    """Return a type that takes None, too: `x: int = None` is written a lot."""
    bare = hint
    while typing.get_origin(bare) is typing.Annotated:
        bare = typing.get_args(bare)[0]
    if bare is Any or bare is None or type(None) in typing.get_args(bare):
        return hint
    return hint | None


def _schema(kind: type) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return {"type": "string"}
    raise TypeError(f"JSON has no values of type {getattr(kind, '__name__', kind)}")


def _decoded(kind: type, given: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(given, str):
        return kind(given)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(given).__name__}`")


def _encoded(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"JSON has no values of type {type(value).__name__}")
