"""Going on with a long conversation in a new process: exec to first token, and the state's size.

    python benchmarks/resume.py [--model X.gguf] [--rounds N] [--history N]

The clock runs from the exec of `palaver ask -c QUESTION` to the first character of its answer.
"Prefilling it" is what reading the same conversation took when it was made (`history.py`), on
this machine.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from history import flags, history, rows, states
from support import (
    PALAVER,
    Terminal,
    arguments,
    conditions,
    environment,
    model_file,
    spread,
    table,
    verdict,
)

QUESTION = "so what did they say to that, in the end"


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__, rounds=5, model=True)
    parser.add_argument("--history", type=int, default=8000, help="tokens (8000)")
    asked = parser.parse_args()
    model = model_file(asked.model)
    conditions()
    seconds, read = [], []
    for _ in range(asked.rounds):
        with history(model, asked.history) as (home, built):
            took, prefilled = resume(home, model, asked.history)
            seconds.append(took)
            read.append(prefilled)
            sizes = [size_ratio(path, built.bytes_per_token) for path in states(home)]
    share = [value / built.seconds for value in seconds]
    lines = [
        ["exec to first token, s", spread(seconds), ""],
        ["of prefilling it", spread(share, ".4f"), verdict(statistics.median(share), most=0.03)],
        ["tokens read", spread(read, ".0f"), ""],
        ["state file, x tokens x bytes", spread(sizes, ".4f"), verdict(max(sizes), most=1.02)],
    ]
    table(["resume", "", "target"], lines)
    print(f"prefilling: {built.read} tokens in {built.seconds:.1f} s")


def resume(home: Path, model: Path, tokens: int) -> tuple[float, int]:
    """Return the seconds from exec to the first character, and the tokens read."""
    argv = [PALAVER, "ask", "-c", QUESTION, *flags(model, tokens)]
    terminal = Terminal(argv, environment(home))
    try:
        while not terminal.raw.strip():
            if not terminal.read(60):
                raise SystemExit("no answer came")
        took = terminal.pieces[-1][0] - terminal.began
        while terminal.process.poll() is None:
            terminal.read(0.1)
    finally:
        terminal.kill()
    said = rows(home)[-1].generation
    assert said, terminal.raw
    return took, said.timings.prefilled


def size_ratio(state: Path, bytes_per_token: int) -> float:
    """Return a state's size over what its tokens take in the cache."""
    return state.stat().st_size / (int(state.stem.split("-")[1]) * bytes_per_token)


if __name__ == "__main__":
    main()
