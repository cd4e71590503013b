"""A completions server of others, by its address, that takes and gives token ids."""

from palaver.engines.registry import Kind

ENGINE = Kind(
    name="completions",
    about="a vLLM or llama-server that runs, asked token by token (--endpoint URL)",
    program=(),
    suits=lambda _weights: 0,
    needs=("httpx2",),
    can=("exact ids", "log-probabilities", "grammars", "batches"),
)
