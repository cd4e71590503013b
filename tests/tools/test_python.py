"""The tool `python`: what is kept and shown, and what ends, as a model would use it."""

import asyncio
import os
import time

import pytest
from tests.support.sandbox import available

from palaver.core.tool import ToolContext, ToolError
from palaver.tools.python import Python
from palaver.tools.sandbox.policy import Limits, Policy
from palaver.tools.sandbox.sandbox import open_sandbox

_LIMITS = Limits()


@pytest.fixture
def talk(tmp_path):
    """Run pieces of code, one after the other, in one session; return what the model is told."""
    available("namespaces")

    async def go(pieces, tool, limits):
        sandbox = open_sandbox(Policy(root=tmp_path, limits=limits), environment=dict(os.environ))
        context = ToolContext(tmp_path, lambda _: None, {}.__getitem__, sandbox)
        told = []
        try:
            for code in pieces:
                try:
                    told.append(await tool.call({"code": code}, context))
                except ToolError as error:
                    told.append(f"failed: {error}")
        finally:
            await sandbox.close()
        return told

    def run(*pieces, limits=_LIMITS, **options):
        return asyncio.run(go(pieces, Python(**options), limits))

    return run


def test_variables_stay_and_the_last_expression_is_shown(talk):
    assert talk("import math\nx = 6", "x * 7", "_ + 1", "None", "x = 1;") == [
        "(no output)", "42\n", "43\n", "(no output)", "(no output)",
    ]  # fmt: skip


def test_reset_clears_them_and_a_stateless_one_keeps_none(talk):
    told = talk("x = 1", "%reset", "x")
    assert told[1] == "(variables cleared)"
    assert told[2].endswith("NameError: name 'x' is not defined\n")
    assert talk("x = 1", "x", stateful=False)[1].endswith("NameError: name 'x' is not defined\n")


def test_output_and_errors_come_in_order(talk):
    code = (
        "import sys\nfor i in range(3):\n    print('out', i)\n    print('err', i, file=sys.stderr)"
    )
    assert talk(code)[0] == "".join(f"out {i}\nerr {i}\n" for i in range(3))
    code = "import subprocess\nprint('a')\nsubprocess.run(['echo', 'b'])\nprint('c')"
    assert talk(code)[0] == "a\nb\nc\n"


def test_a_traceback_comes_once_with_the_codes_lines_alone(talk):
    told = talk(
        "def f(x):\n    return 1 / x\n", "print('before')\nf(0)", "1 +", "import sys; sys.exit(3)"
    )
    assert told[1] == (
        "before\n"
        "Traceback (most recent call last):\n"
        '  File "<run 2>", line 2, in <module>\n'
        "    f(0)\n"
        '  File "<run 1>", line 2, in f\n'
        "    return 1 / x\n"
        "           ~~^~~\n"
        "ZeroDivisionError: division by zero\n"
    )
    assert told[2].count("SyntaxError") == 1
    assert "worker" not in told[2]
    assert told[3].endswith("SystemExit: 3\n")


def test_code_that_takes_too_long_is_interrupted_and_variables_stay(talk):
    told = talk("x = 5", "print('on')\nwhile True: pass", "x", seconds=0.5)
    assert told[1].startswith("failed: on\n")
    assert told[1].endswith("KeyboardInterrupt\ntimed out after 0.5 seconds")
    assert told[2] == "5\n"


def test_what_does_not_let_itself_be_interrupted_is_ended(talk):
    stubborn = "import signal\nsignal.signal(2, signal.SIG_IGN)\nwhile True: pass"
    began = time.monotonic()
    told = talk("x = 5", stubborn, "x", seconds=0.5)
    assert time.monotonic() - began < 20
    assert told[1] == "failed: timed out after 0.5 seconds; its variables are lost"
    assert told[2].endswith("NameError: name 'x' is not defined\n")


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        (
            "import os\nprint('bye')\nos._exit(7)",
            "bye\nthe interpreter ended: exit code 7",
        ),
        ("import os\nos.kill(os.getpid(), 11)", "the interpreter ended: killed by SIGSEGV"),
        ("import os\nos.closerange(0, 99)", "the interpreter ended: exit code"),
    ],
)
def test_an_interpreter_that_ends_is_started_again(talk, code, ended):
    told = talk("x = 5", code, "x = 6", "x")
    assert told[1].startswith(f"failed: {ended}")
    assert told[1].endswith("its variables are lost")
    assert told[3] == "6\n"


def test_a_forked_child_does_not_answer_in_its_parents_place(talk):
    told = talk("import os\npid = os.fork()\nprint('child' if not pid else os.wait()[1])", "1 + 1")
    assert sorted(told[0].split()) == ["0", "child"]
    assert told[1] == "2\n"


def test_it_survives_a_fork_bomb(talk):
    bomb = "import os\nwhile True:\n    os.fork()"
    told = talk(bomb, "1 + 1", limits=Limits(processes=40), seconds=5)
    assert "2" in told[1].splitlines()  # beside what the last children still say


def test_memory_has_a_limit_and_the_interpreter_lives_on(talk):
    told = talk("x = 1", "y = bytearray(400 << 20)", "x", limits=Limits(memory=200 << 20))
    assert told[1].endswith("MemoryError\n")
    assert told[2] == "1\n"


def test_much_output_is_cut_in_the_middle(talk):
    told = talk("print('start')\nfor i in range(40000): print('x' * 500)\nprint('end')", "2")
    assert told[0].startswith("start\n")
    assert told[0].endswith("end\n")
    assert len(told[0]) < 1_100_000
    assert told[1] == "2\n"


def test_a_figure_is_saved_as_a_file(talk, tmp_path):
    (tmp_path / "figure-1.png").write_text("mine")
    told = talk("import matplotlib.pyplot as plt\n_ = plt.plot([1, 4, 9])")
    assert told[0].endswith("[figure saved as figure-2.png]\n")
    assert (tmp_path / "figure-2.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure-1.png").read_text() == "mine"


def test_nothing_in_the_folder_changes_what_python_is(talk, tmp_path):
    for name in ("sitecustomize.py", "usercustomize.py", "json.py", "ast.py"):
        (tmp_path / name).write_text("print('planted')\n")
    (tmp_path / "mine.py").write_text("value = 3\n")
    assert talk("import json, mine; mine.value") == ["3\n"]


def test_input_is_at_its_end(talk):
    assert talk("input()")[0].endswith("EOFError: EOF when reading a line\n")


def test_variables_outlive_an_event_loop(tmp_path):
    available("namespaces")
    sandbox = open_sandbox(Policy(root=tmp_path), environment=dict(os.environ))
    context = ToolContext(tmp_path, lambda _: None, {}.__getitem__, sandbox)
    tool = Python()
    assert asyncio.run(tool.call({"code": "x = 9"}, context)) == "(no output)"
    assert asyncio.run(tool.call({"code": "x"}, context)) == "9\n"
    asyncio.run(sandbox.close())


def test_cancelling_ends_the_code_and_what_it_started(tmp_path):
    available("namespaces")

    async def go():
        sandbox = open_sandbox(Policy(root=tmp_path), environment=dict(os.environ))
        up = asyncio.Event()
        context = ToolContext(tmp_path, lambda _: up.set(), {}.__getitem__, sandbox)
        tool = Python()
        code = "import subprocess\nx = 8\nsubprocess.Popen(['setsid', 'sleep', '985.5'])\n"
        code += "print('up')\nwhile True: pass"
        try:
            task = asyncio.create_task(tool.call({"code": code}, context))
            await asyncio.wait_for(up.wait(), 20)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 20  # that it takes under 2 is measured in benchmarks
            look = "from pathlib import Path\n"
            look += "[p.read_text() for p in Path('/proc').glob('[0-9]*/cmdline')]"
            assert "985.5" not in await tool.call({"code": look}, context)
            assert await tool.call({"code": "x"}, context) == "8\n"
        finally:
            await sandbox.close()

    asyncio.run(go())
