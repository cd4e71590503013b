"""Train palaver-tiny from nothing: `python -m palaver.demo.train --minutes 75 RUN_FOLDER`.

Two processes of one thread each on a CPU (`--processes`), or one on a GPU where there is one.
The folder holds the vocabulary and a checkpoint every two minutes; the same command goes on
from there. Data and start are a function of `--seed` and the number of processes.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

try:
    import torch
except ModuleNotFoundError:
    from palaver.core import install

    raise SystemExit(f"training needs torch: {install.palaver('train')}") from None
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from palaver.demo import tokenizer as tokens
from palaver.demo.batches import IGNORE, LENGTHS, Batch, batch
from palaver.demo.model import Shape, Tiny, write_copying
from palaver.demo.optimizer import Optimizer

SAVE_EVERY = 120.0  # seconds
WARM_UP = 30  # steps
PAUSE = 10.0  # seconds: what a step takes beyond that (the machine slept) is not counted
ROUND = 256  # places
FIRST = 3.0  # weight of the first token of a reply
LEARNED, SPACED = 1500, 1050  # merges, "space + word" tokens


class Clock:
    """How far a run is, by steps or by the minutes that it has trained."""

    def __init__(self, minutes: float, steps: int, peak: float, device: str) -> None:
        self.minutes, self.steps, self.peak = minutes, steps, peak
        self.step, self.spent, self.seen = 0, 0.0, 0
        self.device = device

    def progress(self) -> float:
        """Return the part that is done, 0 to 1."""
        by_time = self.spent / (60 * self.minutes) if self.minutes else 0.0
        by_step = self.step / self.steps if self.steps else 0.0
        return min(1.0, max(by_time, by_step))

    def rate(self) -> float:
        """Return the share of the learning rate: up over the first steps, then down to 0."""
        return self.peak * min(1.0, (self.step + 1) / WARM_UP) * max(0.0, 1.0 - self.progress())

    def dense(self) -> float:
        """Return the share of plain copying among the conversations."""
        return 0.3 if self.progress() < 0.06 else 0.04

    def line(self, loss: float, right: float) -> str:
        """Write the progress bar."""
        done = self.progress()
        left = self.spent / max(done, 1e-6) * (1 - done)
        bar = "#" * int(30 * done)
        speed = self.seen / max(self.spent, 1e-6)
        return (
            f"[{bar:<30}] {100 * done:5.1f} %  step {self.step}  "
            f"loss {loss:.4f}  right {right:.4f}  "
            f"{speed:,.0f} tok/s  {self.seen / 1e6:.2f} M  {left / 60:.1f} min left"
        )


def vocabulary(folder: Path) -> Any:
    """Load the run's tokenizer, building it the first time."""
    path = folder / "tokenizer.json"
    if not path.exists():
        path.write_text(json.dumps(tokens.build(LEARNED, SPACED), ensure_ascii=False))
    return tokens.load(json.loads(path.read_text(encoding="utf-8")))


def loss_of(model: Tiny, body: Any, data: Batch, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return summed loss, weight of the places, and weight of those that were right."""
    targets = data.targets.flatten().to(device)
    chosen = (targets != IGNORE).nonzero()[:, 0]
    # filled up to few sizes: the matrix library keeps compiled code for every size it meets
    chosen = F.pad(chosen, (0, -len(chosen) % ROUND), value=0)
    with torch.autocast(device, torch.bfloat16):
        x = body(data.ids.to(device), data.mask.to(device))
        logits = model.logits(x.reshape(-1, x.shape[-1])[chosen])
    wanted = targets[chosen]
    # the first token of a reply decides what kind of reply it is, so it counts for more
    weight = 1.0 + (FIRST - 1.0) * (targets.roll(1)[chosen] == IGNORE)
    weight = weight * (wanted != IGNORE)  # the first place of all is never the model's to write
    loss = (weight * F.cross_entropy(logits.float(), wanted, reduction="none")).sum()
    return (
        loss,
        weight.sum()[None].cpu(),
        (weight * (logits.argmax(-1) == wanted)).sum()[None].cpu(),
    )


def work(rank: int, options: argparse.Namespace) -> None:
    """Train in one of the processes."""
    torch.set_num_threads(1)
    world, folder = options.processes, options.folder
    if world > 1:
        meet = folder / f"meet-{options.meeting}"
        torch.distributed.init_process_group("gloo", f"file://{meet}", rank=rank, world_size=world)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = vocabulary(folder)
    torch.manual_seed(options.seed)
    shape = Shape(tokenizer.get_vocab_size())
    model = Tiny(shape)
    write_copying(model)
    model.to(device)
    optimizer = Optimizer(model, rank, world)
    clock = Clock(options.minutes, options.steps, options.rate, device)
    saved = folder / "checkpoint.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.restore(state["optimizer"])
        clock.step, clock.spent, clock.seen = state["step"], state["spent"], state["seen"]
    body = torch.compile(model.body, dynamic=False) if options.compile else model.body
    _loop(model, body, optimizer, clock, tokenizer, options)
    if world > 1:
        torch.distributed.destroy_process_group()


def _loop(
    model: Tiny,
    body: Any,
    optimizer: Optimizer,
    clock: Clock,
    tokenizer: Any,
    options: argparse.Namespace,
) -> None:
    rank, last_saved, start = optimizer.rank, time.monotonic(), time.monotonic()
    while clock.progress() < 1:
        if options.processes > 1 and os.getppid() != options.parent:
            raise SystemExit("the process that started this one is gone")
        length = LENGTHS[clock.step % len(LENGTHS)]
        seed = (options.seed * 1_000_003 + clock.step) * 64 + rank
        data = batch(tokenizer, seed, options.tokens, length, clock.dense())
        loss, count, right = loss_of(model, body, data, clock.device)
        loss.backward()
        totals = torch.tensor(
            [float(data.tokens), float(right), min(PAUSE, time.monotonic() - start)]
        )
        start = time.monotonic()
        # the totals travel in the same sum as the gradients, so that all processes agree
        summed = loss.detach()[None].cpu()
        extra = torch.cat([summed, totals])
        optimizer.step(clock.rate(), count, extra)
        clock.step += 1
        clock.seen += int(extra[1])
        clock.spent += float(extra[3]) / optimizer.world
        if rank == 0:
            line = clock.line(float(extra[0] / count), float(extra[2] / count))
            print(
                "\r" + line, end="\n" if clock.step % 25 == 0 else "", file=sys.stderr, flush=True
            )
        if time.monotonic() - last_saved > SAVE_EVERY or clock.progress() >= 1:
            last_saved = time.monotonic()
            if rank == 0:
                save(model, optimizer, clock, options.folder)


def save(model: Tiny, optimizer: Optimizer, clock: Clock, folder: Path) -> None:
    """Write the checkpoint, whole or not at all."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state(), "step": clock.step,
             "spent": clock.spent, "seen": clock.seen}  # fmt: skip
    torch.save(state, folder / "checkpoint.new")
    (folder / "checkpoint.new").replace(folder / "checkpoint.pt")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where vocabulary and checkpoints are kept")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long to train")
    parser.add_argument("--steps", type=int, default=0, help="how many steps to train")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rates")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of a step, each process")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else 2)
    parser.add_argument("--compile", action="store_true", help="use a C++ compiler for more speed")
    options = parser.parse_args()
    if not options.minutes and not options.steps:
        parser.error("say how long: --minutes or --steps")
    if options.tokens < max(LENGTHS):
        parser.error(f"--tokens is at least {max(LENGTHS)}, the longest dialogue's")
    options.folder.mkdir(parents=True, exist_ok=True)
    with (options.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            parser.error(f"another process trains in {options.folder}")
        run(options)


def run(options: argparse.Namespace) -> None:
    """Train in as many processes as are asked for; those end with this one."""
    vocabulary(options.folder)
    if options.processes == 1:
        work(0, options)
        return
    options.meeting, options.parent = time.time_ns(), os.getpid()
    try:
        torch.multiprocessing.spawn(work, (options,), options.processes)
    finally:
        (options.folder / f"meet-{options.meeting}").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
