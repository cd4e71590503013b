"""A `llama-server` binary instead of the built-in llama.cpp, owned by the child process.

The child starts it, waits until it is healthy and then for its end, so that to the rest of the
program it looks like the built-in one: same socket, same key, same requests. It goes with the
child's process group, and on Linux also where the child alone is killed. Its flags are those of
llama.cpp's tools/server/README.md; what older versions lack is set by environment variables,
which they ignore.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from palaver.core.errors import EngineError
from palaver.engines.child import folders
from palaver.engines.child.options import ModelFile, Options, Report
from palaver.engines.child.owned import Place, end_as, ending, free_port, healthy, start
from palaver.engines.llama_cpp.memory import CHECKPOINTS

FIX = "name the llama-server binary with --llama-server PATH"
_VARIABLES = {
    "LLAMA_ARG_CTX_CHECKPOINTS": str(CHECKPOINTS),
    "LLAMA_ARG_CACHE_RAM": "0",  # states are swapped by us, so that what is cached is known
    "LLAMA_ARG_FIT": "off",  # the context is ours to choose
    "LLAMA_LOG_VERBOSITY": "1",  # errors: the log would grow with each request
}


def run(options: Options, model: ModelFile, report: Callable[[Report], None]) -> None:
    """Start the binary, report `ready`, and end as it ends. Raises EngineError before that."""
    key = Path(options.folder) / "key"
    key.touch(mode=0o600)
    key.write_text(options.secret + "\n")
    began = time.monotonic()
    place = Place(model.socket, 0, options.secret)
    process = start(command(options, model, key, ["--host", model.socket]), _VARIABLES)
    if not healthy(process, place, began, report, _loading) and "bind" in _log(options):
        # Versions before 2025 know no unix sockets.
        place = Place("", free_port(), options.secret)
        host = ["--host", "127.0.0.1", "--port", str(place.port)]
        process = start(command(options, model, key, host), _VARIABLES)
        healthy(process, place, began, report, _loading)
    if process.poll() is not None:
        raise EngineError(f"it {ending(process.returncode)}")
    _scale(options.loras, place)
    report(Report(ready=True, port=place.port))
    end_as(process.wait())


def command(options: Options, model: ModelFile, key: Path, host: Sequence[str]) -> list[str]:
    """Return the command line that serves with these settings at `host`."""
    return [
        str(options.llama_server),
        *("--model", options.model),
        *host,
        *("--api-key-file", str(key)),  # a command line can be read by everybody
        *("--ctx-size", str(model.context * options.parallel)),
        *("--parallel", str(options.parallel)),
        *("--batch-size", str(options.batch), "--ubatch-size", str(options.batch)),
        *("--threads", str(model.threads), "--threads-batch", str(model.threads)),
        *("--cache-type-k", options.kv_type, "--cache-type-v", options.kv_type),
        *("--slot-save-path", options.slots.rstrip("/") + "/"),
        "--no-warmup",
        *(part for path, _ in options.loras for part in ("--lora", path)),
    ]


def _loading(seconds: int) -> str:
    return f"llama-server is loading the model, {seconds} s"


def _scale(loras: Sequence[tuple[str, float]], place: Place) -> None:
    """Set the adapters' scales: by request, because the flag's form differs by version."""
    scales = [{"id": i, "scale": scale} for i, (_, scale) in enumerate(loras)]
    if any(scale != 1.0 for _, scale in loras):
        status = place.ask("POST", "/lora-adapters", scales)
        if status != 200:
            raise EngineError(f"it refused the scales of the LoRA adapters (HTTP status {status})")


def _log(options: Options) -> str:
    try:
        return (Path(options.folder) / folders.LOG).read_bytes()[-4000:].decode(errors="replace")
    except OSError:
        return ""
