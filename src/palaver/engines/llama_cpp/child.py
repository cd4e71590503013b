"""The process that owns llama.cpp: reads its options from stdin, serves a unix socket.

Run as `python -m palaver.engines.llama_cpp.child`. The file is checked in Python first, so that
what is wrong with it is said in words and native code never sees it. It ends when stdin closes,
that is with its parent, whatever ended that. With `Options.llama_server` it owns that binary.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from palaver.core.errors import PalaverError, UserError
from palaver.engines.child.options import ModelFile, Options, Report
from palaver.engines.llama_cpp.attention import flash
from palaver.engines.llama_cpp.memory import CHECKPOINTS

Say = Callable[[Report], None]


def _end() -> None:
    """End at once, with what we started: freeing a large model takes time that nobody waits for."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _end_with_parent() -> None:
    """End when stdin closes.

    Not PR_SET_PDEATHSIG: that is sent when the thread ends which started us, too.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        _end()

    threading.Thread(target=wait, daemon=True).start()


def _modest() -> None:
    """Write no core file, it would hold the conversation; end before the chat if memory ends."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def serve(options: Options, model: ModelFile) -> Any:
    """Load the model and open the socket; return the server, which lives as long as the object.

    Raises RuntimeError where llama.cpp refuses; its reasons stand on stderr.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.n_ctx = model.context
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = options.batch
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = model.threads
    params.warmup = False
    params.verbosity = 1
    params.cache_type_k = params.cache_type_v = _kv_type(options.kv_type)
    params.n_ctx_checkpoints = CHECKPOINTS
    if flash(options) == "off":
        off = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.flash_attn_type = off
    params.cache_ram_mib = 0  # states are swapped by us, so that what is cached is known
    params.fit_params = False
    params.hostnames = [model.socket]
    params.api_keys = [options.secret]
    params.slot_save_path = options.slots.rstrip("/") + "/"
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(p, s) for p, s in options.loras]
    return xllamacpp.Server(params)


def _kv_type(name: str) -> Any:
    import xllamacpp

    return getattr(xllamacpp.ggml_type, f"GGML_TYPE_{name.upper()}")


def _run(options: Options, report: Say) -> None:
    """Load, say so, and serve for good; returns where loading failed, after saying why."""
    try:
        from palaver.engines.llama_cpp.describe import describe

        if options.llama_server:
            from palaver.engines.llama_cpp import binary

            path = binary.check(options.llama_server)
            options = msgspec.structs.replace(options, llama_server=path)
            model = describe(options)
            report(Report(model=model))
            binary.run(options, model, report)
        else:
            model = describe(options)
            report(Report(model=model))
            server = serve(options, model)
            report(Report(ready=True))
            threading.Event().wait()
            del server
    except UserError as error:
        report(Report(error=error.message, fix=error.fix, kind="user"))
    except PalaverError as error:
        report(Report(error=error.message, fix=error.fix))
    except RuntimeError as error:
        report(Report(error=str(error)))
    except MemoryError:
        report(Report(error="the machine has too little memory for this model and context"))


def main() -> None:
    """Serve until stdin closes."""
    # llama.cpp and its libraries may print: only reports go to the parent.
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    # What is needed whatever is asked for is loaded while the parent draws its prompt.
    for module in ("xllamacpp", "palaver.engines.llama_cpp.describe"):
        importlib.import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    _end_with_parent()
    _modest()

    def report(message: Report) -> None:
        with contextlib.suppress(BrokenPipeError):  # the parent is gone: stdin will say so
            reports.write(msgspec.json.encode(message) + b"\n")

    _run(msgspec.json.decode(line, type=Options), report)
    _end()


if __name__ == "__main__":
    main()
