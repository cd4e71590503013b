"""A Python function as a tool."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from palaver import Chatbot, tool
from palaver.core.errors import UserError
from palaver.core.messages import ToolCall
from palaver.core.tool import ToolContext, ToolError
from palaver.tools import chosen
from palaver.tools.arguments import problem
from palaver.tools.docstring import described_by
from palaver.tools.toolbox import Box


class Unit(enum.Enum):
    C = "celsius"
    F = "fahrenheit"


@dataclasses.dataclass
class Place:
    city: str
    title: str = "none"


class Trip(msgspec.Struct):
    places: list[Place]
    by: Literal["train", "car"] = "train"


@tool(reads=True)
def weather(place: Place, unit: Unit = Unit.C, days: int = 3, note: str | None = None) -> str:
    """Say what the weather will be,
    as far as it is known.

    Args:
        place: where
            you are
        days (int): how many days
    """
    return f"{place.city} {unit.name} {days} {note}"


@tool
async def plan(trip: Trip, ctx: ToolContext) -> dict[str, Any]:
    """Plan a trip."""
    return {"stops": [p.city for p in trip.places], "by": trip.by, "root": str(ctx.root)}


def call(made: Any, **arguments: Any) -> str:
    ctx = ToolContext(Path("/ws"), lambda _text: None, {}.__getitem__)
    return asyncio.run(made.call(arguments, ctx))


def test_the_schema_comes_from_types_and_docstring():
    spec = weather.spec
    assert (spec.name, spec.reads) == ("weather", True)
    assert spec.description == "Say what the weather will be, as far as it is known."
    shown = spec.parameters
    assert shown["required"] == ["place"]
    assert shown["properties"]["days"] == {
        "type": "integer", "description": "how many days", "default": 3,
    }  # fmt: skip
    assert shown["properties"]["unit"]["enum"] == ["celsius", "fahrenheit"]
    place = shown["properties"]["place"]
    assert place["description"] == "where you are"
    assert place["properties"]["title"] == {"type": "string", "default": "none"}
    assert "$ref" not in str(shown)
    assert plan.spec.parameters["properties"]["trip"]["properties"]["by"]["enum"] == [
        "car",
        "train",
    ]
    assert "ctx" not in plan.spec.parameters["properties"]


def test_arguments_become_what_the_function_takes():
    assert call(weather, place={"city": "Ulm"}) == "Ulm C 3 None"
    assert call(weather, place={"city": "Ulm"}, unit="fahrenheit", note="x") == "Ulm F 3 x"
    assert call(plan, trip={"places": [{"city": "Ulm"}]}) == (
        '{"stops":["Ulm"],"by":"train","root":"/ws"}'
    )
    assert weather(Place("Ulm")) == "Ulm C 3 None"
    for wrong in ({"city": 1}, {"town": "Ulm"}):
        assert problem({"place": wrong}, weather.spec.parameters)
        with pytest.raises(ToolError, match="weather"):
            call(weather, place=wrong)


def test_what_a_function_raises_is_the_result():
    @tool
    def broken(x: int) -> str:
        raise ValueError(f"no {x}")

    ctx = ToolContext(Path("/ws"), lambda _text: None, {}.__getitem__)
    result = asyncio.run(Box([broken]).run(ToolCall("1", "broken", '{"x": 3}'), ctx))
    assert result.failed
    assert result.text.startswith("error: broken crashed: ValueError: no 3 (test_function.py")


def test_what_can_be_no_tool_is_refused():
    class Node(msgspec.Struct):
        below: list[Node] = []

    Node.__annotations__["below"] = list[Node]
    with pytest.raises(UserError, match="the parameter x needs a type"):

        @tool
        def untyped(x):
            return x

    with pytest.raises(UserError, match="the parameter more needs a type"):

        @tool
        def many(*more: int):
            return more

    with pytest.raises(UserError, match="can't be the name"):
        tool(name="a b")(weather)


@pytest.mark.parametrize(
    ("doc", "text", "described"),
    [
        ("", "", {}),
        ("Does it.", "Does it.", {}),
        ("Does it.\n\nx: one\ny: two\n  more", "Does it.", {"x": "one", "y": "two more"}),
        ("Does it.\n\nArgs:\n    x (int): one\n\nReturns:\n    it", "Does it.", {"x": "one"}),
        ("Note: this is no parameter.", "Note: this is no parameter.", {}),
        ("Does it.\n\n:param x: one", "Does it.", {"x": "one"}),
    ],
)
def test_docstrings(doc, text, described):
    assert described_by(doc, ["x", "y"]) == (text, described)


SOURCE = '''
from palaver import tool

@tool
def shout(text: str) -> str:
    """Say it loud."""
    return text.upper()
'''


def test_a_file_of_the_users_brings_tools(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "none.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (tmp_path / "taken.py").write_text(SOURCE.replace("shout", "read_file"))
    made = chosen.tools(f"auto,{tmp_path}/mine.py")
    assert [t.spec.name for t in made] == [*chosen.READING, "shout"]
    assert call(made[-1], text="hi") == "HI"
    for name, what in [
        ("none.py", "holds no tool"),
        ("bad.py", "can't be loaded: line 1: ZeroDivisionError"),
        ("missing.py", "there is no Python file"),
        ("taken.py", "there are two tools 'read_file'"),
    ]:
        with pytest.raises(UserError, match=what):
            chosen.tools(f"auto,{tmp_path}/{name}")


def test_a_chatbot_takes_functions(tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path))
    monkeypatch.setenv("PALAVER_TEMPERATURE", "0")
    asked: list[str] = []

    @tool(name="list_files")
    def mine(path: str = ".") -> str:
        """List files."""
        asked.append(path)
        return "tulips.txt\nroses.txt"

    with Chatbot(tools=[mine], threads=1) as bot:
        assert "tulips.txt" in bot.user_turn("list the files")
        assert bot.state == "idle"
    assert asked == ["."]
    assert bot.state == "goodbye"
