"""The session store with 100,000 messages, against plain JSONL files; prints ratios.

    python -m benchmarks.store [--messages N] [--folder DIR]

What must hold: open under 50 ms; a search for two words at most 1/100 of scanning files; a
word that is everywhere under 5 ms. Each is measured in turns with its counterpart, in this
process but for `open`, which is a process of its own each time.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from palaver.core.messages import assistant, user
from palaver.sessions import tree
from palaver.sessions.store import Store

TURNS = 25  # of a session
OPEN = """
import sys, time
begin = time.perf_counter()
from palaver.sessions.store import Store
imported = time.perf_counter()
from pathlib import Path
store = Store(Path(sys.argv[1]))
opened = time.perf_counter()
found = store.list_sessions(1)
print((imported - begin) * 1000, (opened - imported) * 1000, found[0].id)
"""


def sentences(rng: random.Random, count: int) -> list[str]:
    """Return texts of a few dozen words; word ranks follow Zipf's law, as in speech."""
    words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrstvx"] + [
        f"{a}{b}{c}{d}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst" for d in "aeiou"
    ]
    weights = [1 / (rank + 2) for rank in range(len(words))]
    picked = rng.choices(words, weights, k=count * 30)
    return [" ".join(["the", *picked[i : i + rng.randrange(5, 30)]]) for i in range(count)]


def fill(store: Store, folder: Path, texts: list[str]) -> None:
    """Write the same conversations to the store and as a JSONL file each."""
    with store.db.writing() as connection:
        for start in range(0, len(texts), 2 * TURNS):
            part = texts[start : start + 2 * TURNS]
            connection.execute("INSERT INTO session(created, updated) VALUES (?,?)", (start, start))
            session, tip = connection.last_insert_rowid(), None
            lines = []
            for i, text in enumerate(part):
                message = assistant(text) if i % 2 else user(text)
                tip = tree.append(connection, session, tip, message).id
                lines.append(json.dumps({"role": message.role, "content": text}))
            (folder / f"{session:05}.jsonl").write_text("\n".join(lines) + "\n")


def scan(folder: Path, words: list[str]) -> int:
    """Search files as a program without an index does: raw lines first, JSON where they match."""
    needles = [word.encode() for word in words]
    found = 0
    for path in sorted(folder.iterdir()):
        for line in path.read_bytes().splitlines():
            if all(needle in line for needle in needles):
                found += all(word in json.loads(line)["content"].split() for word in words)
    return found


def timed(function: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    begin = time.perf_counter()
    function()
    return (time.perf_counter() - begin) * 1000


def turns(rounds: int, **functions: Callable[[], object]) -> dict[str, float]:
    """Call the functions in turns, each for 20 ms or once; return median milliseconds.

    A single short call behind a long one is often the one that the scheduler interrupts.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            until = time.perf_counter() + 0.02
            while time.perf_counter() < until:
                times[name].append(timed(function))
    return {name: statistics.median(found) for name, found in times.items()}


def measure_open(path: Path) -> tuple[float, float]:
    """Return median milliseconds of importing the store and of opening it, in new processes."""
    found = []
    for _ in range(9):
        command = [sys.executable, "-c", OPEN, str(path)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append([float(value) for value in out.split()[:2]])
    return statistics.median(f[0] for f in found), statistics.median(f[1] for f in found)


def measure_turn(store: Store) -> tuple[float, float]:
    """Return median milliseconds of a durable append and of a journal row in the full store."""
    session = store.create_session()
    commits, pieces = [], []
    for i in range(60):
        commits.append(timed(lambda: store.append(session, store.tip(session), user("the word"))))
        tip = store.tip(session)
        for seq in range(20):
            pieces.append(
                timed(lambda s=seq, t=tip: store.journal_append(session, t, s, "text", "x"))
            )
        commits.append(timed(lambda t=tip, i=i: store.append(session, t, assistant(f"bal {i}"))))
    return statistics.median(commits), statistics.median(pieces)


def main() -> int:
    """Build the store and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    options = parser.parse_args()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        files = folder / "files"
        files.mkdir()
        path = folder / "data" / "palaver.db"
        with Store(path) as store:
            took = timed(lambda: fill(store, files, sentences(rng, options.messages)))
        print(
            f"{options.messages} messages in {took / 1000:.1f} s, {path.stat().st_size >> 20} MiB"
        )
        imported, opened = measure_open(path)
        print(f"open: {opened:.2f} ms (must be under 50), importing it {imported:.1f} ms")
        with Store(path) as store:
            pair = ["ler", "kiv"]  # in about one message of a hundred, each
            hits = len(store.search(" ".join(pair), 10_000))
            if hits != scan(files, pair):
                raise SystemExit("the index and the files disagree")
            got = turns(
                7,
                files=lambda: scan(files, pair),
                store=lambda: store.search(" ".join(pair)),
                frequent=lambda: store.search("the"),
                mixed=lambda: store.search("the rimla"),
                beginning=lambda: store.search("b*"),
                listing=lambda: store.list_sessions(20),
                path=lambda: store.path(options.messages // (2 * TURNS)),
            )
            ratio = got["files"] / got["store"]
            print(f"two words ({hits} hits): {got['store']:.2f} ms, files {got['files']:.0f} ms: "
                  f"1/{ratio:.0f} (must be 1/100)")  # fmt: skip
            print(f"a word in every message: {got['frequent']:.2f} ms (must be under 5)")
            print(f"that and a rare one: {got['mixed']:.2f} ms; b*: {got['beginning']:.2f} ms")
            print(f"list 20 sessions: {got['listing']:.2f} ms; resume {2 * TURNS} messages: "
                  f"{got['path']:.2f} ms")  # fmt: skip
            commit, piece = measure_turn(store)
            print(f"a durable commit {commit:.2f} ms, a journal row {piece:.3f} ms")
    return 0 if opened < 50 and ratio >= 100 and got["frequent"] < 5 else 1


if __name__ == "__main__":
    sys.exit(main())
