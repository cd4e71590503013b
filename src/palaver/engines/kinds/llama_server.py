"""llama.cpp by a `llama-server` binary of the user's own, built for their hardware."""

from palaver.engines.registry import Kind, Weights


def _suits(weights: Weights) -> int:
    return 1 if weights.format == "gguf" else 0


ENGINE = Kind(
    name="llama-server",
    about="a llama-server binary of your own (--llama-server), for GGUF files",
    program=("palaver.engines.llama_cpp.child",),
    suits=_suits,
    attached="chat-endpoint",
    retunes=True,
    batches=True,
    grammars=True,
)
