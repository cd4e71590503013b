"""Real engines on tiny random models, for the tests of what stands on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.gguf import Kind, make_tiny

from palaver.core.engine import Token
from palaver.core.generation import Sampling
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.options import Options
from palaver.engines.child.process import Child

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def options(folder: Path, kind: Kind = "llama", **given: Any) -> Options:
    """Options of an engine that keeps everything in `folder`; `model` replaces the tiny one."""
    model = given.pop("model", None) or folder / f"{kind}.gguf"
    if not Path(model).exists():
        make_tiny(Path(model), kind)
    for name in ("state", "kv"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    usual = {"threads": 1, "context": 1024, "batch": 64}
    return Options(
        model=str(model), folder=str(folder / "state"), slots=str(folder / "kv"), **usual | given
    )


def wide_heads(path: Path) -> Path:
    """Write a model whose cache can be quantised: that takes heads of 32 values."""
    from benchmarks.make_gguf import transformer, write

    shape = transformer("llama", layers=2, embd=64, heads=2, kv=1, head=32, ffn=128, vocab=512)
    return write(path, shape, "q8_0", 0)


async def start(folder: Path, kind: Kind = "llama", **given: Any) -> ChildEngine:
    """Start an engine."""
    child = Child.start(options(folder, kind, **given), ENVIRONMENT, None)
    return await ChildEngine.start(child, ENVIRONMENT)


@asynccontextmanager
async def running(folder: Path, kind: Kind = "llama", **given: Any) -> AsyncIterator[ChildEngine]:
    """Start an engine and end it."""
    engine = await start(folder, kind, **given)
    try:
        yield engine
    finally:
        await engine.close()


async def collect(engine: ChildEngine, prompt: Sequence[int], **sampling: Any) -> list[Token]:
    """Generate to the end."""
    given = Sampling(**{"max_tokens": 16, "temperature": 0.0} | sampling)
    return [token async for token in engine.generate(prompt, given)]


def text(tokens: list[Token]) -> str:
    """Return the text of a generation."""
    return "".join(token.text for token in tokens)


def pid(engine: ChildEngine) -> int:
    """Return the engine's process id."""
    return engine._child.process.pid


def folder_of(engine: ChildEngine) -> Path:
    """Return the engine's own folder."""
    return Path(engine._child.options.folder)


async def gone(number: int, seconds: float = 10.0) -> bool:
    """Wait until a process is gone."""
    for _ in range(int(seconds / 0.05)):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        await asyncio.sleep(0.05)
    return False
