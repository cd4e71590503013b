"""The process that owns llama.cpp: `python -m palaver.engines.llama_cpp.child`.

The file is checked in Python first, so that what is wrong with it is said in words and native
code never sees it. With `Options.llama_server` it owns that binary.
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from palaver.engines.child import program
from palaver.engines.child.options import ModelFile, Options, Report
from palaver.engines.child.owned import find_program
from palaver.engines.llama_cpp.attention import flash
from palaver.engines.llama_cpp.memory import CHECKPOINTS


def serve(options: Options, model: ModelFile) -> Any:
    """Load the model and open the socket; return the server, which lives as long as the object.

    Raises RuntimeError where llama.cpp refuses; its reasons stand on stderr.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.n_ctx = model.context * options.parallel
    params.n_parallel = options.parallel
    params.kv_unified = False  # each slot has the whole context, whatever the others hold
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
    if options.embeddings:
        params.embedding = True
        if f"{model.metadata.get('general.architecture')}.pooling_type" not in model.metadata:
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.slot_save_path = options.slots.rstrip("/") + "/"
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(p, s) for p, s in options.loras]
    return xllamacpp.Server(params)


def _kv_type(name: str) -> Any:
    import xllamacpp

    return getattr(xllamacpp.ggml_type, f"GGML_TYPE_{name.upper()}")


def _run(options: Options, report: program.Say) -> None:
    """Load, say so, and serve for good; raises where loading fails."""
    from palaver.engines.llama_cpp.describe import describe

    if options.llama_server:
        from palaver.engines.llama_cpp import binary

        path = find_program(options.llama_server, binary.FIX)
        options = msgspec.structs.replace(options, llama_server=path)
        model = describe(options)
        report(Report(model=model))
        binary.run(options, model, report)
        return
    model = describe(options)
    report(Report(model=model))
    server = serve(options, model)
    report(Report(ready=True))
    threading.Event().wait()
    del server


if __name__ == "__main__":
    program.run(_run, ("xllamacpp", "palaver.engines.llama_cpp.describe"))
