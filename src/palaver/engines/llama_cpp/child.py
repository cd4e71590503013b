"""The process that owns llama.cpp: reads its options from stdin, serves a unix socket.

Run as `python -m palaver.engines.llama_cpp.child`. The file is checked in Python first, so that
what is wrong with it is said in words and native code never sees it. It ends when stdin closes,
that is with its parent, whatever ended that.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from palaver.core.errors import PalaverError, UserError
from palaver.engines.llama_cpp.options import ModelFile, Options, Report


def _die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


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


def main() -> None:
    """Serve until stdin closes."""
    _die_with_parent()
    # llama.cpp and its libraries may print: only reports go to the parent.
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def report(message: Report) -> None:
        reports.write(msgspec.json.encode(message) + b"\n")

    line = sys.stdin.buffer.readline()
    if not line:
        return
    options = msgspec.json.decode(line, type=Options)
    server = None
    try:
        from palaver.engines.llama_cpp.describe import describe

        model = describe(options)
        report(Report(model=model))
        server = serve(options, model)
        report(Report(ready=True))
    except UserError as error:
        report(Report(error=error.message, fix=error.fix, kind="user"))
    except PalaverError as error:
        report(Report(error=error.message, fix=error.fix))
    except RuntimeError as error:
        report(Report(error=str(error)))
    except MemoryError:
        report(Report(error="the machine has too little memory for this model and context"))
    if server is not None:
        sys.stdin.buffer.read()
    os._exit(0)  # freeing a large model takes time that nobody waits for


if __name__ == "__main__":
    main()
