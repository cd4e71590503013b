"""Hooks around calls: real commands, a turn in memory, and a chat with the shipped model."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.support.bench import Paper, Probe, Script, calls

from palaver.chat import run
from palaver.chat.front import Answer, Front, Question
from palaver.chat.work import Workshop
from palaver.config import settings
from palaver.core.errors import UserError
from palaver.core.generation import Sampling
from palaver.core.log import CallStarted
from palaver.core.messages import ToolCall, user
from palaver.tools import consent
from palaver.tools.guard import Guard
from palaver.tools.hooks import HookedBox, Hooks, read_hooks
from palaver.tools.toolbox import load


class Turn:
    """One turn with hooks; `asked` is what the user was asked, and said yes to."""

    def __init__(self, root: Path, *, rules: consent.Rules | None = None, timeout: float = 10):
        self.root = root
        self.look, self.change = Probe("look", reads=True), Probe("change")
        self.asked: list[Question] = []
        self.rules = rules or consent.Rules("auto")
        self.timeout = timeout
        self.meanwhile: Callable[[], Awaitable[None]] = functools.partial(asyncio.sleep, 0)

    def __call__(self, *made: tuple[str, int] | ToolCall, before=(), after=(), again=False):
        """Run the calls, twice if `again`; return their results."""

        async def ask(question: Question) -> Answer:
            self.asked.append(question)
            return Answer(allowed=True)

        guard = Guard(self.rules, self.root, config=self.root / "c.toml", asks=lambda: True)
        self.box = HookedBox(
            [self.look, self.change, *load(["read_file", "write_file"])], guard, None,
            hooks=Hooks(tuple(before), tuple(after), self.timeout), root=self.root,
            environment=os.environ,
        )  # fmt: skip
        self.log, self.halt = Paper(), asyncio.Event()
        self.log.rows.clear()
        front = Front(lambda _events: None, ask, halt=self.halt)
        shop = Workshop(self.box, self.root)

        answers = [calls(*made), *([calls(*made)] if again else [])]

        async def work() -> None:
            beside = asyncio.ensure_future(self.meanwhile())
            await self.log.append(user("go"))
            await run.run_turn(self.log, Script(*answers), shop, Sampling(), front)
            await beside

        asyncio.run(work())
        return [result.text for result in self.log.results()]


@pytest.fixture
def turn(tmp_path):
    return Turn(tmp_path)


def script(folder: Path, code: str) -> str:
    """Write a hook in Python; `said` is what it was given."""
    path = folder / f"hook{len(list(folder.glob('hook*')))}.py"
    path.write_text(f"import json, sys\nsaid = json.load(sys.stdin)\n{code}\n")
    return f"{sys.executable} {path}"


def test_a_hook_sees_a_call_once_before_and_once_after(turn, tmp_path):
    hook = "cat >> seen; echo >> seen"
    assert turn(("look", 1), ("change", 2), before=[hook], after=[hook]) == ["did 1", "did 2"]
    seen = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert [(one["event"], one["tool"]) for one in seen] == [
        ("before", "look"), ("before", "change"), ("after", "look"), ("after", "change"),
    ]  # fmt: skip
    assert seen[1]["arguments"] == {"n": 2}
    assert seen[1]["folder"] == str(tmp_path)
    assert (seen[2]["result"], seen[2]["failed"]) == ("did 1", False)
    assert seen[2]["id"] == seen[0]["id"] == "call_1"


def test_the_same_call_made_again_is_seen_again(turn, tmp_path):
    turn(("look", 1), before=["echo >> seen"], again=True)
    assert (tmp_path / "seen").read_text() == "\n\n"
    assert turn.look.ran == [1, 1]


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("echo 'not on Sundays' >&2; exit 3", "says no: not on Sundays"),
        ("exit 3", "says no: exit code 3"),
        ("kill -9 $$", "says no: exit code -9"),
        ("""echo '{"deny": "not here"}'""", "says no: not here"),
        ("echo hello", "printed something other than"),
        ("""echo '{"argument": {}}'""", "printed something other than"),
        ("echo '[1]'", "printed something other than"),
        ("""echo '{"arguments": 3}'""", "gave arguments of a wrong type"),
        ("""echo '{"arguments": {"m": 3}}'""", "made a wrong call: error: change"),
        ("no-such-program-at-all", "no-such-program-at-all"),
        ("sleep 60", "took longer than 0.2 seconds"),
        ("sleep 60 & exit 0", "took longer than 0.2 seconds"),
    ],
)
def test_a_veto_and_every_failure_keep_a_call_from_running(tmp_path, hook, reason):
    turn = Turn(tmp_path, timeout=0.2 if "sleep" in hook else 10)
    (text,) = turn(("change", 1), before=[hook, "touch second"])
    assert text.startswith("not run: the hook `")
    assert reason in text
    assert turn.change.ran == []
    assert turn.log.entries(CallStarted) == []
    assert turn.asked == []
    assert not (tmp_path / "second").exists()


def test_a_hook_rewrites_arguments_and_the_next_sees_that(turn, tmp_path):
    more = script(
        tmp_path, "print(json.dumps({'arguments': {'n': said['arguments'].get('n', 0) + 1}}))"
    )
    (text,) = turn(("change", 1), before=[more, more])
    assert turn.change.ran == [3]
    assert text == 'did 3\n(a hook had changed the arguments to {"n": 3})'


def test_what_a_hook_made_of_a_call_is_judged_again(tmp_path):
    (tmp_path / "a.txt").write_text("alpha\n")
    (tmp_path / "secret.txt").write_text("hidden\n")
    forbids = consent.Rule("deny", path=(str(tmp_path / "secret.txt"),))
    turn = Turn(tmp_path, rules=consent.Rules("ask", (forbids,)))
    read = ToolCall("1", "read_file", '{"path": "a.txt"}')
    to_secret = """echo '{"arguments": {"path": "secret.txt"}}'"""
    (text,) = turn(read, before=[to_secret])
    assert text.startswith("not allowed: ")
    assert turn.asked == []
    secret = ToolCall("1", "read_file", '{"path": "secret.txt"}')
    (text,) = turn(secret, before=["""echo '{"arguments": {"path": "a.txt"}}'"""])
    assert "alpha" in text
    outside = f"""echo '{{"arguments": {{"path": "{tmp_path.parent}/x"}}}}'"""
    turn(read, before=[outside])
    assert [question.call for question in turn.asked] == []  # the preview fails without a question
    write = ToolCall("1", "write_file", '{"path": "b.txt", "content": "one\\n"}')
    turn(write, before=["""echo '{"arguments": {"path": "b.txt", "content": "two\\\\n"}}'"""])
    (question,) = turn.asked
    assert "+two" in question.preview.text
    assert "a hook changed the arguments" in question.preview.notes
    assert (tmp_path / "b.txt").read_text() == "two\n"


def test_a_hook_after_a_call_changes_or_withholds_its_result(turn, tmp_path):
    masks = script(tmp_path, "print(json.dumps({'result': said['result'].replace('did', 'xxx')}))")
    assert turn(("look", 1), after=[masks]) == ["xxx 1"]
    (text,) = turn(("look", 2), after=["echo 'a key in it' >&2; exit 1"])
    assert text.startswith("it ran, but its result is withheld: the hook `")
    assert text.endswith("says no: a key in it")
    (text,) = turn(("look", 13), after=[script(tmp_path, "assert said['failed']")])
    assert text == "error: bad luck"


def test_calls_that_fit_no_tool_reach_no_hook(turn, tmp_path):
    wrong = ToolCall("1", "look", '{"n": "x"}')
    unknown = ToolCall("2", "nothing", "{}")
    first, second = turn(wrong, unknown, before=["touch ran"])
    assert first.startswith("error: look")
    assert "there is no tool" in second
    assert not (tmp_path / "ran").exists()


def test_stopping_the_turn_ends_a_hook_and_all_that_it_started(turn, tmp_path):
    async def stop() -> None:
        while not (tmp_path / "pid").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        turn.halt.set()

    turn.meanwhile = stop
    hook = "sleep 60 & echo $! > pid.new; mv pid.new pid; wait"
    assert turn(("change", 1), before=[hook]) == ["not run: the user stopped the turn"]
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(int((tmp_path / "pid").read_text()))
        for _ in range(200):  # two seconds; where nobody reaps it, it stays a zombie
            if process.status() == psutil.STATUS_ZOMBIE:
                return
            time.sleep(0.01)
        pytest.fail("the hook's program still runs")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[hooks]\nbefor = 'x'", "takes before, after, timeout"),
        ("hooks = 3", "takes before, after, timeout"),
        ("[hooks]\nbefore = 3", "before must be a list of command lines"),
        ("[hooks]\nafter = ['']", "after must be a list of command lines"),
        ("[hooks]\ntimeout = 0", "timeout must be a number of seconds"),
        ("[hooks]\ntimeout = true", "timeout must be a number of seconds"),
        ("[hooks", "config edit"),
    ],
)
def test_a_wrong_table_is_said(text, said):
    with pytest.raises(UserError, match=r"mine\.toml: ") as error:
        read_hooks(text, "mine.toml")
    assert said in str(error.value)


def test_the_table_is_read():
    assert read_hooks("", "x") == Hooks()
    text = "[hooks]\nbefore = 'a b'\nafter = ['c', 'd']\ntimeout = 2.5"
    assert read_hooks(text, "x") == Hooks(("a b",), ("c", "d"), 2.5)


def test_the_users_config_brings_hooks_into_a_chat(tmp_path, monkeypatch):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path / "home"))
    config = settings.config_file()
    config.parent.mkdir(parents=True)
    config.write_text("[hooks]\nbefore = [\"cat >> $SEEN; echo 'not on Sundays' >&2; exit 1\"]\n")
    seen, folder = tmp_path / "seen", tmp_path / "ws"
    folder.mkdir()
    (folder / "notes.txt").write_text("x\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("palaver"), "ask", "--tools", "list_files", "--json",
         "list the files"],
        cwd=folder, capture_output=True, text=True, timeout=100,
        env=os.environ | {"PALAVER_THREADS": "1", "PALAVER_TEMPERATURE": "0", "SEEN": str(seen)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(seen.read_text())["tool"] == "list_files"
    assert "not on Sundays" in done.stdout
    assert "notes.txt" not in done.stdout
