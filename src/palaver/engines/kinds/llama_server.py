"""llama.cpp by a `llama-server`: the user's own binary, or one that runs somewhere already."""

from palaver.engines.kinds.llama_cpp import ENGINE as LLAMA_CPP
from palaver.engines.registry import Kind, Weights


def _suits(weights: Weights) -> int:
    return 1 if weights.format == "gguf" else 0


ENGINE = Kind(
    name="llama-server",
    about="a llama-server binary of yours (--llama-server), or one that runs (--endpoint)",
    program=("palaver.engines.llama_cpp.child",),
    suits=_suits,
    attached="completions",
    retunes=True,
    can=LLAMA_CPP.can,
    slots=True,
)
