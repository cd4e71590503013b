"""A completions server of others, by its address, that takes and gives token ids."""

from palaver.engines.registry import Kind

ENGINE = Kind(
    name="completions",
    about="a server that takes token ids and gives them, as vLLM does (--endpoint URL)",
    program=(),
    suits=lambda _weights: 0,
    needs=("httpx2",),
)
