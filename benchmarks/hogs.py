"""Decode beside busy processes: threads that palaver chose, against every fixed number.

    python benchmarks/hogs.py [--model X.gguf] [--rounds N] [--tokens N] [--plan 0,1,2,0]

One chat for each fixed number of threads and one that may choose, all loaded; their turns are
taken one after the other, never two at once. The load is a number of busy loops; it changes
after each `--rounds` turns. Between turns each has the time that a user takes to read, in which
palaver may measure again. Counted are the turns from the second one on after each change: the
rate of the one that chooses, over the best median of a fixed number.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from support import (
    Chat,
    arguments,
    conditions,
    environment,
    fresh_home,
    model_file,
    spread,
    table,
    verdict,
)

QUESTION = "tell me a story about a lighthouse"
PAUSE = 3.0  # seconds between two turns
CHOSEN = "chosen"


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, rounds=5, model=True)
    parser.add_argument("--tokens", type=int, default=64, help="of each answer (64)")
    parser.add_argument("--plan", default="0,1,2,0", help="busy loops, one after the other")
    parser.add_argument("--fixed", default="1,2", help="numbers of threads to compare with")
    asked = parser.parse_args()
    conditions()
    model = model_file(asked.model)
    flags = {CHOSEN: [], **{n: ["--threads", n] for n in asked.fixed.split(",")}}
    with fresh_home() as home:
        chats: dict[str, Chat] = {}
        try:
            for name, more in flags.items():
                chats[name] = _open(home / name, model, asked.tokens, more)
            rows = []
            before = "start"
            for hogs in asked.plan.split(","):
                rows.append(_phase(chats, before, int(hogs), asked.rounds))
                before = hogs
        finally:
            for chat in chats.values():
                chat.kill()
    fixed = [f"{name} threads" for name in chats if name != CHOSEN]
    table(["busy loops", *fixed, "chosen", "threads", "of the best fixed", "target"], rows)


def _open(home: Path, model: Path, tokens: int, more: list[str]) -> Chat:
    home.mkdir()
    flags = ["-m", str(model), "--context", "2048", "--max-tokens", str(tokens), *more]
    chat = Chat(environment(home), *flags)
    chat.loaded()
    chat.turn(QUESTION)
    return chat


def _phase(chats: dict[str, Chat], before: str, hogs: int, rounds: int) -> list[str]:
    """Run the turns beside `hogs` busy loops; return a row of the table."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(hogs)]
    rates: dict[str, list[float]] = {name: [] for name in chats}
    threads: list[int] = []
    try:
        for number in range(rounds):
            for name, chat in chats.items():
                turn = chat.turn("/retry", said=QUESTION)
                if number:
                    rates[name].append(turn.rate)
                if name == CHOSEN:
                    threads.append(turn.threads)
                _read(chat, PAUSE)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    best = max(statistics.median(values) for name, values in rates.items() if name != CHOSEN)
    share = [value / best for value in rates[CHOSEN]]
    said = verdict(statistics.median(share), least=0.85)
    cells = [spread(values, ".1f") for name, values in rates.items() if name != CHOSEN]
    row = [f"{before} -> {hogs}", *cells, spread(rates[CHOSEN], ".1f")]
    row += [" ".join(map(str, threads)), spread(share), said]
    print("  ".join(row), flush=True)
    return row


def _read(chat: Chat, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        chat.read(left)


if __name__ == "__main__":
    main()
