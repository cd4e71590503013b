"""Any signature makes a schema that takes its values, or a clear error; docstrings of all kinds."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import keyword
import string
import typing
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from palaver import tool
from palaver.core.errors import UserError
from palaver.core.tool import ToolContext, ToolError
from palaver.tools import schema
from palaver.tools.arguments import problem
from palaver.tools.docstring import described_by

CTX = ToolContext(Path("/ws"), lambda _text: None, {}.__getitem__)
KINDS = {"string", "integer", "number", "boolean", "array", "object", "null"}


class Inner(msgspec.Struct, frozen=True):
    count: int
    label: str = "x"


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    by: Literal["train", "car"]
    names: tuple[str, ...] = ()


class Row(typing.TypedDict):
    key: str
    size: typing.NotRequired[int]


ROW = st.fixed_dictionaries({"key": st.text()}, optional={"size": st.integers(-(2**53), 2**53)})
INNER = st.builds(Inner, st.integers(0, 9), st.text(max_size=3))
OUTER = st.builds(
    Outer, INNER, st.sampled_from(["train", "car"]), st.lists(st.text(max_size=2)).map(tuple)
)
# A type and the values that it has. Integers beyond 2**53 are none for most readers of JSON.
LEAVES = st.sampled_from(
    [
        (str, st.text(st.characters(codec="utf-8"))),
        (int, st.integers(-(2**53), 2**53)),
        (float, st.floats(allow_nan=False, allow_infinity=False)),
        (bool, st.booleans()),
        (bytes, st.binary(max_size=9)),
        (datetime.date, st.dates()),
        (PurePosixPath, st.just(PurePosixPath("a/b"))),
        (Literal["a", 1], st.sampled_from(["a", 1])),
        (Annotated[int, msgspec.Meta(ge=0)], st.integers(0, 9)),
        (Row, ROW),
        (Inner, INNER),
        (Outer, OUTER),
        (None, st.none()),
    ]
)


def larger(inner):
    texts = st.text(max_size=3)
    return st.one_of(
        inner.map(lambda t: (list[t[0]], st.lists(t[1], max_size=3))),
        inner.map(lambda t: (dict[str, t[0]], st.dictionaries(texts, t[1], max_size=2))),
        inner.map(lambda t: (t[0] | None if t[0] else None, st.none() | t[1])),
        st.tuples(inner, inner).map(
            lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))
        ),
        inner.map(lambda t: (tuple[t[0], ...], st.lists(t[1], max_size=3).map(tuple))),
    )


TYPES = st.recursive(LEAVES, larger, max_leaves=4)
NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=6)
NAMES = NAMES.filter(lambda name: name.isidentifier() and not keyword.iskeyword(name))


def well_formed(made: dict[str, Any]) -> None:
    """Hold a schema against what JSON Schema (draft 2020-12) says of the words that stand in it."""
    kinds = made.get("type", [])
    assert set([kinds] if isinstance(kinds, str) else kinds) <= KINDS
    assert not {"$ref", "$defs", "title"} & made.keys()
    for one in made.get("properties", {}).values():
        well_formed(one)
    assert set(made.get("required", ())) <= made.get("properties", {}).keys()
    for key in ("anyOf", "prefixItems"):
        assert all(well_formed(one) is None for one in made.get(key, ()))
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            well_formed(made[key])


@st.composite
def signatures(draw):
    """Return a function that gives its arguments back, and values for them."""
    fields = draw(st.dictionaries(NAMES, TYPES, min_size=1, max_size=4))
    optional = draw(st.integers(0, len(fields)))
    hints: dict[str, Any] = {}
    values: dict[str, Any] = {}
    parts: list[str] = []
    space: dict[str, Any] = {}
    for i, (name, (hint, of)) in enumerate(fields.items()):
        hints[name], values[name] = hint, draw(of)
        parts.append(name)
        if i >= len(fields) - optional:
            space[f"default_{i}"] = draw(of)
            parts[-1] = f"{name}=default_{i}"
    if draw(st.booleans()):
        parts.insert(draw(st.integers(1, len(parts))), "/")
    kept: dict[str, Any] = {}
    space["KEPT"] = kept
    inside = ", ".join(f"{name}={name}" for name in fields)
    exec(f"def made({', '.join(parts)}): KEPT.update({inside})", space)
    space["made"].__annotations__ = hints
    return space["made"], values, kept, len(fields) - optional


@settings(max_examples=200, deadline=None)
@given(signatures(), st.data())
def test_a_schema_takes_all_values_of_its_types(signature, data):
    function, values, kept, needed = signature
    try:
        made = tool(function)
    except UserError as error:
        assert str(error).startswith("tool made: the parameter ")  # noqa: PT017
        assert "not supported" in str(error)  # noqa: PT017 - two dict-like types in one union
        return
    well_formed(made.spec.parameters)
    sent = json.loads(schema.text_of(values))
    assert problem(sent, made.spec.parameters) is None
    assert asyncio.run(made.call(sent, CTX)) == "done"
    assert kept == values
    fewer = dict(list(sent.items())[:needed])
    assert problem(fewer, made.spec.parameters) is None
    asyncio.run(made.call(fewer, CTX))
    for name in list(sent)[needed:]:
        shown = made.spec.parameters["properties"][name]
        assert problem(shown["default"], shown) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(signatures(), st.data())
def test_whatever_a_model_sends_is_taken_or_refused_for_the_model(signature, data):
    function, values, _, _ = signature
    made = tool(function)
    sent = json.loads(schema.text_of(values))
    name = data.draw(st.sampled_from(list(sent)))
    sent[name] = data.draw(JSON)
    fits = problem(sent, made.spec.parameters) is None
    try:
        asyncio.run(made.call(sent, CTX))
    except ToolError as error:
        assert str(error).startswith("error: made: ")  # noqa: PT017
        assert name in str(error)  # noqa: PT017
        with pytest.raises(ToolError):
            asyncio.run(made.preview(sent, CTX))
    else:
        assert fits or isinstance(sent[name], float)  # 1.0 is an integer for some


GOOGLE = """Do it,
all of it.

Use it with care.

Args:
    x (dict[str, int], optional): one
        and more: much
    *y: two
    other: nothing
Returns:
    int: it
"""
NUMPY = """Do it, all of it.

Use it with care.

Parameters
----------
x : dict, optional
    one
    and more: much
y
    two
z, other : int
    nothing

Returns
-------
int
    it
"""
REST = """Do it, all of it. Use it with care.

:param dict x: one
    and more: much
:type x: dict
:param y: two
:returns: it
:raises ValueError: never
"""
PLAIN = """Do it, all of it. Use it with care.

x: one
  and more: much
y: two
"""
EPYTEXT = """Do it, all of it. Use it with care.

@param x: one and more: much
@param y: two
@return: it
"""


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, REST, PLAIN, EPYTEXT])
def test_every_way_to_write_a_docstring_says_the_same(doc):
    assert described_by(doc, ["x", "y"]) == (
        "Do it, all of it. Use it with care.",
        {"x": "one and more: much", "y": "two"},
    )


@given(st.text(st.sampled_from("xy: \n-()*:param@Args"), max_size=60))
def test_no_docstring_is_too_odd(doc):
    text, described = described_by(doc, ["x", "y"])
    assert set(described) <= {"x", "y"}
    assert "\n" not in text


class Knot(msgspec.Struct):
    below: list[Knot]


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (Knot, "the type Knot contains itself"),
        (complex, "JSON has no values of type complex"),
        (Inner | Outer, "more than one dict-like type"),
        (typing.Callable[[int], int], "Callable"),
        ("Unknown", "a type is not known: name 'Unknown' is not defined"),
        (object, "JSON has no values of type object"),
    ],
)
def test_what_json_has_no_values_of_is_refused(hint, said):
    def made(x):
        return x

    made.__annotations__["x"] = hint
    with pytest.raises(UserError, match="tool made: ") as error:
        tool(made)
    assert said in str(error.value)
