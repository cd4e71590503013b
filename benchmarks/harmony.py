"""What reading a Harmony reply costs, in CPU time, beside openai-harmony's own parser.

    python benchmarks/harmony.py [--rounds N] [--checkpoint FILE]

Both get the same tokens, in turns in one run: ours each token's text, as an engine sends it;
theirs each id, and its `last_content_delta` is read after it, as gpt-oss's own chat does, once
alone and once with channel and recipient. Memory is what Python and the process hold after a
long reply. The vocabulary is that of TIKTOKEN_ENCODINGS_BASE, or made of a checkpoint.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from palaver.config import environment
from palaver.config.paths import data_dir
from palaver.engines import o200k
from palaver.formats.parsers.harmony import HarmonyParser

THINK = "<|channel|>analysis<|message|>"
ANSWER = "<|end|><|start|>assistant<|channel|>final<|message|>"
SAID = "<|end|><|start|>assistant<|channel|>commentary<|message|>"
CALL = "<|channel|>commentary to=functions.write_file <|constrain|>json<|message|>"
PROSE = "The quick brown fox, so they say, jumps over the lazy dog; and then it rests a while. "


def replies() -> dict[str, str]:
    """Return what is read, by name."""
    return {
        "prose": f"{THINK}{PROSE * 100}{ANSWER}{PROSE * 900}<|return|>",
        "call of 10,000": f'{CALL}{{"text": "{_code(10_000)}"}}<|call|>',
        "call of 40,000": f'{CALL}{{"text": "{_code(40_000)}"}}<|call|>',
        "200 short messages": f"{THINK}Well.{f'{SAID}So it is.' * 200}<|return|>",
    }


def _code(size: int) -> str:
    line = 'print(\\"a line of code\\")\\n'
    return line * (size // len(line))


def ours(texts: list[str]) -> Callable[[], int]:
    """Return the work of reading a reply with our parser."""

    def work() -> int:
        parser = HarmonyParser()
        feed = parser.feed
        count = sum(len(feed(text)) for text in texts)
        return count + len(parser.finish())

    return work


def theirs(library: Any, encoding: Any, ids: list[int], *, more: bool) -> Callable[[], int]:
    """Return the work of reading it with theirs; `more` reads channel and recipient, too."""

    def work() -> int:
        parser = library.StreamableParser(encoding, role=library.Role.ASSISTANT)
        count = 0
        for token in ids:
            parser.process(token)
            if parser.last_content_delta is not None:
                count += 1
            if more and parser.current_channel is not None:
                count += parser.current_recipient is None
        return count

    return work


def seconds(work: Callable[[], int]) -> float:
    """Return the CPU seconds of one run."""
    start = time.process_time()
    assert work() > 0
    return time.process_time() - start


def held(texts: list[str], times: int) -> int:
    """Return the bytes that our parser holds after reading prose `times` over."""
    parser = HarmonyParser()
    parser.feed(THINK)
    tracemalloc.start()
    for text in texts * times:
        parser.feed(text)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--checkpoint", type=Path)
    asked = options.parse_args()
    base = environment.encodings_base()
    folder = o200k.find(data_dir() / "vocabulary", base=base, checkpoint=asked.checkpoint)
    os.environ["TIKTOKEN_ENCODINGS_BASE"] = str(folder)
    try:
        import openai_harmony as library
    except ImportError:
        sys.exit("this needs openai-harmony: pip install openai-harmony")
    encoding = library.load_harmony_encoding(library.HarmonyEncodingName.HARMONY_GPT_OSS)
    print("CPU time, median (least-greatest) of the rounds; ratio: ours to theirs")
    for name, reply in replies().items():
        ids = encoding.encode(reply, allowed_special="all")
        texts = [encoding.decode([token]) for token in ids]
        works = [
            ours(texts),
            theirs(library, encoding, ids, more=False),
            theirs(library, encoding, ids, more=True),
        ]
        rounds = [[seconds(work) for work in works] for _ in range(asked.rounds)]
        each = [statistics.median(column) / len(ids) * 1e6 for column in zip(*rounds, strict=True)]
        told = ", ".join(_told([row[0] / row[i] for row in rounds]) for i in (1, 2))
        print(
            f"{name:<20}{len(ids):>7} tokens  ours {each[0]:.2f} us/token, theirs {each[1]:.2f},"
            f" with channel {each[2]:.2f}  ratio {told}"
        )
    prose = [encoding.decode([token]) for token in encoding.encode(PROSE)]
    few, many = (held(prose, times) for times in (100, 10_000))
    print(f"held after {len(prose) * 100:,} tokens: {few:,} bytes, after 100 times more: {many:,}")


def _told(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


if __name__ == "__main__":
    main()
