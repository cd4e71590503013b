"""The streaming renderer beside rich.Live, on the same Markdown and a pty that is read.

    python -m benchmarks.renderer            the table: CPU, ratios, latency of the last token
    python -m benchmarks.renderer --tokens 500      smaller, for a first look

CPU is that of the process that renders (`time.process_time`). Rounds of all renderers take turns.
rich is refreshed by hand, after each token and after each fifth (20 frames a second at 100
tokens a second), which spares it the thread it would start.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from palaver.terminal.answer import MarkdownView
from palaver.terminal.painter import Painter

SIZE = (100, 40)  # columns and lines
RATE = 100  # tokens a second
INTERVAL = 0.025  # seconds between two paints

SECTION = """## Part {n}: what happens when it **matters**

When the *reader* asks for part {n}, the server looks into its `cache` first, and only then reads
from the disk; see [the manual](https://example.com/manual/{n}) for what else it does. It is
**important** that nothing is read twice, since a read costs some `{n}00` microseconds.

1. Open the file and map it.
2. Check the **header**, the length and the sum:
   - a wrong sum is an error,
   - a short file is cut.
3. Hand the block on, and note `block_{n}` in the log.

```python
def read_block(path: str, number: int = {n}) -> bytes:
    # the header says how long it is
    with open(path, "rb") as file:
        file.seek(number * 4096)
        return file.read(4096)
```

| field | bytes | what it says |
|-------|------:|--------------|
| magic | 4 | which kind of file it is |
| count | 8 | how many blocks follow |
| sum | 32 | of all that came before, in part {n} |

> Note: the *numbers* above were measured on a quiet machine.

"""


def document(tokens: int) -> list[str]:
    """Return Markdown of that many tokens of four characters or so, as models cut it."""
    found: list[str] = []
    part = 1
    while len(found) < tokens:
        found += re.findall(r"\s*\S{1,5}|\s+\Z", SECTION.format(n=part))
        part += 1
    return found[:tokens]


@contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], float]]]:
    """Open a pty that another process reads; yield it, and what tells when the last byte came."""
    master, slave = pty.openpty()
    back, out = os.pipe()
    if not (reader := os.fork()):
        os.close(slave)
        last = 0.0
        while True:
            try:
                if not os.read(master, 65536):
                    break
            except OSError:
                break
            last = time.monotonic()
        os.write(out, str(last).encode())
        os._exit(0)
    closed: list[float] = []

    def arrived() -> float:
        if not closed:
            os.close(slave)
            closed.append(float(os.read(back, 100)))
        return closed[0]

    try:
        yield slave, arrived
    finally:
        arrived()
        os.waitpid(reader, 0)
        for fd in (master, back, out):
            os.close(fd)


def palaver(tokens: list[str], every: int) -> float:
    """Return the CPU seconds for all tokens, painted after each `every` of them."""
    with terminal() as (fd, _):
        painter = Painter(lambda text: os.write(fd, text.encode()), lambda: SIZE)
        started = time.process_time()
        view = MarkdownView(painter.update, lambda: SIZE)
        for count, token in enumerate(tokens, 1):
            view.feed(token)
            if count % every == 0:
                view.paint()
        view.finish()
        return time.process_time() - started


def rich_live(tokens: list[str], every: int) -> float:
    """Return the CPU seconds that rich.Live takes for the same."""
    with terminal() as (fd, _), os.fdopen(os.dup(fd), "w") as file:
        console = Console(file=file, force_terminal=True, width=SIZE[0], height=SIZE[1])
        started = time.process_time()
        text = ""
        with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
            for count, token in enumerate(tokens, 1):
                text += token
                if count % every == 0:
                    live.update(Markdown(text), refresh=True)
            live.update(Markdown(text), refresh=True)
        return time.process_time() - started


def paced(tokens: list[str]) -> dict[str, float]:
    """Feed `RATE` tokens a second and paint when due, as the chat does."""
    blocked: list[float] = []
    with terminal() as (fd, arrived):
        painter = Painter(lambda text: os.write(fd, text.encode()), lambda: SIZE)
        view = MarkdownView(painter.update, lambda: SIZE)
        begun, cpu = time.monotonic(), time.process_time()
        waiter = threading.Event()
        painted, changed = -INTERVAL, False
        for count, token in enumerate(tokens, 1):
            while (left := begun + count / RATE - time.monotonic()) > 0:
                due = max(0.0, painted + INTERVAL - time.monotonic())
                waiter.wait(min(left, due) if changed else left)
                if changed and time.monotonic() >= painted + INTERVAL:
                    at = time.perf_counter()
                    view.paint()
                    blocked.append(time.perf_counter() - at)
                    painted, changed = time.monotonic(), False
            fed = time.monotonic()
            at = time.perf_counter()
            view.feed(token)
            blocked.append(time.perf_counter() - at)
            changed = True
        # It is not known yet that this was the last.
        waiter.wait(max(0.0, painted + INTERVAL - time.monotonic()))
        view.paint()
        spent = time.process_time() - cpu
        latency = arrived() - fed
    blocked.sort()
    return {
        "cpu": spent,
        "latency": latency,
        "worst": blocked[-1],
        "p99": blocked[-len(blocked) // 100],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-rich-per-token", action="store_true", help="it takes a minute")
    options = parser.parse_args()
    once, twice = document(options.tokens), document(2 * options.tokens)
    palaver(once, 1)
    rich_live(once[:50], 1)  # imports and caches
    results: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        results.setdefault(name, []).append(seconds)

    for round_ in range(options.rounds):
        for _ in range(5):  # a fraction of a second each
            note("palaver, each token", palaver(once, 1))
            note("palaver, each 2nd token", palaver(once, 2))
            note("palaver, each 2nd, twice as long", palaver(twice, 2))
            note("palaver, each token, twice as long", palaver(twice, 1))
        note("rich.Live, each 5th token (20 fps)", rich_live(once, 5))
        if round_ == 0 and not options.no_rich_per_token:
            note("rich.Live, each token", rich_live(once, 1))
    median = {name: statistics.median(times) for name, times in results.items()}
    for name, seconds in median.items():
        spread = f"({min(results[name]) * 1e3:.0f}-{max(results[name]) * 1e3:.0f})"
        per_token = seconds / (len(twice) if "twice" in name else len(once)) * 1e6
        print(f"{name:<38}{seconds * 1e3:>9.1f} ms {spread:>16}{per_token:>10.1f} us/token")
    ours, ours_often = median["palaver, each 2nd token"], median["palaver, each token"]
    if per := median.get("rich.Live, each token"):
        print(f"rich.Live per token / palaver per token: {per / ours_often:.0f} (must be >= 50)")
    fps = median["rich.Live, each 5th token (20 fps)"]
    print(f"rich.Live at 20 fps / palaver at 50: {fps / ours:.1f} (must be >= 4)")
    for name, base in (("each 2nd", ours), ("each token", ours_often)):
        ratio = median[f"palaver, {name}, twice as long"] / base
        print(f"twice the tokens, {name}: {ratio:.2f} x the CPU (must be <= 2.2)")
    real = paced(once)
    share = real["cpu"] / len(once) * RATE
    print(f"paced at {RATE} tokens/s: CPU {real['cpu'] * 1e3:.0f} ms, {share:.2%} of a core;")
    print(f"  last token read by the terminal {real['latency'] * 1e3:.1f} ms after it came (< 50);")
    p99, most = real["p99"] * 1e3, real["worst"] * 1e3
    print(f"  the loop was blocked {p99:.2f} ms at p99, {most:.2f} at worst (< 10)")


if __name__ == "__main__":
    main()
