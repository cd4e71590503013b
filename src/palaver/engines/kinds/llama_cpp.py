"""llama.cpp by the wheel that palaver installs."""

from palaver.engines.registry import Kind, Weights


def _suits(weights: Weights) -> int:
    return 10 if weights.format == "gguf" else 0


ENGINE = Kind(
    name="llama-cpp",
    about="llama.cpp, for GGUF files; comes with palaver",
    program=("palaver.engines.llama_cpp.child",),
    suits=_suits,
    needs=("xllamacpp",),
    retunes=True,
    can=(
        "exact ids",
        "log-probabilities",
        "saved states",
        "LoRA",
        "grammars",
        "held calls",
        "batches",
    ),
    slots=True,
)
