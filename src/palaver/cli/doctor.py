"""Say what is installed, what is wrong, and how to mend it"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import click

from palaver import __version__
from palaver.config import environment, paths, settings
from palaver.core import install
from palaver.core.errors import PalaverError
from palaver.core.units import readable

_LITTLE = 10**9  # bytes free; a long conversation's saved state is some hundred MB
_FIRST_SAFE_SQLITE = (3, 51, 3)  # before it, a write-ahead log can be reset and corrupt the file

Finding = tuple[str, str, str | None]  # what, how it is, what to do (None: it is in order)


@click.command("doctor")
def doctor() -> int:
    """Check what palaver stands on: versions, engine, processor, store, terminal, disk.

    Exit code 0 if all is in order, 1 if something has to be mended.
    """
    wrong = 0
    for check in (
        _python,
        _packages,
        _sqlite,
        _processor,
        _engine,
        _config,
        _servers,
        _store,
        _terminal,
        _disk,
    ):
        for what, state, fix in _guarded(check):
            _say(f"{'!!' if fix else 'ok'} {what:<10} {state}")
            if fix:
                wrong += 1
                _say(f"   {'':<10} {fix}")
    click.echo("all is in order" if not wrong else f"{wrong} to mend")
    return 1 if wrong else 0


def _say(line: str) -> None:
    from palaver.terminal.escape import visible

    click.echo(visible(line, newlines=False))


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except PalaverError as error:
        yield check.__name__.strip("_"), error.message, error.fix or "see above"
    except (OSError, ImportError) as error:
        fix = "see above" if isinstance(error, OSError) else "install palaver again"
        yield check.__name__.strip("_"), str(error), fix


def _python() -> Iterator[Finding]:
    yield (
        "palaver",
        f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
        None,
    )


def _packages() -> Iterator[Finding]:
    for group, names in (
        ("needed", ("xllamacpp", "prompt_toolkit", "msgspec", "apsw", "jinja2", "click", "h11")),
        ("extras", ("huggingface_hub", "torch", "tokenizers")),
    ):
        found, missing = [], []
        for name in names:
            try:
                found.append(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                missing.append(name)
        fix = install.palaver() if missing and group == "needed" else None
        absent = [f"without {', '.join(missing)}"] if missing else []
        yield group, "; ".join([*([", ".join(found)] if found else []), *absent]), fix


def _sqlite() -> Iterator[Finding]:
    import apsw

    version = apsw.sqlite_lib_version()
    safe = tuple(int(part) for part in version.split(".")[:3]) >= _FIRST_SAFE_SQLITE
    yield (
        "sqlite",
        version,
        None if safe else f"{install.pip('--upgrade apsw')} (needs SQLite 3.51.3)",
    )


def _processor() -> Iterator[Finding]:
    from palaver.engines.child.threads import allowed, free_cores

    sets = _instruction_sets()
    note = f", {' '.join(sets)}" if sets else ""
    yield "processor", f"{allowed()} cores allowed, {free_cores()} free now{note}", None
    if platform.machine() in ("x86_64", "AMD64") and sets and "avx2" not in sets:
        yield "processor", "no AVX2", "the llama.cpp wheel needs it: use --llama-server"


def _instruction_sets() -> list[str]:
    wanted = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd")
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            have = set(line.split(":")[1].split())
            return [name for name in wanted if name in have]
    return []


def _engine() -> Iterator[Finding]:
    import asyncio
    import time

    from palaver import assemble
    from palaver.core.generation import Sampling

    async def try_it() -> str:
        chosen = settings.Settings(threads=1, context=512)
        began = time.perf_counter()
        model = await assemble.open_local(chosen, started=time.time(), keep_states=False)
        try:
            loaded = time.perf_counter() - began
            ids = await model.engine.tokenizer.encode("Hello", special=False)
            speed = 0.0
            async for token in model.engine.generate(ids, Sampling(max_tokens=32, temperature=0)):
                if token.stop and token.timings and token.timings.decode_seconds:
                    speed = token.timings.decoded / token.timings.decode_seconds
            return f"palaver-tiny loads in {loaded:.2f} s, {speed:.0f} tokens/s on one thread"
        finally:
            await model.close()

    yield "engine", asyncio.run(try_it()), None


def _config() -> Iterator[Finding]:
    file = settings.config_file()
    chosen = settings.load()
    yield "config", f"{file}{'' if file.exists() else ' (none: all defaults)'}", None
    if chosen.llama_server and not shutil.which(chosen.llama_server):
        yield "config", f"llama_server {chosen.llama_server} is not there", "palaver config edit"
    if chosen.model:
        from palaver.launch import model_path

        yield "model", str(model_path(chosen)), None


def _servers() -> Iterator[Finding]:
    from palaver.cli._servers import served

    for one in served():
        names = ", ".join(one.models[:4]) + (", ..." if len(one.models) > 4 else "")
        state = f"{one.name}, {one.url}: {one.error or names or 'no models'}"
        yield "server", state, "palaver config edit" if one.error else None


def _store() -> Iterator[Finding]:
    from palaver.sessions.store import Store
    from palaver.terminal.words import plural

    path = paths.database()
    if not path.exists():
        yield "store", f"{path} (none yet)", None
        return
    with Store(path, readonly=True) as store:
        count = len(store.list_sessions())
    size = readable(path.stat().st_size)
    yield "store", f"{path}: {plural(count, 'session')}, {size}", None
    if path.stat().st_mode & 0o077:
        yield "store", "others can read it", f"chmod 600 {path}"


def _terminal() -> Iterator[Finding]:
    size = shutil.get_terminal_size()
    kind = environment.terminal_name() or "unknown"
    state = f"{kind}, {size.columns}x{size.lines}, {sys.stdout.encoding}"
    color = "colour" if environment.color_wanted() else "no colour"
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    yield "terminal", f"{state}, {color}", None if utf8 else "use a UTF-8 locale, such as C.UTF-8"


def _disk() -> Iterator[Finding]:
    for name, folder in (("data", paths.data_dir()), ("state", paths.state_dir())):
        free = shutil.disk_usage(folder).free
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            yield name, f"{folder}: the disk is read-only", "set PALAVER_HOME to a folder elsewhere"
            return
        fix = None if free > _LITTLE else f"free some room: {folder} is nearly full"
        yield name, f"{folder}, {readable(free)} free", fix
        if folder.stat().st_mode & 0o077:
            yield name, f"{folder} can be read by others", f"chmod 700 {folder}"
    saved = sum(p.stat().st_size for p in paths.kv_dir().glob("*.kv"))
    yield "states", f"{readable(saved)} of saved states", None


COMMAND = doctor
