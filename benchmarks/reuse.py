"""First token of a short turn late in a conversation, against raw reuse of the same prefix.

    python benchmarks/reuse.py [--model X.gguf] [--rounds N] [--history N]

Kinds of turn: the next one, a retry, the last one edited, a branch two turns back. For each the
engine's cache is first brought, by a raw request, to what it held before palaver's turn, and then
asked for one token after palaver's own ids. Palaver's clock runs from Enter to the first
character on the terminal: storing the message, rendering, tokenising and painting are in it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from history import Built, flags, history, ids, rows
from palaver.models.kv import common_prefix
from raw import complete, engine_socket
from support import Chat, arguments, conditions, environment, model_file, spread, table, verdict

EXTRA = 16  # tokens that may be read beyond the new ones
KINDS = ("next turn", "retry", "edit", "branch")


class Sample(NamedTuple):
    """One turn beside its raw floor: seconds, tokens read, tokens that were new."""

    ours: float
    raw: float
    read: int
    new: int


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, rounds=5, model=True)
    parser.add_argument("--history", type=int, default=8000, help="tokens (8000)")
    asked = parser.parse_args()
    model = model_file(asked.model)
    conditions()
    with history(model, asked.history) as (home, built):
        chat = Chat(
            environment(home), *flags(model, asked.history), "--resume", "last", shared=True
        )
        try:
            samples = measure(chat, home, asked.rounds)
        finally:
            chat.kill()
    report(samples, built)


def measure(chat: Chat, home: Path, rounds: int) -> dict[str, list[Sample]]:
    """Take all turns of all rounds."""
    chat.loaded(300)
    chat.turn("so what did they say to that, in the end")  # the saved state is restored here
    settle(chat)
    samples: dict[str, list[Sample]] = {kind: [] for kind in KINDS}
    held = ids(rows(home))[1]
    for number in range(rounds):
        lines = {
            "next turn": f"why ship {number} again",
            "retry": "/retry",
            "edit": f"/edit who saw ship {number}",
            "branch": f"so where was ship {number}",
        }
        for kind, line in lines.items():
            if kind == "branch":
                command(chat, "/undo 2", b"undone")
            said = lines["next turn"] if kind == "retry" else line
            found, held = sample(chat, home, line, said, held)
            samples[kind].append(found)
        print(f"round {number + 1} of {rounds}", flush=True)
    return samples


def sample(
    chat: Chat, home: Path, line: str, said: str, held: list[int]
) -> tuple[Sample, list[int]]:
    """Take a turn, then the same ids raw from the same cache, which `held` says.

    Returns what the cache holds in the end: the same as if only palaver had used it.
    """
    turn = chat.turn(line, said=said)
    prompt, after = ids(rows(home))
    settle(chat)
    path = engine_socket(home)
    complete(path, held[:-1], 0)
    raw = complete(path, prompt, 1)
    complete(path, after[:-1], 0)
    new = len(prompt) - common_prefix(held, prompt)
    if raw.read != turn.read:
        print(f"{line!r}: palaver read {turn.read} tokens, the raw request {raw.read}", flush=True)
    return Sample(turn.first, raw.first, turn.read, new), after


def command(chat: Chat, line: str, needle: bytes) -> None:
    """Send a command and wait until it says what it did."""
    mark = len(chat.raw)
    chat.send(line + "\r")
    chat.until(needle, mark, 60)


def settle(chat: Chat, seconds: float = 2.5) -> None:
    """Let palaver do what it does between turns: it would share the engine with the raw loop."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        chat.read(left)


def report(samples: dict[str, Sequence[Sample]], built: Built) -> None:
    """Print a row for each kind of turn."""
    lines = []
    for kind, found in samples.items():
        ratio = [s.ours / s.raw for s in found]
        over = max(s.read - s.new for s in found)
        faster = built.seconds / statistics.median(s.ours for s in found)
        lines.append([
            kind,
            spread((s.ours * 1e3 for s in found), ".0f"),
            f"{spread(ratio, '.3f')} {verdict(statistics.median(ratio), most=1.05)}",
            f"new {spread((s.new for s in found), '.0f')}, at most {over} more read:"
            f" {verdict(over, most=EXTRA)}",
            f"{faster:.0f}x {verdict(faster, least=50)}",
        ])  # fmt: skip
    head = ["first token", "ms", "x raw prefix reuse", "prefilled", "faster than no reuse"]
    table(head, lines)
    print(f"no reuse: {built.read} tokens in {built.seconds:.1f} s, when the history was made")


if __name__ == "__main__":
    main()
