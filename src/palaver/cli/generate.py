"""Complete a raw text: no template, no session"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import Any

import click

from palaver.cli._options import ENGINE, flags, load_settings
from palaver.cli._piped import read_piped
from palaver.config.settings import SAMPLING
from palaver.core.errors import UserError


@click.command("generate")
@click.argument("prompt", required=False)
@flags(*ENGINE, *SAMPLING)
@click.option("--logprobs", is_flag=False, flag_value=1, type=click.IntRange(1, 100), metavar="[N]",
              help="Print a line a token: id, text, log-probability, the N likeliest.")  # fmt: skip
@click.option("--special", is_flag=True, help="Read control tokens in PROMPT as such.")
def generate(prompt: str | None, logprobs: int | None, special: bool, **values: Any) -> int:
    """Complete PROMPT (or what is piped in) as it stands: no template, nothing is stored.

    Text of control tokens is plain text unless --special is given.
    """
    if prompt is None:
        if sys.stdin.isatty():
            raise UserError("there is no prompt", fix='say it: palaver generate "Once upon"')
        prompt = read_piped()
    return asyncio.run(_generate(prompt, logprobs, special, load_settings(values)))


async def _generate(prompt: str, logprobs: int | None, special: bool, settings: Any) -> int:
    import time

    import msgspec

    from palaver import assemble

    model = await assemble.open_local(settings, started=time.time(), keep_states=False)
    try:
        tokenizer = model.engine.tokenizer
        ids = await tokenizer.encode(prompt, special=special)
        if tokenizer.bos_id is not None:
            ids = [tokenizer.bos_id, *ids]
        if not ids:
            raise UserError("the prompt is empty")
        sampling = assemble.sampling(settings).completed(model.engine.info.sampling)
        sampling = msgspec.structs.replace(sampling, logprobs=logprobs)
        async with aclosing(model.engine.generate(ids, sampling)) as tokens:
            async for token in tokens:
                if token.logprobs:
                    for entry in token.logprobs:
                        _line(_logprob_line(entry))
                elif token.text and logprobs is None:
                    _line(_shown(token.text))
    finally:
        await model.close()
    if logprobs is None and sys.stdout.isatty():
        _line("\n")
    return 0


def _line(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _shown(text: str) -> str:
    from palaver.terminal.escape import visible

    return visible(text) if sys.stdout.isatty() else text


def _logprob_line(entry: dict[str, Any]) -> str:
    """Write id, text and log-probability (natural), then the likeliest tokens, tab-separated."""
    import json

    def one(token: dict[str, Any]) -> str:
        text = json.dumps(token["token"], ensure_ascii=True)
        return f"{token['id']}\t{text}\t{token['logprob']:.4f}"

    return "\t".join([one(entry), *(one(t) for t in entry.get("top_logprobs", [])[1:])]) + "\n"


COMMAND = generate
