"""Calls, tools and random lines for the tests of consent."""

import json
import random

from benchmarks.consent_lines import make
from hypothesis import strategies as st

from palaver.core.messages import ToolCall
from palaver.core.tool import ToolSpec
from palaver.tools.consent import Rule, Rules, State, decide

ROOT = "/work/project"
STATE = State(ROOT)
SPECS = {
    "shell": ToolSpec("shell", "", {}),
    "python": ToolSpec("python", "", {}),
    "read_file": ToolSpec("read_file", "", {}, reads=True),
    "write_file": ToolSpec("write_file", "", {}),
    "apply_patch": ToolSpec("apply_patch", "", {}),
    "browser.open": ToolSpec("browser.open", "", {}, outward=True),
    "fancy": ToolSpec("fancy", "", {}),
}


def call(tool, **arguments):
    return ToolCall("1", tool, json.dumps(arguments))


def judged(tool, rules=Rules(), state=STATE, **arguments):  # noqa: B008 - it is frozen
    return decide(call(tool, **arguments), SPECS[tool], rules, state)


def line(text, rules=Rules(), state=STATE):  # noqa: B008 - it is frozen
    return judged("shell", rules, state, command=text)


def lines():
    """Any text, and lines made to deceive."""
    made = st.integers(0, 2**32).map(lambda seed: make(random.Random(seed)))
    return st.one_of(st.text(max_size=80), made, made)


def calls():
    """Calls of each tool: whole, with odd values, and raw text that may be no JSON."""
    values = st.one_of(lines(), st.none(), st.integers(), st.lists(st.text(max_size=5)))
    names = st.sampled_from(["command", "code", "path", "patch", "x"])
    whole = st.dictionaries(names, values, max_size=3).map(json.dumps)
    shells = lines().map(lambda text: ("shell", json.dumps({"command": text})))
    paths = st.text("ab./~.git", max_size=12)
    patches = paths.map(lambda path: f"*** Begin Patch\n*** Delete File: {path}\n*** End Patch")
    files = st.tuples(st.sampled_from(["read_file", "write_file"]),
                      paths.map(lambda path: json.dumps({"path": path})))  # fmt: skip
    edits = patches.map(lambda patch: ("apply_patch", json.dumps({"patch": patch})))
    others = st.tuples(st.sampled_from(sorted(SPECS)), st.one_of(whole, st.text(max_size=20)))
    found = st.one_of(shells, shells, files, edits, others)
    return found.map(lambda pair: ToolCall("1", *pair))


def rules():
    words = st.sampled_from(["ls", "git", "*", "...", "-l", "a.txt", "status", "p*n", "make"])
    # A rule begins with a program.
    commands = st.lists(words, max_size=3).map(tuple).filter(lambda w: not w or w[0] != "...")
    paths = st.lists(st.sampled_from(["/", "src", "/etc", "~", "a.txt", "."]), max_size=2)
    return st.builds(
        Rule,
        st.sampled_from(["allow", "ask", "deny"]),
        tool=st.sampled_from(["*", "shell", "read_file", "*file", "python"]),
        line=st.one_of(st.none(), lines()),
        command=commands,
        path=paths.map(tuple),
        arguments=st.sampled_from([(), (("path", "*.txt"),), (("code", "*"),)]),
        folder=st.sampled_from([None, ROOT, "/work", "/elsewhere"]),
        network=st.booleans(),
        even=st.lists(st.sampled_from(["unclear", "destructive", "guarded", "tainted"])).map(tuple),
    )


def states():
    return st.builds(
        State,
        st.just(ROOT),
        folder=st.sampled_from([None, "src", "/tmp"]),
        tainted=st.sampled_from([(), ("a page",)]),
        asks=st.booleans(),
        sandboxed=st.booleans(),
    )


def policies():
    return st.builds(
        Rules,
        st.sampled_from(["read-only", "ask", "auto"]),
        st.lists(rules(), max_size=4).map(tuple),
    )
