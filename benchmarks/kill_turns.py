"""Kills a chat in a terminal at random moments of turns with tools, and looks what is left.

    python benchmarks/kill_turns.py [--model X.gguf] [--rounds KILLS] [--full] [--seed S]

The shipped model is asked to touch, write, read and list files; each file to be touched or
written has a name of its own, and the kernel tells how often it was (inotify: Linux alone). After
each kill the session is resumed and gone on with by `/continue`; a call that was under way has to
be asked about, and is never allowed again. No call may run twice, every result that was painted
has to be stored, and no result may leave the store. `--full` is 2,000 kills. Exits with 1 where
that is not so.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from kill import asked_for, paint
from palaver import demo
from palaver.chat.calls import open_calls
from palaver.chat.decide import AwaitUser, next_step
from palaver.core.errors import PalaverError
from palaver.core.events import ToolFinished
from palaver.core.log import Row
from palaver.core.messages import Message, ToolCall, ToolResult, user
from palaver.sessions.store import Store
from palaver.terminal.toolview import summary
from palaver.tools.files import SCRATCH
from support import PALAVER, Terminal, conditions, environment, fresh_home

_TOOLS = "python,shell,read_file,list_files,write_file,search_files"
_EACH = 50  # kills in one home: what is read of a store after each kill grows
_PATIENCE = 60.0
_ERASE = "\x15"
_LOADED = re.compile(rb"threads=\d")
_ANSWERED = re.compile(rb"reused, \d+ read")
_ASKED = b"Ctrl-C stops the turn"
_AGAIN = b"may it run again?"
_RESULT = "[result] "
_WRITTEN = 0x88  # IN_CLOSE_WRITE, IN_MOVED_TO
_SEEN = (
    "within an answer", "before a call", "in a call", "after a result", "calls", "files made",
    "results painted", "asked about", "gone on with",
)  # fmt: skip
_BAD = ("lost", "twice", "not resumed", "not asked about", "without one result")


class Witness:
    """Counts how often each file of a folder was closed after writing, or moved to its name."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = _WRITTEN | 0x20  # IN_OPEN, because equal events in a row become one
        if self._fd < 0 or libc.inotify_add_watch(self._fd, bytes(folder), mask) < 0:
            raise OSError(ctypes.get_errno(), "inotify can't watch the folder")
        self.seen: Counter[str] = Counter()

    def look(self) -> None:
        """Take what the kernel has seen."""
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                _, mask, _, size = struct.unpack_from("iIII", data, at)
                if mask & 0x4000:  # IN_Q_OVERFLOW
                    raise SystemExit("the kernel lost events: nothing can be said")
                name = data[at + 16 : at + 16 + size].rstrip(b"\0").decode()
                self.seen[name] += bool(mask & _WRITTEN)
                at += 16 + size

    def close(self) -> None:
        """Watch no longer."""
        os.close(self._fd)


class Trial:
    """One home and one folder; sessions that are killed again and again."""

    def __init__(self, home: Path, model: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._home, self._folder, self._model = home / "home", home / "work", model
        self._file = self._home / ".local/share/palaver/palaver.db"
        self._home.mkdir()
        self._folder.mkdir()
        (self._folder / "notes.txt").write_text("hello there\nsecond line\n")
        with Store(self._file) as store:  # there always is a session to resume
            store.append(store.create_session(), None, user("hello"))
        self._witness = Witness(self._folder)
        self._said = self._turns = 0
        self._in_call = False  # whether to kill it while a call is written or runs

    def kill_once(self) -> None:
        """Start the chat, go on with what was cut off, talk, kill it, count."""
        before, stored = self.rows(), _every(self._paths())
        waits = not isinstance(step := next_step(before), AwaitUser) or step.why == "cut off"
        chat = self._start()
        try:
            mark = self._talk(chat, before if waits else [])
            os.kill(chat.process.pid, signal.SIGKILL)
            while chat.read(0.2):
                pass
        finally:
            chat.kill()
        self._count(chat, mark, stored)

    def end(self) -> None:
        """Go on with what the last kill left, without another; compare all that there is."""
        before = self.rows()
        if not isinstance(next_step(before), AwaitUser):
            chat = self._start()
            try:
                self._loaded(chat)
                self._go_on(chat, before)
            finally:
                chat.kill()
        self._check()
        self._witness.close()

    def rows(self) -> list[Row]:
        """Return what the session stands on."""
        with self._store() as store:
            newest = store.list_sessions(1)
            return store.path(newest[0].id) if newest else []

    def _paths(self) -> list[list[Row]]:
        """Return every branch of every session."""
        with self._store() as store:
            return [
                store.path(session.id, branch.tip)
                for session in store.list_sessions()
                for branch in store.branches(session.id)
            ]

    def _store(self) -> Store:
        try:
            return Store(self._file, readonly=True)
        except PalaverError as error:
            raise SystemExit(f"the store does not open: {error}") from error

    def _start(self) -> Terminal:
        flags = ["-m", str(self._model), "--threads", "1", "--context", "2048", "--temperature"]
        flags += ["0", "--max-tokens", "120", "--tools", _TOOLS]
        flags += ["--consent", self.rng.choice(("auto", "auto", "ask")), "--resume", "last"]
        os.chdir(self._folder)
        return Terminal([PALAVER, "chat", *flags], environment(self._home), live=False)

    def _talk(self, chat: Terminal, before: Sequence[Row]) -> int:
        """Talk until it is time; return where the output of what was said begins."""
        if self.rng.random() < 0.05:  # while it starts
            self._read(chat, time.perf_counter() + self.rng.uniform(0, 1.5))
            return len(chat.raw)
        self._loaded(chat)
        self._in_call = self.rng.random() < 0.5
        mark = len(chat.raw)
        soon = self.rng.random() < 0.3  # within what is gone on with, too
        end = time.perf_counter() + self.rng.uniform(0, 1.5) if soon else None
        going = not before or self._go_on(chat, before, end)
        end = end or time.perf_counter() + self.rng.uniform(0, 2.0)
        while going:
            if self._turns >= self.rng.choice((1, 1, 2)):
                chat.send(_ERASE + "/clear\r")
                self._turns = 0
            self._turns += 1
            going = self._turn(chat, self._line(), end)
        return mark

    def _loaded(self, chat: Terminal) -> None:
        end = time.perf_counter() + _PATIENCE
        while not _LOADED.search(chat.raw):
            if not chat.read(0.2) and (
                time.perf_counter() > end or chat.process.poll() is not None
            ):
                chat.show()
                raise SystemExit(f"it does not start:\n{chat.text()}")

    def _go_on(self, chat: Terminal, before: Sequence[Row], end: float | None = None) -> bool:
        """Go on with what was cut off; False where it was time before that was done."""
        start = len(chat.raw)
        done = self._turn(chat, "/continue", end or time.perf_counter() + _PATIENCE)
        asked = chat.raw.find(_AGAIN, start) >= 0
        if done and any(call.started for call in open_calls(before)) and not asked:
            self.counts["not asked about"] += 1
        self.counts["gone on with"] += done
        if not done and end is None:
            chat.show()
            print(f"/continue did not end:\n{chat.text()}", flush=True)
            self.counts["not resumed"] += 1
        return done

    def _turn(self, chat: Terminal, line: str, end: float) -> bool:
        """Say a line and answer questions; False where it was time before it was answered."""
        mark = start = len(chat.raw)
        chat.send(_ERASE + line + "\r")  # a line that was sent and not stored was given back
        in_call = self._in_call and line != "/continue"
        while time.perf_counter() < end:
            if in_call and chat.raw.find(b"[call] ", start) >= 0:
                end, in_call = time.perf_counter() + self.rng.uniform(0, 0.3), False
            if (at := chat.raw.find(_ASKED, mark)) >= 0:
                again = chat.raw.find(_AGAIN, mark, at) >= 0
                self.counts["asked about"] += again
                self._read(chat, min(end, time.perf_counter() + self.rng.uniform(0, 0.3)))
                if time.perf_counter() >= end:
                    break
                mark = len(chat.raw)
                chat.send("n\r" if again else "y\r")
            elif _ANSWERED.search(chat.raw, mark):
                return True
            elif not chat.read(end - time.perf_counter()) and chat.process.poll() is not None:
                break
        return False

    def _read(self, chat: Terminal, end: float) -> None:
        while (left := end - time.perf_counter()) > 0 and chat.process.poll() is None:
            chat.read(left)

    def _line(self) -> str:
        """Return something to say; no name comes twice."""
        kind = self.rng.choice(
            ("touch",) * 4 + ("write",) * 4 + ("sum", "sleep", "read", "list", "search")
        )
        if kind in ("touch", "write"):
            self._said += 1
            name = f"{_word(self._said)}.txt"
            return f"run touch {name}" if kind == "touch" else f"write '{name[:-4]}' to {name}"
        return {
            "sum": f"What is {self.rng.randrange(100)}*{self.rng.randrange(100)}?",
            "sleep": "run sleep 1",
            "read": "read notes.txt",
            "list": "list the files",
            "search": "Search for hello",
        }[kind]

    def _count(self, chat: Terminal, mark: int, before: Sequence[Row]) -> None:
        """Compare what was painted since `mark`, and stored before, with what is stored."""
        rows = _every(self._paths())
        for lost in Counter(_results(before)) - Counter(_results(rows)):
            self._lose(f"stored before: {lost}")
        last = max((row.id for row in before), default=0)
        stored = [_summary(part) for part in _results([row for row in rows if row.id > last])]
        shown = _painted(chat, len(chat.raw))[len(_painted(chat, mark)) :]
        self.counts["results painted"] += len(shown)
        left = iter(stored)  # calls that were left open get theirs without being painted
        if not all(any(found.startswith(head[: len(found)]) for found in left) for head in shown):
            self._lose(f"painted: {shown}, stored: {stored}")
        rows = self.rows()
        if left := open_calls(rows):
            self.counts["in a call" if any(call.started for call in left) else "before a call"] += 1
        elif rows and isinstance(rows[-1].entry, Message):
            self.counts["after a result"] += rows[-1].entry.role == "tool"
            self.counts["within an answer"] += rows[-1].entry.role == "user"

    def _lose(self, what: str) -> None:
        self.counts["lost"] += 1
        print(f"lost, {what}", flush=True)

    def _check(self) -> None:
        """Compare the files with the calls of all sessions, and the calls with their results."""
        self._witness.look()
        named: Counter[str] = Counter()
        calls = wrong = 0
        for rows in self._paths():
            entries = [row.entry for row in rows if isinstance(row.entry, Message)]
            made = [call for entry in entries for call in entry.calls]
            named.update(map(_file_of, made))
            calls += len(made)
            wrong += abs(len(made) - len(_results(rows)) - len(open_calls(rows)))
        ran = Counter({n: k for n, k in self._witness.seen.items() if not n.startswith(SCRATCH)})
        for name in ran - named:
            print(f"twice: {name!r} {ran[name]} times, named by {named[name]} calls", flush=True)
        now = {"calls": calls, "files made": len(ran), "twice": (ran - named).total()}
        self.counts |= Counter(now | {"without one result": wrong})


def _every(paths: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the rows of all paths, in the order in which they were written."""
    found = {row.id: row for rows in paths for row in rows}
    return [found[number] for number in sorted(found)]


def _results(rows: Sequence[Row]) -> list[ToolResult]:
    entries = [row.entry for row in rows if isinstance(row.entry, Message)]
    return [part for entry in entries for part in entry.parts if isinstance(part, ToolResult)]


def _summary(result: ToolResult) -> str:
    return _RESULT + summary(ToolFinished(result, 0.0))


def _painted(chat: Terminal, end: int) -> list[str]:
    """Return the heads of the results that the first bytes leave on a terminal."""
    return [row for row in paint(bytes(chat.raw[:end])) if row.startswith(_RESULT)]


def _file_of(call: ToolCall) -> str:
    """Return the name of the file that a call writes or touches, if it does."""
    try:
        given = json.loads(call.arguments)
    except ValueError:
        return ""
    return PurePath(given.get("path") or given.get("command", "").removeprefix("touch ")).name


def _word(number: int) -> str:
    """Write a number in syllables."""
    text = ""
    while number or len(text) < 4:
        number, vowel = divmod(number, 5)
        number, consonant = divmod(number, 14)
        text += "bdfgklmnprstvz"[consonant] + "aeiou"[vowel]
    return text


def main() -> None:
    """Run the trial."""
    asked = asked_for(__doc__)
    conditions()
    counts: Counter[str] = Counter()
    for first in range(0, asked.kills, _EACH):
        with fresh_home() as home:
            trial = Trial(home, (asked.model or demo.path()).absolute(), asked.seed + first)
            for _ in range(min(_EACH, asked.kills - first)):
                trial.kill_once()
            trial.end()
        counts += trial.counts
        told = ", ".join(f"{counts[name]} {name}" for name in (*_SEEN, *_BAD))
        print(f"seed {asked.seed}: {min(first + _EACH, asked.kills)} kills: {told}", flush=True)
    sys.exit(1 if any(counts[name] for name in _BAD) else 0)


if __name__ == "__main__":
    main()
