"""Whether llama.cpp should use its flash attention.

On a processor it reads fewer than 64 new tokens one by one and slows decode down as the context
grows. Measured (0.5B, one thread): 20 new tokens at a depth of 3,000 take 2.24 s with it and
0.70 s without, decode at a depth of 2,000 runs at 4.8 and 11.4 tokens/s; only reading a long
prompt from nothing is faster with it (56 s and 73 s). So it is off where there is no GPU, unless
the values are quantised, which needs it.
"""

from __future__ import annotations

from palaver.engines.child.options import Options

UNQUANTISED = ("f16", "bf16", "f32")


def flash(options: Options) -> str:
    """Return "off" or "auto" for a child with these options."""
    if options.llama_server or options.kv_type not in UNQUANTISED:
        return "auto"
    import xllamacpp

    kinds = xllamacpp.ggml_backend_dev_type
    gpus = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    return "auto" if any(d["type"] in gpus for d in xllamacpp.get_device_info()) else "off"
