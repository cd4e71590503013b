"""Measure models and engines: loading, reading, writing, reuse"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from palaver.cli._options import ENGINE, flags, load_settings

if TYPE_CHECKING:
    from palaver.config.settings import Settings
    from palaver.core.engine import Engine
    from palaver.core.generation import Timings

_HEAD = (
    "model",
    "engine",
    "load s",
    "read tok/s",
    "write tok/s",
    "next turn s",
    "read again",
    "MB",
)
_NEW = 16  # tokens of the turn that follows


@click.command("bench", context_settings={"help_option_names": ["-h", "--help"]})
@flags(*(key for key in ENGINE if key not in ("model", "engine")))
@click.option("-m", "--model", "models", multiple=True, help="Model to measure (again for more).")
@click.option("-e", "--engine", "engines", multiple=True, help="Engine to use (again for more).")
@click.option("--prompt", default=512, type=click.IntRange(32), help="Tokens to read (512).")
@click.option("--tokens", default=64, type=click.IntRange(2), help="Tokens to write (64).")
def bench(
    models: Sequence[str], engines: Sequence[str], prompt: int, tokens: int, **values: Any
) -> int:
    """Measure each model on each engine, one after the other, and print a table.

    "next turn" is the time to the first token where 16 tokens follow what is cached; "read again"
    says how many tokens were read for it.
    """
    from palaver.core.errors import PalaverError
    from palaver.terminal.escape import visible

    rows: list[tuple[str, ...]] = [_HEAD]
    failed = False
    for model in models or (None,):
        for engine in engines or (None,):
            settings = load_settings(values | {"model": model, "engine": engine})
            try:
                rows.append(asyncio.run(_measure(settings, prompt, tokens)))
            except PalaverError as error:
                failed = True
                named = f"{settings.model or 'palaver-tiny'} on {engine or 'its engine'}"
                click.echo(visible(f"{named}: {error}"), err=True)
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows if len(rows) > 1 else ():
        cells = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo(visible("  ".join(cells), newlines=False))
    return 1 if failed else 0


async def _measure(settings: Settings, prompt: int, tokens: int) -> tuple[str, ...]:
    """Load a model and measure it; returns the row of the table."""
    import time

    from palaver import assemble

    began = time.perf_counter()
    model = await assemble.open_local(settings, started=time.time(), keep_states=False)
    loaded = time.perf_counter() - began
    try:
        engine = model.engine
        ids = await _filler(engine, prompt + _NEW)
        await _run(engine, ids[-2:], 1)  # what is done once is done now
        said, first = await _run(engine, ids[:prompt], tokens)
        _, then = await _run(engine, [*said, *ids[prompt:]], 1)
        peak = engine.peak_memory()
    finally:
        await model.close()
    return (
        engine.info.model,
        engine.info.name,
        f"{loaded:.2f}",
        f"{first.prefilled / max(first.prefill_seconds, 1e-9):.1f}",
        f"{first.decoded / max(first.decode_seconds, 1e-9):.1f}",
        f"{then.ttft:.3f}",
        str(then.prefilled),
        str(round(peak / 1e6)) if peak else "-",
    )


async def _filler(engine: Engine, count: int) -> list[int]:
    """Return `count` ids of plain words, no two lines alike. Raises UserError."""
    from palaver.core.errors import UserError

    if count + 2 > engine.info.context:
        raise UserError(
            f"{count} tokens do not fit the context of {engine.info.context}",
            fix="use a smaller --prompt, or a larger --context",
        )
    lines = "".join(f"Line {n} has the number {n * n} in it.\n" for n in range(count // 4 + 8))
    return (await engine.tokenizer.encode(lines, special=False))[:count]


async def _run(engine: Engine, ids: Sequence[int], tokens: int) -> tuple[list[int], Timings]:
    """Generate greedily after `ids`; return all ids and what it cost."""
    from palaver.core.generation import Sampling, Timings

    said, timings = list(ids), Timings()
    asked = Sampling(max_tokens=tokens, temperature=0.0)
    async for token in engine.generate(ids, asked):
        said += token.ids
        timings = token.timings if token.stop and token.timings else timings
    return said, timings


COMMAND = bench
