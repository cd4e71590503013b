"""The process around vLLM: `python -m palaver.engines.vllm.child`.

It checks the model's folder, starts `vllm serve`, says how loading goes, and ends with it. What
vLLM writes stands in `vllm.log` in the folder of states, until the next start.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import IO

import msgspec

from palaver.core.errors import EngineError
from palaver.engines.child import owned, program
from palaver.engines.child.options import Options, Report
from palaver.engines.host.folder import Folder, check_memory
from palaver.engines.vllm.command import command

LOG = "vllm.log"
_REST = 1_000_000_000  # bytes of process and buffers; an estimate
# Who says it, how grave it is, when, and in which file.
_NOISE = re.compile(
    r"^(?:\([^)]*\)\s*)*(?:(?:INFO|WARNING|ERROR):?\s+)?(?:[\d-]+ [\d:]+\s+)?(?:\[[^\]]*\]\s*)?"
)


def main() -> None:
    """Serve until stdin closes."""
    program.run(_serve, ("palaver.engines.host.folder",))


def _serve(options: Options, report: program.Say) -> None:
    folder = Folder(Path(options.model))
    weights, kv = sum(tensor.bytes for tensor in folder.tensors), folder.kv_bytes(2)
    # One process reads prompts for us: threads are vLLM's own business.
    file = folder.describe(
        msgspec.structs.replace(options, threads=1),
        folder.vocabulary(),
        build="vllm",
        weights=weights,
        kv=kv,
    )
    file = msgspec.structs.replace(file, threads=0, socket="")
    limit = options.memory_limit
    check_memory(limit, file.name, file.context, weights=weights, kv=kv, rest=_REST)
    report(Report(model=file))
    port = owned.free_port()
    line = command(options, file, port)
    path = Path(options.cache or options.folder) / LOG
    began = time.monotonic()
    with _log(path) as log:
        process = owned.start(line, {"VLLM_API_KEY": options.secret}, log)
    place = owned.Place("", port, options.secret)
    if not owned.healthy(process, place, began, report, lambda s: _loading(path, s)):
        raise EngineError(f"vllm {owned.ending(process.returncode)}", fix=_end_of(path))
    report(Report(ready=True, port=port))
    owned.end_as(process.wait())


def _log(path: Path) -> IO[bytes]:
    """Open the log, empty, for us alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 8000, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for part in re.split(r"[\r\n]+", text) if (line := part.strip())]


def _loading(path: Path, seconds: int) -> str:
    """Say what it writes it does, without who says so and when."""
    newest = _NOISE.sub("", (_lines(path) or [""])[-1])[:60]
    return f"vllm is loading the model, {seconds} s" + (f": {newest}" if newest else "")


def _end_of(path: Path) -> str:
    return "\n".join([*_lines(path)[-6:], f"all of it: {path}"])


if __name__ == "__main__":
    main()
