"""Decode as it is painted to a terminal, against the same child read by a raw socket loop.

    python benchmarks/decode.py [--model X.gguf] [--rounds N] [--tokens N] [--threads N]

A round is: raw loop, palaver, raw loop, on one engine with one prompt. A round counts where its
two raw loops differ by at most 4 %. Palaver's rate runs from the first character of the answer
to the line of figures below it, so storing the answer is in it.
"""

from __future__ import annotations

import statistics

from raw import Stream, chatml, complete, engine_socket
from support import (
    Chat,
    Turn,
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
AGREE = 0.04


def main() -> None:
    """Measure both and print."""
    parser = arguments(__doc__, rounds=7, model=True)
    parser.add_argument("--tokens", type=int, default=256, help="of each answer (256)")
    parser.add_argument("--threads", type=int, default=1, help="of the engine (1)")
    asked = parser.parse_args()
    conditions()
    flags = ["-m", str(model_file(asked.model)), "--threads", str(asked.threads)]
    flags += ["--max-tokens", str(asked.tokens), "--context", "2048"]
    counted: list[tuple[float, float]] = []
    with fresh_home() as home:
        chat = Chat(environment(home), *flags, shared=True)
        try:
            chat.loaded()
            chat.turn(QUESTION)
            path = engine_socket(home)
            for number in range(asked.rounds):
                ratio = one_round(chat, path, asked.tokens)
                print(f"round {number + 1}: {ratio[2]}", flush=True)
                if ratio[0] <= 1 + AGREE:
                    counted.append(ratio[:2])
        finally:
            chat.kill()
    values = [value for _, value in counted]
    said = verdict(statistics.median(values), least=0.97) if values else "no round counted"
    table(
        ["decode", "of the raw loop", "rounds", "target"],
        [["painted to a pty", spread(values, ".3f"), f"{len(values)} of {asked.rounds}", said]],
    )


def one_round(chat: Chat, path: str, tokens: int) -> tuple[float, float, str]:
    """Return how the raw loops differ, palaver's share of their mean, and both in words."""
    before = complete(path, chatml(QUESTION), tokens)
    ours = chat.turn("/retry", said=QUESTION)
    after = complete(path, chatml(QUESTION), tokens)
    differ = max(before.rate, after.rate) / min(before.rate, after.rate)
    share = 2 * ours.rate / (before.rate + after.rate)
    said = f"raw {_rate(before)}, palaver {_rate(ours)}, raw {_rate(after)}: {share:.3f}"
    return differ, share, said + ("" if differ <= 1 + AGREE else " (does not count)")


def _rate(answer: Stream | Turn) -> str:
    return f"{answer.rate:.2f} tokens/s ({answer.tokens})"


if __name__ == "__main__":
    main()
