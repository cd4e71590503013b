"""Kills a chat in a terminal at random moments and looks whether what was acknowledged is stored.

    python benchmarks/kill.py [--model X.gguf] [--rounds KILLS] [--full] [--seed S]

Acknowledged is what was painted: a line that the user sent, once it stands above the input line,
and every letter of an answer. After each kill the store has to open and to hold it (or, of a line
that it had no time to store, the file from which the next start gives it back); then the same
session is resumed; an answer that was cut off has to go on with `/continue`. `--full` is 2,000
kills. Exits with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyte

from palaver.core.errors import PalaverError
from palaver.core.log import Row
from palaver.core.messages import Message
from palaver.sessions.store import Store
from palaver.terminal.escape import visible
from palaver.terminal.unsent import left
from support import (
    COLUMNS,
    PROMPT,
    ROWS,
    Chat,
    arguments,
    conditions,
    environment,
    fresh_home,
    model_file,
)

FULL = 2000
_LONG = 30  # entries
# The program's own rows below an answer.
_NOT_SAID = re.compile(
    r"^(reading|loading the model|queued:|sent and not stored|.*\d+ reused, \d+ read( |$)"
    r"|(stopped|the answer was empty); nothing was answered|.*takes it back$"
    r"|error: this conversation takes|drop the oldest turns with /trim)"
)
_LETTERS = re.compile(r"[^A-Za-z]+")


class Trial:
    """One home folder, one session, killed again and again."""

    def __init__(self, home: Path, model: Path, seed: int) -> None:
        self.home = home
        self.rng = random.Random(seed)
        self.sent = 0
        self.acknowledged = self.lost = self.streaming = self.continued = self.stuck = 0
        self.given_back = 0
        self._flags = ["-m", str(model), "--threads", "1", "--max-tokens", "120"]
        self._flags += ["--context", "8192"]  # the longest session fits
        self._cut = False

    def __str__(self) -> str:
        return (
            f"{self.streaming} within an answer; {self.acknowledged} words acknowledged,"
            f" {self.lost} lost, {self.given_back} lines given back; the store opened each time;"
            f" /continue went on {self.continued} times, failed {self.stuck} times"
        )

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.home / ".local/share/palaver/palaver.db"

    def kill_once(self) -> None:
        """Start the chat, talk, kill it, count."""
        stored = self._rows() if self.store.exists() else []
        # A new session now and then: one that goes on for ever does not fit the context.
        resume = ["--resume", "last"] if stored and (self._cut or len(stored) < _LONG) else []
        chat = Chat(environment(self.home), *self._flags, *resume)
        said: list[str] = []
        try:
            chat.at_prompt()
            if self._cut:
                self._go_on(chat)
            self._talk(chat, time.perf_counter() + self.rng.uniform(0.0, 2.5), said)
            os.kill(chat.process.pid, signal.SIGKILL)
            while chat.read(0.2):
                pass
        finally:
            chat.kill()
        self._count(chat, said)

    def _talk(self, chat: Chat, end: float, said: list[str]) -> None:
        """Send a line whenever the one before is answered, until `end`."""
        mark, waits_for = 0, b"threads="  # in the status line once the session is open
        while (now := time.perf_counter()) < end:
            if (at := chat.raw.find(waits_for, mark)) < 0:
                chat.read(end - now)
                continue
            mark, waits_for = at + len(waits_for), b" reused, "
            if said:
                time.sleep(self.rng.uniform(0, 0.05))
            said.append(f"line {self.sent} {self.rng.choice('abcdefgh') * 5} of this trial")
            self.sent += 1
            mark = len(chat.raw)
            chat.send(said[-1] + "\r")

    def _go_on(self, chat: Chat) -> None:
        """Go on with the answer that the kill before cut off."""
        before = _newest(self._rows(running=True))
        try:
            chat.turn("/continue", 60, seen_first=False)
        except TimeoutError:
            self.stuck += 1
            return
        self.continued += 1
        self.stuck += not _newest(self._rows(running=True)).startswith(before)

    def _count(self, chat: Chat, said: list[str]) -> None:
        painted = paint(bytes(chat.raw))
        given_back = left(self.home / ".local/state/palaver")
        try:
            rows = self._rows()
        except PalaverError as error:
            raise SystemExit(f"the store does not open: {error}") from error
        stored = {_said(row): row.id for row in rows if _said(row)}
        answers = {row.parent: _answer(row) for row in rows if _answer(row)}
        for text in said:
            segment = below(painted, text)
            if segment is None:
                continue  # never painted: not acknowledged
            found = _LETTERS.sub("", "".join(segment))
            words = len(text.split()) + len("".join(segment).split())
            lost = 0
            if text in given_back:
                self.given_back += 1
            elif text not in stored:
                lost = words
                print(f"lost: {text!r} was echoed and is not stored", flush=True)
            else:
                kept = _LETTERS.sub("", visible(answers.get(stored[text], "")))
                if not _within(found, kept):
                    lost = len("".join(segment).split())
                    print(f"lost: painted {found!r}, stored {kept!r}", flush=True)
                    print(f"what the terminal got: {_keep(chat.raw)}", flush=True)
            self.acknowledged += words
            self.lost += lost
        said_last = [row.entry for row in rows if isinstance(row.entry, Message)][-1:]
        self._cut = [m.stop for m in said_last if m.role == "assistant"] == ["error"]
        self.streaming += self._cut

    def _rows(self, *, running: bool = False) -> list[Row]:
        with Store(self.store, readonly=running) as store:
            sessions = store.list_sessions(1)
            if not sessions:
                return []
            if not running:
                store.recover(sessions[0].id)
            return store.path(sessions[0].id)


def _keep(raw: Sequence[int]) -> str:
    with tempfile.NamedTemporaryFile(prefix="kill-", suffix=".raw", delete=False) as file:
        file.write(bytes(raw))
    return file.name


def _said(row: Row) -> str:
    return row.entry.text if isinstance(row.entry, Message) and row.entry.role == "user" else ""


def _answer(row: Row) -> str:
    entry = row.entry
    return entry.text if isinstance(entry, Message) and entry.role == "assistant" else ""


def _newest(rows: list[Row]) -> str:
    return next((_answer(row) for row in reversed(rows) if _answer(row)), "")


def paint(raw: bytes) -> list[str]:
    """Return all rows that the output leaves on a terminal, those scrolled away first."""
    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=5000, ratio=0.5)
    pyte.ByteStream(screen).feed(raw)
    above = ["".join(row[x].data for x in range(COLUMNS)) for row in screen.history.top]
    return [row.rstrip() for row in [*above, *screen.display]]


def below(rows: list[str], text: str) -> list[str] | None:
    """Return what stands below the echo of a line, as far as it was said; None without an echo."""
    at = next((i for i in range(len(rows) - 1, -1, -1) if rows[i] == PROMPT + text), None)
    if at is None or not any(row.startswith(PROMPT.rstrip()) for row in rows[at + 1 :]):
        return None  # it still stands in the input line
    found: list[str] = []
    wrapped = False
    for row in rows[at + 1 :]:
        if row.startswith(PROMPT.rstrip()):
            break
        if wrapped or _NOT_SAID.match(row.strip()):
            wrapped = len(row) >= COLUMNS - 1  # the next row ends it
        else:
            found.append(row)
    return found


def _within(painted: str, stored: str) -> bool:
    """Say whether the letters painted are letters stored, in their order."""
    rest = iter(stored)
    return all(letter in rest for letter in painted)


def asked_for(about: str | None) -> argparse.Namespace:
    """Read the command line of a trial; `kills` is how many it asks for."""
    parser = arguments(about or "", rounds=40, model=True)
    parser.add_argument("--full", action="store_true", help=f"{FULL} kills")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    asked = parser.parse_args()
    asked.kills = FULL if asked.full else asked.rounds
    return asked


def main() -> None:
    """Run the trial."""
    asked = asked_for(__doc__)
    conditions()
    with fresh_home() as home:
        trial = Trial(home, model_file(asked.model, "llama"), asked.seed)
        for done in range(1, asked.kills + 1):
            trial.kill_once()
            if done % 50 == 0 or done == asked.kills:
                print(f"seed {asked.seed}: {done} kills, {trial}", flush=True)
    sys.exit(1 if trial.lost or trial.stuck else 0)


if __name__ == "__main__":
    main()
