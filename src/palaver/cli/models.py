"""List, download, inspect and remove models.

Names: a path, a folder, org/repo[:quantisation] on the Hugging Face Hub, or the name of a model
that was downloaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from palaver.core.units import readable

if TYPE_CHECKING:
    from palaver.engines.llama_cpp.gguf import Gguf

_CONTEXTS = (2048, 8192, 32768, 131072)
_TINY = "palaver-tiny"


@click.group("models", context_settings={"help_option_names": ["-h", "--help"]})
def _models() -> None:
    """List, download, inspect and remove models."""


@_models.command("list", short_help="List the models that are here.")
def list_() -> None:
    """List the models that are on this machine, and those of servers that answer."""
    from palaver.cli._servers import served
    from palaver.config.environment import hub_cache
    from palaver.config.paths import models_dir
    from palaver.engines import checkpoints
    from palaver.engines.hub import installed

    rows = [(model.name, readable(model.bytes)) for model in installed(models_dir())]
    for name, bytes_ in checkpoints.installed(models_dir(), hub_cache()):
        rows.append((name, f"{readable(bytes_):>9}  safetensors"))
    width = max([len(name) for name, _ in rows], default=0)
    for name, size in rows:
        _say(f"{name:<{width}}  {size:>9}")
    if not rows:
        _say(f"No models in {models_dir()}.")
        _say("Get one: palaver models pull org/name-GGUF (palaver-tiny ships with the program)")
    for server in served():
        _say(f"{server.name}, {server.url}{f': {server.error}' if server.error else ''}")
        for name in server.models:
            _say(f"  palaver -e {server.name} -m {name}")


@_models.command()
@click.argument("name")
@click.option("--endpoint", metavar="URL", help="Another hub (default: HF_ENDPOINT, or the hub).")
def pull(name: str, endpoint: str | None) -> None:
    """Download NAME, org/repo[:quantisation].

    It goes on where an earlier try stopped. Without a quantisation Q4_K_M is taken where there
    is one.
    """
    from palaver.config.paths import models_dir
    from palaver.engines.llama_cpp.gguf import read
    from palaver.engines.pull import pull as download

    with _progress(name) as report:
        path = download(name, models_dir(), progress=report, endpoint=endpoint)
    model = read(path)
    _say(f"{model.name}: {model.quantisation}, {readable(model.size)}, in {path}")
    _say(f"Chat with it: palaver chat {name}")


@_models.command()
@click.argument("name")
def inspect(name: str) -> None:
    """Say what is in the model NAME and how much memory it takes."""
    from palaver.config.paths import existing, models_dir, state_dir
    from palaver.engines.hub import resolve
    from palaver.engines.llama_cpp.gguf import read

    if name == _TINY and not existing(name):
        from palaver import demo

        path = Path(demo.path())
    else:
        path = resolve(name, models_dir())
    model = read(path)
    for label, value in _facts(model, model.fingerprint(state_dir())):
        _say(f"{label:<13} {value}")
    for label, value in _spoken(path):
        _say(f"{label:<13} {value}")
    for line in _memory(model):
        _say(line)


@_models.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def remove(name: str, yes: bool) -> None:
    """Delete the downloaded model NAME."""
    from palaver.config.paths import existing, models_dir
    from palaver.core.errors import UserError
    from palaver.engines import hub
    from palaver.terminal.escape import visible

    if name == _TINY:
        raise UserError(f"{_TINY} ships with palaver: there is nothing to remove")
    if (path := existing(name)) and path.is_file():
        raise UserError(f"{name} was not downloaded by palaver", fix="delete the file yourself")
    model = hub.find(name, models_dir())
    if not yes:
        said = visible(model.name, newlines=False)
        click.confirm(f"Delete {said} ({readable(model.bytes)})?", abort=True, err=True)
    hub.remove(model.name, models_dir())
    _say(f"Deleted {model.name}, {readable(model.bytes)}.")


def _say(text: str) -> None:
    """Print a line; names and metadata come from files, so nothing in them reaches the terminal."""
    from palaver.terminal.escape import visible

    click.echo(visible(text, newlines=False))


def _facts(model: Gguf, fingerprint: str) -> Iterator[tuple[str, str]]:
    data = model.metadata
    layers = model.kept()
    states = sum(1 for layer in layers if layer.state)
    windows = [layer.window for layer in layers if layer.window]
    cache = f"{model.kv_bytes_per_token('f16') / 1024:.1f} KiB a token"
    if windows:
        cache += f"; {len(windows)} of {len(layers)} layers see {max(windows):,} tokens"
    if states:
        cache += f"; {states} of {len(layers)} layers keep a state of fixed size"
    if not model.can_cut_back:
        cache += "; can't be cut back anywhere"
    kind = f"{data.get('tokenizer.ggml.model')}/{data.get('tokenizer.ggml.pre', '-')}"
    template = model.chat_template
    yield "name", model.name
    yield "file", str(model.path) + (f" and {len(model.files) - 1} more" * (len(model.files) > 1))
    yield "size", readable(model.size)
    yield "architecture", f"{model.architecture}, {model.layers} layers"
    yield "parameters", _count(model.parameters)
    yield "quantisation", model.quantisation
    yield "context", f"{model.context_length:,} tokens"
    yield "tokenizer", f"{kind}, {model.vocabulary:,} tokens, {len(model.control_tokens())} special"
    yield "template", f"its own, {len(template):,} characters" if template else "none"
    yield "cache", cache
    if data.get("general.license"):
        yield "licence", str(data["general.license"])
    yield "fingerprint", fingerprint


def _spoken(path: Path) -> Iterator[tuple[str, str]]:
    """Say how the model's replies are read, and what its template takes as it is."""
    from palaver.assemble import make_format
    from palaver.config.settings import Settings
    from palaver.engines.llama_cpp.describe import describe
    from palaver.formats.template import TemplateFormat
    from palaver.launch import engine_options

    fmt = make_format(describe(engine_options(Settings(model=str(path), threads=1))))
    yield "replies", fmt.replies
    if isinstance(fmt, TemplateFormat):
        words = fmt.capabilities.words()
        yield "takes", ", ".join(words) or "users' and assistants' messages alone"


def _count(n: int) -> str:
    for unit, width in (("B", 10**9), ("M", 10**6)):
        if n >= width:
            return f"{n / width:.2f} {unit}"
    return f"{n:,}"


def _memory(model: Gguf) -> Iterator[str]:
    from palaver.engines.llama_cpp.memory import estimate

    contexts = [n for n in _CONTEXTS if n < model.context_length]
    yield "memory, at most:"
    for n in [*contexts, min(model.context_length, _CONTEXTS[-1])]:
        need = estimate(model, n)
        parts = f"weights {readable(need.weights)}, cache {readable(need.kv + need.checkpoints)}"
        yield f"  {need.context:>9,} tokens  {readable(need.total):>9}  ({parts})"


@_models.command(short_help="Print the folder of gpt-oss's vocabulary file.")
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
def vocabulary(checkpoint: Path | None) -> None:
    """Print the folder of gpt-oss's vocabulary file, for TIKTOKEN_ENCODINGS_BASE.

    It is what that variable names already, else made of CHECKPOINT (a GGUF, a tokenizer.json or
    its folder), else what was made before, else downloaded. Chatting does not need it.
    """
    from palaver.config import environment
    from palaver.config.paths import data_dir
    from palaver.engines import o200k

    base = environment.encodings_base()
    with _progress(o200k.FILE) as report:
        folder = o200k.find(
            data_dir() / "vocabulary", base=base, checkpoint=checkpoint, progress=report
        )
    _say(str(folder))


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show how far a download is: a bar on a terminal, a line a tenth elsewhere."""
    from palaver.config.environment import dumb_terminal
    from palaver.terminal.escape import visible

    said = visible(name, newlines=False)
    if not sys.stderr.isatty() or dumb_terminal():
        yield _lines(said)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {"download": bar.add_task(said, total=None)}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task("checking", total=None)
            bar.update(tasks[what], completed=done, total=total)

        yield report


def _lines(name: str) -> Callable[[str, int, int], None]:
    shown = {"download": -1, "verify": 9}  # checking is quick: its end is enough

    def report(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > shown[what]:
            shown[what] = tenth
            verb = {"download": "downloaded", "verify": "checked"}[what]
            click.echo(f"{name}: {verb} {readable(done)} of {readable(total)}", err=True)

    return report


COMMAND = _models
