"""One request for a tool: what the user says, and the call that answers it exactly."""
# ruff: noqa: E501  (tables of phrases are easier to keep in long lines)

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from palaver.core.tool import ToolSpec
from palaver.demo.phrasings import CALLS, FIXED, phrase
from palaver.demo.values import Values

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "python": ("code",),
    "shell": ("command",),
    "read_file": ("path", "start?", "end?"),
    "list_files": ("path?",),
    "write_file": ("path", "content"),
    "search_files": ("pattern", "path?"),
}
TOOL_OF = {"calc": "python", "python": "python", "shell": "shell", "fixed": "shell", "read": "read_file",
           "lines": "read_file", "list": "list_files", "here": "list_files", "write": "write_file",
           "search": "search_files", "seek": "search_files"}  # fmt: skip
INTENTS = tuple(TOOL_OF)
WEIGHTS = (13, 9, 9, 8, 13, 4, 11, 4, 17, 10, 7)
_SLOT = re.compile(r"\{(\w+)\}")
_OPEN_END = re.compile(r"\{(code|command|q|expr|pat)\}[.!?]?$")


class Request(Struct, frozen=True):
    """What the user says and the call that it asks for."""

    intent: str
    text: str
    tool: str
    arguments: dict[str, Any]


def spec(name: str, arguments: tuple[str, ...]) -> ToolSpec:
    """Describe a tool by its argument names; a trailing `?` marks an optional one."""
    properties = {
        a.rstrip("?"): {"type": "integer" if a.rstrip("?") in {"start", "end"} else "string"}
        for a in arguments
    }
    required = [a for a in arguments if not a.endswith("?")]
    schema = {"type": "object", "properties": properties, "required": required}
    return ToolSpec(name, f"The tool {name}.", schema)


TOOLS: dict[str, ToolSpec] = {name: spec(name, args) for name, args in ARGUMENTS.items()}


def fill(rng: random.Random, text: str, values: Mapping[str, str | Callable[[], str]]) -> str:
    """Change case and apostrophes at times, then put values, or new draws, into the slots."""
    roll = rng.random()
    if roll < 0.45 and text[0] != "{":
        text = text[0].upper() + text[1:]
    if rng.random() < 0.5:
        text = re.sub(r"\bi\b", "I", text)
    if rng.random() < 0.1:
        text = text.replace("'", "")
    if rng.random() < 0.05:
        text = _typo(rng, text)

    def value(match: re.Match[str]) -> str:
        found = values[match[1]]
        return found if isinstance(found, str) else found()

    return _SLOT.sub(value, text)


def _typo(rng: random.Random, text: str) -> str:
    spots = [m.start() for m in re.finditer(r"(?<=[a-z])[a-z](?=[a-z])", _SLOT.sub(_blank, text))]
    if not spots:
        return text
    at = rng.choice(spots)
    if rng.random() < 0.5:
        return text[:at] + text[at + 1 :]
    return text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :]


def _blank(match: re.Match[str]) -> str:
    return "_" * len(match[0])


def quoted(values: Values, text: str, bare: float) -> str:
    """Put quotes round a text, or, with the chance `bare`, none."""
    roll = values.rng.random()
    if roll < bare:
        return text
    mark = values.one(("'", "'", "'", '"', '"', '"', "`"))
    return f"{mark}{text}{mark}"


def expression(values: Values) -> tuple[str, str]:
    """Draw arithmetic: as the user says it, and as Python."""
    rng, a, b = values.rng, values.decimal(), values.decimal()
    kind = rng.random()
    if kind < 0.34:
        op = values.one(("+", "-", "*", "/"))
        gap = values.one(("", " "))
        return f"{a}{gap}{op}{gap}{b}", f"{a}{op}{b}"
    if kind < 0.42:
        sign, op = rng.choice((("x", "*"), ("×", "*"), ("÷", "/"), ("^", "**"), ("**", "**")))
        if op == "**":
            b = str(rng.randint(2, 12))
        gap = values.one(("", " ")) if sign != "x" else " "
        return f"{a}{gap}{sign}{gap}{b}", f"{a}{op}{b}"
    if kind < 0.72:
        said, op = rng.choice((("times", "*"), ("multiplied by", "*"), ("plus", "+"), ("minus", "-"),
                               ("divided by", "/"), ("over", "/"), ("less", "-"), ("times", "*"),
                               ("plus", "+"), ("minus", "-"), ("divided by", "/")))  # fmt: skip
        return f"{a} {said} {b}", f"{a}{op}{b}"
    if kind < 0.78:
        said, op = rng.choice(
            (("sum", "+"), ("product", "*"), ("difference", "-"), ("quotient", "/"))
        )
        lead = values.one(("the ", ""))
        return f"{lead}{said} of {a} and {b}", f"{a}{op}{b}"
    if kind < 0.84:
        return rng.choice(((f"{a} squared", f"{a}**2"), (f"{a} cubed", f"{a}**3"),
                           (f"{a} to the power of {b}", f"{a}**{b}"),
                           (f"the square root of {a}", f"{a}**0.5"),
                           (f"{a}% of {b}", f"{a}/100*{b}"), (f"{a} percent of {b}", f"{a}/100*{b}")))  # fmt: skip
    c, gap = values.number(), values.one(("", " "))
    one, two = values.one(("+", "-", "*", "/")), values.one(("+", "-", "*"))
    if kind < 0.93:
        return f"{a}{gap}{one}{gap}{b}{gap}{two}{gap}{c}", f"{a}{one}{b}{two}{c}"
    return f"({a}{gap}{one}{gap}{b}){gap}{two}{gap}{c}", f"({a}{one}{b}){two}{c}"


def _ends_bare(text: str) -> bool:
    return bool(_OPEN_END.search(text))


def request(values: Values, intent: str | None = None) -> Request:
    """Draw a request and the exact call that it asks for."""
    rng = values.rng
    intent = intent or rng.choices(INTENTS, WEIGHTS)[0]
    slots: dict[str, str] = {}
    if intent == "fixed":
        command = rng.choice(tuple(FIXED))
        return Request(
            intent, fill(rng, phrase(rng, FIXED[command]), {}), "shell", {"command": command}
        )
    text = phrase(rng, CALLS[intent])
    arguments: dict[str, Any] = {}
    if intent == "calc":
        slots["expr"], python = expression(values)
        arguments = {"code": f"print({python})"}
    elif intent in {"python", "shell"}:
        key = "code" if intent == "python" else "command"
        arguments = {key: values.code() if intent == "python" else values.command()}
        slots[key] = quoted(values, arguments[key], 0.6).replace('"', "`")
        if "'" in arguments[key]:
            slots[key] = values.one((arguments[key], f"`{arguments[key]}`"))
        text = _clear_end(text, rng)
    elif intent in {"read", "lines"}:
        arguments = {"path": values.path()}
        slots["path"] = quoted(values, arguments["path"], 0.85)
        if intent == "lines":
            start = rng.randint(1, 200)
            arguments |= {"start": start, "end": start + rng.randint(1, 99)}
            slots |= {"start": str(start), "end": str(arguments["end"])}
    elif intent == "list":
        arguments = {"path": values.folder()}
        slots["folder"] = quoted(values, arguments["path"], 0.9)
    elif intent == "write":
        plain = rng.random() < 0.2
        content = values.sentence(1, 3 if plain else 5)
        content = content.rstrip(".!?") if plain else content
        arguments = {"path": values.path(), "content": content}
        slots = {
            "path": quoted(values, arguments["path"], 0.92),
            "q": quoted(values, content, float(plain)),
        }
        text = _clear_end(text, rng)
    elif intent in {"search", "seek"}:
        arguments = {"pattern": values.pattern()}
        bare = 0.0 if " " in arguments["pattern"] else 0.65
        slots["pat"] = quoted(values, arguments["pattern"], bare)
        if intent == "search":
            arguments["path"] = values.folder() if rng.random() < 0.7 else values.path()
            slots["where"] = quoted(values, arguments["path"], 0.92)
    filled = fill(rng, text, slots)
    return Request(intent, filled, TOOL_OF[intent], arguments)


def _clear_end(text: str, rng: random.Random) -> str:
    """Take a full stop off a value that may end in anything; it could be part of it."""
    if _ends_bare(text) and text[-1] in ".!?" and rng.random() < 0.9:
        return text[:-1]
    return text
