"""Kills a process that talks and streams at random moments, and looks what is left.

    python -m benchmarks.kill_store [--kills N] [--seed S]

The child acknowledges what it says only after the store took it. After each kill the store
must open, hold every acknowledged word in place, and give an answer that was under way back.
Prints counts; exits with 1 if a word was lost. PALAVER_FULL=1 makes it 2,000 kills.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

import apsw

from palaver.core.messages import assistant, user
from palaver.sessions.store import Store

WORDS = ["alpha", "beta", "gamma", "δέλτα", "世界", "🙂"]


def chat(path: Path, session: int | None, seed: int, ack: int) -> None:
    """Talk until killed: each line on `ack` says what the store has taken."""
    rng = random.Random(seed)

    def said(*what: object) -> None:
        os.write(ack, json.dumps(what).encode() + b"\n")

    store = Store(path)
    if session is None:
        session = store.create_session()
        said("session", session)
    recovered = store.recover(session)
    if recovered:
        said("recovered", recovered.id)
    while True:
        text = " ".join(rng.choices(WORDS, k=rng.randrange(1, 200)))
        asked = store.append(session, store.tip(session), user(text))
        said("user", asked.id, text)
        answer = ""
        for seq in range(rng.randrange(40)):
            piece = rng.choice(WORDS) + " "
            store.journal_append(session, asked.id, seq, "text", piece)
            answer += piece
            said("piece", asked.id, piece)
            time.sleep(rng.random() * 0.001)  # so that half of the kills fall into an answer
        done = store.append(session, asked.id, assistant(answer))
        said("answer", done.id, answer)
        if rng.random() < 0.1:
            store.tidy()


class Trial:
    """One store, killed again and again; what was acknowledged so far."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "data" / "palaver.db"
        self.rng = random.Random(seed)
        self.session: int | None = None
        self.rows: dict[int, str] = {}  # complete messages
        self.pieces: dict[int, str] = {}  # answers under way, by what they answer
        self.acknowledged = self.lost = self.recovered = self.in_stream = 0

    def kill_once(self) -> None:
        """Start a child, kill it after a random time, take down what it acknowledged."""
        out, ack = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            with contextlib.suppress(BaseException):
                chat(self.path, self.session, self.rng.randrange(2**31), ack)
            os._exit(1)
        os.close(ack)
        said = bytearray()
        while b"\n" not in said and select.select([out], [], [], 30)[0]:
            said += os.read(out, 65536)  # it has begun: the moments before are shorter than these
        end = time.monotonic() + self.rng.expovariate(1 / 0.03)
        while (left := end - time.monotonic()) > 0:
            if select.select([out], [], [], left)[0]:
                said += os.read(out, 65536)
        os.kill(child, signal.SIGKILL)
        while more := os.read(out, 65536):
            said += more
        os.close(out)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            raise SystemExit("the child ended by itself: see its error by calling chat()")
        for line in said.split(b"\n")[:-1]:
            self.take(*json.loads(line))

    def take(self, kind: str, number: int, text: str = "") -> None:
        """Note one acknowledgement."""
        if kind == "session":
            self.session = number
            return
        self.acknowledged += len(text.split())
        if kind == "piece":
            self.pieces[number] = self.pieces.get(number, "") + text
        elif kind in ("user", "answer"):
            self.rows[number] = text

    def look(self) -> None:
        """Open the store and count the acknowledged words that are not in it."""
        with Store(self.path) as store:
            if self.session is None:
                return
            row = store.recover(self.session)
            self.recovered += row is not None
            rows = store.path(self.session)
        found = {r.id: getattr(r.entry, "text", "") for r in rows}
        answers = {r.parent: getattr(r.entry, "text", "") for r in rows}
        for number, text in self.rows.items():
            if found.get(number) != text:
                self.lost += len(text.split())
        for asked, text in self.pieces.items():
            if not answers.get(asked, "").startswith(text):
                self.lost += len(text.split())
        self.in_stream += bool(self.pieces)
        if len(self.rows) > 400:  # a new conversation, so that looking stays quick
            self.session, self.rows = None, {}
        self.pieces = {}


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=2000 if os.environ.get("PALAVER_FULL") else 40)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), options.seed)
        for _ in range(options.kills):
            trial.kill_once()
            trial.look()
        raw = apsw.Connection(str(trial.path))
        sound = raw.pragma("integrity_check")
        raw.close()
    print(
        f"seed {options.seed}: {options.kills} kills, {trial.acknowledged} words acknowledged, "
        f"{trial.lost} lost; {trial.recovered} answers recovered; integrity {sound}; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if trial.lost or sound != "ok" else 0


if __name__ == "__main__":
    sys.exit(main())
