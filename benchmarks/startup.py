"""Start-up: `--version` and `--help`, and from exec to a prompt that echoes keys.

    python benchmarks/startup.py [--model X.gguf] [--rounds N] [--torch] [--llm PATH] [--codex PATH]

`--torch` compares starts that name the engine transformers with those that name llama-cpp.

Peers: `python -c pass`; a bare prompt_toolkit PromptSession; `llm chat` and `codex`, where their
paths are given. A prompt counts when the emulator shows it; "echo" is the time from then until a
key that was typed at that moment stands behind it, so that a prompt that is drawn early and does
not listen is found out.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from support import (
    PALAVER,
    PROMPT,
    ROOT,
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
    wall,
)

BARE = f"from prompt_toolkit import PromptSession; PromptSession().prompt({PROMPT!r})"


def main() -> None:
    """Measure both and print."""
    parser = arguments(__doc__, rounds=11, model=True)
    parser.add_argument("--llm", type=Path, help="the llm command, in a venv of its own")
    parser.add_argument("--codex", type=Path, help="the codex command")
    parser.add_argument("--torch", action="store_true", help="engines named: torch or llama.cpp")
    asked = parser.parse_args()
    conditions()
    with fresh_home() as home:
        env = environment(home)
        if asked.torch:
            engines(env, asked.rounds)
            return
        commands(env, asked.rounds)
        prompts(env, asked.rounds, model_file(asked.model), asked.llm, asked.codex)


def commands(env: dict[str, str], rounds: int) -> None:
    """Time the two commands that only print."""
    runs = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "palaver --version": [PALAVER, "--version"],
        "palaver --help": [PALAVER, "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for argv in runs.values():
        wall(argv, env)
    for _ in range(rounds):
        for name, argv in runs.items():
            seconds[name].append(wall(argv, env))
    floor = seconds["python -c pass"]
    rows = []
    for name, values in seconds.items():
        ratio = ratios(values, floor)
        said = "" if values is floor else verdict(statistics.median(ratio), most=5)
        rows.append([name, spread((v * 1e3 for v in values), ".1f"), spread(ratio), said])
    table(["whole process", "ms", "x python -c pass", "target"], rows)


def prompts(
    env: dict[str, str], rounds: int, model: Path, llm: Path | None, codex: Path | None
) -> None:
    """Time how long a user waits until they can type."""
    runs: dict[str, tuple[list[str], str]] = {
        "bare prompt_toolkit": ([sys.executable, "-c", BARE], PROMPT),
        "palaver": ([PALAVER], PROMPT),
        "palaver -m 0.5B": ([PALAVER, "-m", str(model)], PROMPT),
    }
    if llm:
        runs["llm chat"] = ([str(llm), "chat"], "> ")
    if codex:
        runs["codex"] = ([str(codex)], "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}")
    seen = _times(env, rounds, runs)
    for what, pick in (("prompt drawn", _drawn), ("first key echoed", _echoed)):
        _print(what, {name: [pick(x) for x in values] for name, values in seen.items()})


def engines(env: dict[str, str], rounds: int) -> None:
    """Time the prompt with a torch engine named against llama.cpp named."""
    data = ROOT / "tests" / "data"
    given = {"llama-cpp": data / "palaver-nano.gguf", "transformers": data / "palaver-nano"}
    runs = {
        name: ([PALAVER, "-e", name, "-m", str(model)], PROMPT) for name, model in given.items()
    }
    seen = _times(env, rounds, runs)
    for what, pick in (("prompt drawn", _drawn), ("first key echoed", _echoed)):
        llama, torch = ([pick(x) for x in seen[name]] for name in given)
        ratio = ratios(torch, llama)
        said = verdict(statistics.median(ratio), most=1.03)
        print(f"{what}, transformers / llama-cpp: {spread(ratio)} {said}")


def _times(
    env: dict[str, str], rounds: int, runs: dict[str, tuple[list[str], str]]
) -> dict[str, list[tuple[float, float]]]:
    """Start each in turns; return the seconds to the prompt and to the first key echoed."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, (argv, start) in runs.items():
            terminal = Terminal(argv, env)
            try:
                drawn = terminal.at_prompt(start)
                echo = terminal.echo()
            finally:
                terminal.kill()
            if number:  # the first round warms the caches
                seen[name].append((drawn, drawn + echo))
    return seen


def _drawn(times: tuple[float, float]) -> float:
    return times[0]


def _echoed(times: tuple[float, float]) -> float:
    return times[1]


def _print(what: str, seconds: dict[str, list[float]]) -> None:
    floor = seconds["bare prompt_toolkit"]
    rows = []
    for name, values in seconds.items():
        ratio = ratios(values, floor)
        said = verdict(statistics.median(ratio), most=1.35) if name.startswith("palaver") else ""
        if "llm chat" in seconds and name.startswith("palaver"):
            against = statistics.median(ratios(values, seconds["llm chat"]))
            said += f"; {against:.2f} of llm chat: {verdict(against, most=0.35)}"
        rows.append([name, spread((v * 1e3 for v in values), ".0f"), spread(ratio), said])
    table([f"exec to {what}", "ms", "x bare prompt_toolkit", "target"], rows)


if __name__ == "__main__":
    main()
