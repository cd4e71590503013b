"""JSON Schema as the TypeScript that gpt-oss was trained to read.

The layout is openai-harmony's (src/encoding.rs at 0.0.8, `json_schema_to_typescript`), to the
letter; tests compare the two. One thing is added: `anyOf` is a union, as gpt-oss's own tool server
has it, where the library says `any`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def typescript(schema: Any, indent: str = "") -> str:
    """Return a schema as a type; an object's lines begin with `indent`. Any JSON is taken."""
    if not isinstance(schema, dict):
        return "any"
    if isinstance(one_of := schema.get("oneOf"), list):
        return "".join(f"\n{indent} | {_top_variant(v, indent)}" for v in one_of)
    if isinstance(any_of := schema.get("anyOf"), list):
        types = ["null" if v == {"type": "null"} else typescript(v, indent) for v in any_of]
        return " | ".join(dict.fromkeys(types)) or "any"
    kind = schema.get("type")
    if isinstance(kind, list):
        names = ["number" if name == "integer" else name for name in kind if isinstance(name, str)]
        return " | ".join(names) or "any"
    if kind == "object":
        return _object(schema, indent)
    if kind == "string":
        return " | ".join(f'"{v}"' for v in _texts(schema.get("enum"))) or "string"
    if kind == "array":
        return f"{typescript(schema['items'], indent)}[]" if "items" in schema else "Array<any>"
    if kind in ("number", "integer"):
        return "number"
    return "boolean" if kind == "boolean" else "any"


def _object(schema: Schema, indent: str) -> str:
    lines = []
    if (description := _text(schema, "description")) is not None:
        lines.append(f"{indent}// {description}\n")
    lines.append("{\n")
    required = set(_texts(schema.get("required")))
    properties = schema.get("properties")
    for name, value in (properties if isinstance(properties, dict) else {}).items():
        value = value if isinstance(value, dict) else {}
        lines.append(_property(name, value, indent, "" if name in required else "?"))
    return "".join(lines) + indent + "}"


def _property(name: str, value: Schema, indent: str, mark: str) -> str:
    before = ""
    if (title := _text(value, "title")) is not None:
        before += f"{indent}// {title}\n{indent}//\n"
    if "oneOf" not in value and (description := _text(value, "description")) is not None:
        before += f"{indent}// {description}\n"
    if examples := value.get("examples"):
        shown = "".join(f'{indent}// - "{text}"\n' for text in _texts(examples))
        before += f"{indent}// Examples:\n{shown}"
    if isinstance(value.get("oneOf"), list):
        return before + _union(name, value, indent, mark)
    written = f"{indent}{name}{mark}: {_nullable(value, typescript(value, indent + '    '))},"
    return before + written + _comment(None if "oneOf" in value else _default(value)) + "\n"


def _union(name: str, value: Schema, indent: str, mark: str) -> str:
    """Write a property that is one of several types, a line each."""
    variants = [v for v in value["oneOf"] if isinstance(v, dict)]
    own = _text(value, "description")
    above = own is not None and not (variants and _text(variants[0], "description") == own)
    out = f"{indent}// {own}\n" if above else ""
    if (default := _default(value)) is not None:
        out += f"{indent}// {default}\n"
    out += f"{indent}{name}{mark}:\n"
    for count, variant in enumerate(variants):
        said = _text(variant, "description")
        told = said != own and not (count == 0 and above)
        type_ = _nullable(variant, typescript(variant, indent + "   "))
        out += f"{indent} | {type_}{_comment(said if told else None, _default(variant))}\n"
    return f"{out}{indent},\n"


def _top_variant(variant: Any, indent: str) -> str:
    variant = variant if isinstance(variant, dict) else {}
    type_ = _nullable(variant, typescript(variant, indent + "   "))
    default = f"default: {_json(variant['default'])}" if "default" in variant else None
    return type_ + _comment(_text(variant, "description"), default)


def _comment(*texts: str | None) -> str:
    said = [text for text in texts if text is not None]
    return f" // {' '.join(said)}" if said else ""


def _nullable(schema: Schema, type_: str) -> str:
    return f"{type_} | null" if schema.get("nullable") is True and "null" not in type_ else type_


def _default(schema: Schema) -> str | None:
    """Return the comment on a default; a text stands in quotes where it is none of a list."""
    if "default" not in schema:
        return None
    value = schema["default"]
    if isinstance(value, str):
        return f"default: {value}" if schema.get("enum") else f'default: "{value}"'
    return f"default: {_json(value)}"


def _json(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(schema: Schema, key: str) -> str | None:
    value = schema.get(key)
    return value if isinstance(value, str) else None


def _texts(values: Any) -> list[str]:
    return [v for v in values if isinstance(v, str)] if isinstance(values, list) else []
