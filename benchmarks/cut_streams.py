"""Cuts the stream of a chat endpoint at every byte of the recordings in tests/support.

    python -m benchmarks.cut_streams

After each cut the answer must hold every word whose event had come, end as "error" unless all of
it had come, never raise anything but what is meant for the user, and be over within 5 seconds.
Prints the counts; exits with 1 at the first that is not so. CI runs a sample of it.
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.support.cuts import cut_everywhere
from tests.support.recordings import RECORDINGS


async def main() -> int:
    """Cut them all."""
    began, cuts = time.monotonic(), 0
    for recording in RECORDINGS:
        cuts += await cut_everywhere(recording, range(len(recording.data) + 1))
    print(f"{cuts} cuts of {len(RECORDINGS)} recordings: 0 tracebacks, 0 words lost, 0 hangs")
    print(
        f"{time.monotonic() - began:.0f} s, {(time.monotonic() - began) / cuts * 1e3:.1f} ms each"
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
