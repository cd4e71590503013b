"""A grammar, in llama.cpp's GBNF, of calls that are JSON objects: names and arguments that fit.

Of JSON Schema it knows what tools use; what it does not know may be any JSON. Arguments come in
the order of the schema. See `grammars/README.md` of llama.cpp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from palaver.core.tool import ToolSpec

LONGEST = 200_000  # characters of a grammar: llama.cpp reads 10,000 in a millisecond
# All that the parser skips before a call.
_BLANK = (
    " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_DEEPEST = 16  # schemas in one another
_GAP = '( " " | "\\n" )? ( " " | "\\n" )?'  # with any number a weak model writes nothing else
_RULES = {
    "gap": _GAP,
    "string": r'"\"" ( [^"\\\x00-\x1f] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F]{4} ) )* "\""',
    "positive": "[1-9] [0-9]{0,15}",
    "integer": '"-"? ( "0" | positive )',
    "number": 'integer ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,3} )?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "array": '"[" gap ( value gap ( "," gap value gap )* )? "]"',
    "object": '"{" gap ( string gap ":" gap value gap ( "," gap string gap ":" gap value gap )* )?'
    ' "}"',
    "value": "string | number | boolean | null | array | object",
}


def calls(tools: Sequence[ToolSpec], begin: str, end: str) -> str:
    """Return the grammar of a text that begins with `begin`, as far as calls in it go.

    What stands between `begin` and `end`, each time, is `{"name": ..., "arguments": {...}}`, in
    either order; where no JSON follows `begin`, it is only spoken of. All else is free. The first
    character of `begin` stands in it once.
    """
    made = _Grammar()
    names = [made.rule("call", _call(made, tool)) for tool in tools]
    made.rules["call"] = " | ".join(names)
    first, rest = begin[0], begin[1:]
    made.rules["root"] = f"{_text(begin)} begun"
    spoken_of = _but(first + "{[" + _BLANK)
    made.rules["begun"] = (
        f"gap ( call gap {_text(end)} text | {spoken_of} text | {_text(first)} mark-0 )"
    )
    # A state for each character of `begin` that was met, so that none is missed later on.
    made.rules["text"] = f"( {_but(first)} text | {_text(first)} mark-0 )?"
    for at, char in enumerate(rest):
        on = "begun" if at == len(rest) - 1 else f"mark-{at + 1}"
        made.rules[f"mark-{at}"] = (
            f"( {_but(first + char)} text | {_text(first)} mark-0 | {_text(char)} {on} )?"
        )
    return "\n".join(f"{name} ::= {body}" for name, body in made.rules.items())


class _Grammar:
    """Rules by name."""

    def __init__(self) -> None:
        self.rules = dict(_RULES)
        self.depth = 0

    def rule(self, kind: str, body: str) -> str:
        """Add a rule; return its name."""
        name = f"{kind}-{len(self.rules)}"
        self.rules[name] = body
        return name


def _call(made: _Grammar, tool: ToolSpec) -> str:
    name = f"{_key('name')} {_text(_json(tool.name))} gap"
    arguments = f"{_key('arguments')} {_value(made, tool.parameters)} gap"
    either = f'{name} "," gap {arguments} | {arguments} "," gap {name}'  # both are written
    return f'"{{" gap ( {either} ) "}}"'


def _value(made: _Grammar, schema: Any) -> str:
    """Return what a value of a schema looks like, as the name of a rule or in brackets."""
    if not isinstance(schema, Mapping) or made.depth > _DEEPEST:
        return "value"
    made.depth += 1
    try:
        return _typed(made, schema)
    finally:
        made.depth -= 1


def _typed(made: _Grammar, schema: Mapping[str, Any]) -> str:
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return f"( {' | '.join(_text(_json(one)) for one in schema['enum'])} )"
    if "const" in schema:
        return _text(_json(schema["const"]))
    if isinstance(schema.get("anyOf"), list) and schema["anyOf"]:
        return f"( {' | '.join(_value(made, one) for one in schema['anyOf'])} )"
    kinds = schema.get("type")
    if isinstance(kinds, list) and kinds:
        return f"( {' | '.join(_value(made, {**schema, 'type': kind}) for kind in kinds)} )"
    if kinds == "object" and isinstance(schema.get("properties"), Mapping):
        return _object(made, schema)
    if kinds == "array":
        return _array(made, schema)
    least = schema.get("minimum")
    if kinds == "integer" and isinstance(least, int | float) and least >= 1:
        return "positive"
    return kinds if isinstance(kinds, str) and kinds in _RULES else "value"


def _array(made: _Grammar, schema: Mapping[str, Any]) -> str:
    """Return a list of values of one schema, or one of a certain length."""
    first, items = schema.get("prefixItems"), schema.get("items")
    if first and items is False:
        values = ' "," gap '.join(f"{_value(made, one)} gap" for one in first)
        return made.rule("tuple", f'"[" gap {values} "]"')
    if first or not isinstance(items, Mapping):
        return "array"
    item = _value(made, items)
    return made.rule("list", f'"[" gap ( {item} gap ( "," gap {item} gap )* )? "]"')


def _object(made: _Grammar, schema: Mapping[str, Any]) -> str:
    """Return an object with just the properties of a schema, in their order."""
    properties, needed = schema["properties"], schema.get("required")
    needed = needed if isinstance(needed, list) else ()
    if not properties or schema.get("additionalProperties") not in (None, False):
        return "object" if schema.get("additionalProperties", True) else '"{" gap "}"'
    pairs = [(f"{_key(key)} {_value(made, one)} gap", key in needed)
             for key, one in properties.items()]  # fmt: skip
    rest = ""  # what may follow the pairs before
    firsts: list[str] = []
    for pair, must in reversed(pairs):
        firsts = [f"{pair} {rest}"] if must else [f"{pair} {rest}", *firsts]
        more = f'"," gap {pair} {rest}'
        rest = (
            more if must else made.rule("rest", f"( {more} | {rest} )" if rest else f"( {more} )?")
        )
    inner = " | ".join(firsts)
    some = f"( {inner} )" if any(must for _, must in pairs) else f"( {inner} )?"
    return made.rule("object", f'"{{" gap {some} "}}"')


def _key(key: str) -> str:
    return f'{_text(_json(key))} gap ":" gap'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(text: str) -> str:
    """Return text as a literal."""
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _but(chars: str) -> str:
    """Return any character but these."""
    return "[^" + "".join(f"\\U{ord(char):08X}" for char in chars) + "]"


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08X}"
