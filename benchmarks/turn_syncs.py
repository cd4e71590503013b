"""How often a turn waits for the disk: two syncs, none between the first and the last token.

    python benchmarks/turn_syncs.py [--model X.gguf] [--rounds N]

Counted are the system calls fsync, fdatasync, sync_file_range, msync and sync of the chat's
process, by strace, while turns are taken in a terminal. A turn runs from Enter to its figures.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from support import Chat, arguments, conditions, environment, fresh_home, model_file, table

CALLS = "fsync,fdatasync,sync_file_range,msync,sync,syncfs"
QUESTION = "tell me a story about a lighthouse"
_BEGUN = re.compile(r"^\d+ +(\d+\.\d+) \w+\(")


def main() -> None:
    """Count and print; exits with 1 if a turn synced more than twice or while it streamed."""
    parser = arguments(__doc__, rounds=20, model=True)
    parser.add_argument("--tokens", type=int, default=200, help="of each answer (200)")
    asked = parser.parse_args()
    if not shutil.which("strace"):
        raise SystemExit("this counts with strace, which is not installed")
    conditions()
    model = model_file(asked.model, "llama")
    turns: list[tuple[float, float, float]] = []
    with fresh_home() as home, tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls"
        trace = ["strace", "-f", "-ttt", "-y", "-e", f"trace={CALLS}", "-o", str(log)]
        flags = ["-m", str(model), "--threads", "1", "--max-tokens", str(asked.tokens)]
        chat = Chat(environment(home), *flags, under=trace)
        try:
            chat.loaded()
            for number in range(asked.rounds):
                turns.append(one_turn(chat, f"{QUESTION} {number}"))
        finally:
            chat.end()
        calls = syncs(log.read_text())
    rows, wrong = [], 0
    for what, start, end, most in (
        ("from Enter to the figures", 0, 2, 2),
        ("from the first to the last token", 1, 2, 1),  # the last one stores the answer
    ):
        counts = [sum(turn[start] <= at <= turn[end] for at in calls) for turn in turns]
        wrong += max(counts) > most
        said = f"at most {most}: {'reached' if max(counts) <= most else 'MISSED'}"
        rows.append([what, f"{min(counts)}-{max(counts)}", said])
    table([f"syncs in each of {len(turns)} turns", "least-most", "target"], rows)
    inside = sum(turn[0] <= at <= turn[2] for at in calls for turn in turns)
    print(f"between turns and at both ends of the program: {len(calls) - inside}")
    sys.exit(1 if wrong else 0)


def one_turn(chat: Chat, line: str) -> tuple[float, float, float]:
    """Take a turn; return the times of Enter, first character and figures, as strace has them."""
    sent = time.time()
    turn = chat.turn(line)
    end = time.perf_counter() + 2.5
    while (left := end - time.perf_counter()) > 0:
        chat.read(left)  # what is synced between turns is not of the next one
    return sent, sent + turn.first, sent + turn.last


def syncs(log: str) -> list[float]:
    """Return when each call began, in seconds since the epoch."""
    return [float(match[1]) for line in log.splitlines() if (match := _BEGUN.match(line))]


if __name__ == "__main__":
    main()
