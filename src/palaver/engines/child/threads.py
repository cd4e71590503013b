"""How many cores are free right now: every fixed thread count is badly wrong somewhere.

OpenMP's spinning barriers collapse when a thread has to share its core (measured: two threads on
two cores fall from 113 to 1-35 tokens/s beside a busy process, one thread from 81 to 79), and one
thread leaves 28 % behind on a quiet machine. So the number of threads is the number of cores
that a short busy loop really gets.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time

_ROUND = 0.024  # seconds; several slices of Linux's scheduler (3 ms each)
_FREE = 0.9  # a share of a core above this counts as a whole one


def allowed() -> int:
    """Return the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _burn(until: float, shares: list[float]) -> None:
    block = bytes(1 << 17)  # hashing more than 2 KiB releases the GIL
    wall, cpu = time.perf_counter(), time.thread_time()
    while time.perf_counter() < until:
        hashlib.blake2b(block).digest()
    shares.append((time.thread_time() - cpu) / max(time.perf_counter() - wall, 1e-9))


def free_cores(rounds: int = 2) -> int:
    """Return how many cores threads of ours would have for themselves, at least 1.

    Takes 24 ms a round; the best round counts, because a short burst of another process says
    nothing about the next minute.
    """
    count = allowed()
    if count == 1:
        return 1
    best = 0.0
    for _ in range(rounds):
        shares: list[float] = []
        until = time.perf_counter() + _ROUND
        burners = [threading.Thread(target=_burn, args=(until, shares)) for _ in range(count)]
        for burner in burners:
            burner.start()
        for burner in burners:
            burner.join()
        best = max(best, sum(shares))
        if best >= count * _FREE:
            return count
    return max(1, min(count, int(best + 1 - _FREE)))
