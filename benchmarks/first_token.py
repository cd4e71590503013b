"""From exec to the first character of an answer, on a model that has to be loaded.

    python benchmarks/first_token.py [--model X.gguf] [--rounds N] [--threads N]

Palaver is a chat in a terminal: the question is typed when the prompt stands there, and the
clock stops when the emulator shows the answer's first character. The peer is a bare script that
loads the wheel's server in its own process, with the same settings, asks for one token after the
same ids and prints it.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from raw import chatml
from support import (
    Chat,
    Terminal,
    arguments,
    conditions,
    environment,
    fresh_home,
    model_file,
    ratios,
    spread,
    table,
    verdict,
)

QUESTION = "tell me a story about a lighthouse"
BARE = """
import os, sys
os.environ["GOMP_SPINCOUNT"] = "1000"
import xllamacpp
p = xllamacpp.CommonParams()
p.model.path = sys.argv[1]
p.n_ctx, p.n_parallel, p.n_batch, p.n_ubatch = 8192, 1, 256, 256
p.warmup, p.verbosity, p.fit_params, p.cache_ram_mib = False, -1, False, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = int(sys.argv[2])
p.hostnames = [sys.argv[3]]
server = xllamacpp.Server(p)
out = server.handle_completions({"prompt": sys.argv[4], "max_tokens": 1, "temperature": 0})
text = out["choices"][0]["text"].strip()
assert text, "the first token is a blank: ask another question"
print("answer:", text, flush=True)
os._exit(0)
"""


def main() -> None:
    """Measure both and print."""
    parser = arguments(__doc__, rounds=9, model=True)
    parser.add_argument("--threads", type=int, default=1, help="of both sides (1)")
    asked = parser.parse_args()
    model = model_file(asked.model)
    conditions()
    seconds: dict[str, list[float]] = {"bare": [], "palaver": [], "palaver, threads measured": []}
    for number in range(asked.rounds + 1):
        bare = bare_script(model, asked.threads)
        ours = palaver(model, "--threads", str(asked.threads))
        free = palaver(model)
        if number:  # the first round brings the file into the page cache
            for name, value in zip(seconds, (bare, ours, free), strict=True):
                seconds[name].append(value)
    rows = []
    for name, values in seconds.items():
        ratio = ratios(values, seconds["bare"])
        said = verdict(statistics.median(ratio), most=1.1) if name == "palaver" else ""
        rows.append([name, spread((v * 1e3 for v in values), ".0f"), spread(ratio), said])
    table(["exec to first token", "ms", "x bare", "target"], rows)


def bare_script(model: Path, threads: int) -> float:
    """Return the seconds that the script takes to its token."""
    with fresh_home() as home:
        argv = [sys.executable, "-c", BARE, str(model), str(threads)]
        argv += [str(home / "s.sock"), chatml(QUESTION)]
        terminal = Terminal(argv, environment(home))
        try:
            return terminal.at_prompt("answer:", 120)
        finally:
            terminal.kill()


def palaver(model: Path, *flags: str) -> float:
    """Return the seconds from exec to the first character of an answer."""
    with fresh_home() as home:
        chat = Chat(
            environment(home), "-m", str(model), "--max-tokens", "8", "--temperature", "0", *flags
        )
        try:
            chat.at_prompt()
            typed = time.perf_counter() - chat.began
            return typed + chat.turn(QUESTION).first
        finally:
            chat.kill()


if __name__ == "__main__":
    main()
