"""Tools from files and installed packages; how functions are called, and what they may do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from palaver import tool
from palaver.core.errors import UserError
from palaver.core.messages import ToolCall
from palaver.core.tool import ToolContext, ToolError
from palaver.tools import chosen
from palaver.tools.brought import from_file
from palaver.tools.function import as_tool
from palaver.tools.toolbox import Box


def context(emit=lambda _text: None) -> ToolContext:
    return ToolContext(Path("/ws"), emit, {}.__getitem__)


def call(made: Any, **arguments: Any) -> str:
    return asyncio.run(made.call(arguments, context()))


LATE = '''
from __future__ import annotations
import dataclasses
from pathlib import Path
from palaver import tool

@dataclasses.dataclass
class Place:
    """Somewhere."""
    city: str
    near: list[Place2] = dataclasses.field(default_factory=list)

@dataclasses.dataclass
class Place2:
    name: str

@tool
def go(place: Place, to: Path = Path("x")) -> Path:
    return to / place.city / place.near[0].name

again = go
'''


def test_a_file_with_types_of_its_own(tmp_path):
    (tmp_path / "mine.py").write_text(LATE)
    (made,) = from_file(tmp_path / "mine.py")
    near = made.spec.parameters["properties"]["place"]["properties"]["near"]
    assert near["items"]["required"] == ["name"]
    assert made.spec.parameters["properties"]["to"] == {"type": "string", "default": "x"}
    assert call(made, place={"city": "Ulm", "near": [{"name": "B"}]}) == '"x/Ulm/B"'


def test_two_files_of_one_name_and_names_between_them(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        text = f"from palaver import tool\n@tool\ndef {folder}_one() -> str:\n    return __name__\n"
        (tmp_path / folder / "mine.py").write_text(text)
    made = chosen.tools(f"{tmp_path}/b/mine.py, list_files,{tmp_path}/a/mine.py")
    assert [one.spec.name for one in made] == ["list_files", "b_one", "a_one"]
    assert call(made[1]) != call(made[2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\nsys.exit('no')\n", "line 2: SystemExit: no"),
        ("def x(:\n", "SyntaxError"),
        ("from palaver import tool\n\n@tool\ndef f(x): pass\n", "line 3: tool f: the parameter x"),
        ("from palaver import tool\n", "holds no tool"),
        ("import no_such_module\n", "line 1: ModuleNotFoundError"),
    ],
)
def test_a_file_that_can_not_be_loaded_says_where(tmp_path, text, said):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError) as error:
        from_file(tmp_path / "mine.py")
    assert said in str(error.value)
    assert "mine.py" in str(error.value)


PACKAGE = '''
from palaver import tool

def plain(text: str) -> str:
    """Say it again."""
    return text

@tool(name="loud", reads=True)
def shout(text: str) -> str:
    """Say it loud."""
    return text.upper()

number = 3
'''


def test_a_package_brings_tools_by_entry_points(tmp_path, monkeypatch):
    (tmp_path / "brings.py").write_text(PACKAGE)
    info = tmp_path / "brings-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brings\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[palaver.tools]\nsay = brings:plain\nloud = brings:shout\nnumber = brings:number\n"
        "missing = brings:nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    say, loud = chosen.tools("say,loud")
    assert (say.spec.name, say.spec.reads, call(say, text="x")) == ("plain", False, "x")
    assert (loud.spec.name, loud.spec.reads, call(loud, text="x")) == ("loud", True, "X")
    with pytest.raises(UserError, match=r"brings:number, .* is no tool"):
        chosen.tools("number")
    with pytest.raises(UserError, match="missing can't be loaded: AttributeError"):
        chosen.tools("missing")
    with pytest.raises(UserError, match="did you mean 'loud'"):
        chosen.tools("loads")


def test_arguments_go_where_the_function_wants_them():
    seen: list[Any] = []

    @tool
    def f(a: int, /, b: int, *, c: int = None, d: list[int] = [1]) -> None:  # noqa: B006, RUF013
        seen.append((a, b, c, list(d)))
        d.append(2)

    assert call(f, b=2, a=1) == "done"
    assert call(f, a=1, b=2, c=None, d=[5]) == "done"
    assert call(f, a=1, b=2) == "done"
    assert seen == [(1, 2, None, [1]), (1, 2, None, [5]), (1, 2, None, [1, 2])]
    shown = f.spec.parameters
    assert shown["required"] == ["a", "b"]
    assert shown["properties"]["c"]["default"] is None
    for wrong, said in [
        ({"a": 1}, "'b' is missing"),
        ({"a": 1, "b": 2, "e": 3}, "there is no argument 'e'; there are: a, b, c, d"),
        ({"a": 1, "b": 2, "d": [1, "x"]}, "d[1]: expected `int`, got `str`"),
    ]:
        with pytest.raises(ToolError) as error:
            call(f, **wrong)
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, "done"),
        ("text", "text"),
        (3, "3"),
        ([{"a": (1, None)}], '[{"a":[1,null]}]'),
        (Path("a/b"), '"a/b"'),
        (object(), "error: f did its work, but returned object, which is no JSON"),
        ({(1, 2): 3}, "error: f did its work, but returned dict, which is no JSON"),
        ("\ud800".join("ab"), "a\ud800b"),
        (["\ud800"], "error: f did its work, but returned list, which is no JSON"),
    ],
)
def test_every_result_becomes_text(result, text):
    @tool
    def f():
        return result

    ran = asyncio.run(Box([f]).run(ToolCall("1", "f", "{}"), context()))
    assert ran.text.startswith(text)
    assert ran.failed == text.startswith("error")


def test_what_leaves_a_function_ends_no_chat():
    @tool
    def leaves():
        sys.exit(3)

    @tool
    def stops():
        raise StopIteration

    @tool
    async def knows():
        raise ToolError("ask later")

    box = Box([leaves, stops, knows])
    said = [
        asyncio.run(box.run(ToolCall("1", name, "{}"), context())).text
        for name in ("leaves", "stops", "knows")
    ]
    assert said[0] == "error: leaves ended by sys.exit: 3"
    assert said[1].startswith("error: stops crashed: ")
    assert said[2] == "ask later"


def test_a_function_on_a_thread_shows_text_and_is_left_when_the_user_stops_it():
    shown: list[str] = []
    go, left = threading.Event(), threading.Event()

    @tool
    def slow(ctx: ToolContext):
        ctx.emit("begun")
        go.wait(60)
        ctx.emit("too late")
        left.set()

    async def work() -> None:
        running = asyncio.ensure_future(slow.call({}, context(shown.append)))
        while not shown:  # noqa: ASYNC110 - a thread fills it
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(work())
    assert not left.is_set()
    go.set()
    assert left.wait(60)


def test_what_a_function_prints_is_its_output(capsys):
    shown: list[str] = []
    both = threading.Barrier(2)

    def say(name: str) -> None:
        both.wait(60)
        print(f"{name} out")
        print(f"{name} err", file=sys.stderr, flush=True)
        both.wait(60)

    @tool
    def one():
        say("one")

    @tool
    async def two():
        await asyncio.to_thread(say, "two")
        print("two ends")

    async def work() -> None:
        running = [asyncio.ensure_future(t.call({}, context(shown.append))) for t in (one, two)]
        await asyncio.sleep(0)
        print("not a tool's")
        await asyncio.gather(*running)
        await asyncio.sleep(0)

    stdout = sys.stdout
    asyncio.run(work())
    assert sys.stdout is stdout
    said = capsys.readouterr()
    assert (said.out, said.err) == ("not a tool's\n", "")
    lines = "".join(shown)
    for text in ("one out", "one err", "two out", "two err", "two ends"):
        assert text in lines


def test_a_function_that_hangs_does_not_keep_a_program_from_ending():
    code = (
        "import asyncio, time\nfrom palaver import tool\n"
        "from palaver.core.tool import ToolContext\nfrom pathlib import Path\n"
        "@tool\ndef hangs():\n    time.sleep(600)\n"
        "ctx = ToolContext(Path('/'), print, {}.__getitem__)\n"
        "async def work():\n"
        "    try:\n        await asyncio.wait_for(hangs.call({}, ctx), 0.1)\n"
        "    except TimeoutError:\n        print('left')\n"
        "asyncio.run(work())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "left\n", done.stderr


def test_objects_and_methods_are_functions_too():
    class Shop:
        def __init__(self) -> None:
            self.sold = 0

        def sell(self, count: int) -> int:
            """Sell some."""
            self.sold += count
            return self.sold

        async def __call__(self, count: int) -> int:
            return -count

    shop = Shop()
    assert call(as_tool(shop.sell, "it"), count=2) == "2"
    assert call(tool(name="back")(shop), count=2) == "-2"
    assert shop.sold == 2
    for wrong in (3, Shop, "x"):
        with pytest.raises(UserError, match="it is no tool"):
            as_tool(wrong, "it")


ASKS = '''
from palaver import tool

@tool(reads=READS)
def list_files(path: str = ".") -> str:
    """List files."""
    return "tulips.txt\\nroses.txt"
'''


@pytest.mark.parametrize(("reads", "allowed"), [("True", True), ("False", False)])
def test_a_function_runs_unasked_only_if_it_is_said_to_read(tmp_path, reads, allowed):
    (tmp_path / "mine.py").write_text(ASKS.replace("READS", reads))
    done = subprocess.run(
        [Path(sys.executable).with_name("palaver"), "ask", "--tools", "mine.py", "list the files"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
        env=os.environ | {"PALAVER_HOME": str(tmp_path), "PALAVER_THREADS": "1",
                          "PALAVER_TEMPERATURE": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ("tulips.txt" in done.stdout) is allowed
    assert ("nobody is there to be asked" in done.stderr + done.stdout) is not allowed
