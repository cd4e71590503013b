"""What the sandbox costs: a program started in it against the same program started bare.

From asking for the program until its output has ended and its exit code is known, one after the
other in each round, with a launcher that runs. Between two calls of a session lies an answer of the
model; `--pause 0` starts them as fast as they come. Promised: at most 20 ms more (median).
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import support
from palaver.core.errors import UserError
from palaver.tools.sandbox.policy import Policy
from palaver.tools.sandbox.sandbox import open_sandbox

_ARGV = ["/bin/sh", "-c", "echo hi"]
_MOST = 20.0


async def bare(folder: Path) -> float:
    """Return the milliseconds that the program takes without a sandbox."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *_ARGV, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert output == b"hi\n"
    return (time.perf_counter() - began) * 1e3


async def inside(sandbox, folder: Path) -> tuple[float, float]:
    """Return the milliseconds until its output has come and it has ended, and until all is away."""
    began = time.perf_counter()
    async with await sandbox.start(_ARGV, folder) as process:
        output = b""
        while data := await process.read():
            output += data
        await process.wait()
        ended = time.perf_counter()
    assert output == b"hi\n"
    return (ended - began) * 1e3, (time.perf_counter() - began) * 1e3


async def measure(rounds: int, pause: float) -> bool:
    """Measure and print; return whether the promise was kept."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        folder = Path(name)
        boxes = {}
        for kind in ("bubblewrap", "namespaces"):
            box = open_sandbox(Policy(root=folder), environment=dict(os.environ), kind=kind)
            try:
                await inside(box, folder)
            except UserError as error:
                print(f"{kind}: not measured: {error.message}")
                await box.close()
            else:
                boxes[kind] = box
        plain: list[float] = []
        taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in boxes}
        for _ in range(rounds):
            plain.append(await bare(folder))
            for kind, box in boxes.items():
                await asyncio.sleep(pause)
                taken[kind].append(await inside(box, folder))
        for box in boxes.values():
            await box.close()
    rows = [("bare", support.spread(plain, ".1f"), "", "")]
    kept = bool(boxes)
    for kind, times in taken.items():
        over = [ended - alone for (ended, _), alone in zip(times, plain, strict=True)]
        kept = kept and statistics.median(over) <= _MOST
        rows.append((
            kind, support.spread([ended for ended, _ in times], ".1f"),
            support.spread([away for _, away in times], ".1f"),
            f"{support.spread(over, '.1f')} {support.verdict(statistics.median(over), _MOST)}",
        ))  # fmt: skip
    support.table(["", "ms to its end", "ms until all is away", "ms over bare"], rows)
    return kept


def main() -> None:
    """Run the benchmark."""
    parser = support.arguments(__doc__, rounds=100)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds before each start (0.2)")
    given = parser.parse_args()
    support.conditions()
    sys.exit(not asyncio.run(measure(given.rounds, given.pause)))


if __name__ == "__main__":
    main()
