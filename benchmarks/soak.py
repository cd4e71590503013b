"""`palaver serve` for hours: what clients do all day, and what the server holds meanwhile.

    python -m benchmarks.soak [--minutes N] [--clients N] [--model X.gguf]

After a tenth of the time, what is held then is what all is compared with. Memory is that of the
server and its engine together.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from pathlib import Path

from benchmarks.support import conditions, fresh_home, table, verdict
from tests.server.serving import Serving, serving
from tests.server.soaking import Held, held, visit

EVERY = 10.0  # seconds between looks


def soak(server: Serving, minutes: float, clients: int) -> tuple[list[Held], int, list[str]]:
    """Let clients ask; return what was held at each look, how often was asked, what went wrong."""
    began, asked, wrong = time.monotonic(), [0] * clients, list[str]()
    end = began + 60 * minutes

    def client(number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() < end:
            try:
                visit(server, rng)
            except (OSError, AssertionError) as error:
                wrong.append(repr(error)[:200])
            asked[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    looks = []
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(EVERY, left))
        looks.append(held(server))
        print(f"\r{(time.monotonic() - began) / 60:5.1f} min  {sum(asked):,} asked", end="")
    for thread in threads:
        thread.join()
    print()
    return looks, sum(asked), wrong


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--model", type=Path, help="GGUF (palaver-tiny if none is given)")
    asked = parser.parse_args()
    conditions()
    args = ("--slots", "2", "--quiet")
    with fresh_home() as home, serving(home, *args, model=asked.model) as server:
        looks, count, wrong = soak(server, asked.minutes, asked.clients)
    settled = looks[len(looks) // 10 :]
    parts = max(1, len(settled) // 5)
    first, last = settled[:parts], settled[-parts:]
    grown = sum(one.memory for one in last) / sum(one.memory for one in first) - 1
    files = max(one.files for one in last) - max(one.files for one in first)
    table(
        [f"{asked.minutes:g} minutes, {count:,} requests", "measured", "target"],
        [
            ["memory, last fifth against first, %", f"{100 * grown:+.1f}",
             verdict(100 * grown, most=5)],
            ["memory at the end, MB", f"{looks[-1].memory / 1e6:.0f}", ""],
            ["most open files, last fifth less first", f"{files:+d}", verdict(files, most=0)],
            ["requests that went wrong", str(len(wrong)), verdict(len(wrong), most=0)],
        ],
    )  # fmt: skip
    for one in wrong[:5]:
        print(one)


if __name__ == "__main__":
    main()
