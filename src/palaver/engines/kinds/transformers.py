"""Hugging Face transformers on torch: whatever architecture it knows, on CPU, CUDA or MPS."""

from palaver.engines.registry import Kind, Weights, hosted


def _suits(weights: Weights) -> int:
    return 10 if weights.format == "safetensors" else 0


ENGINE = Kind(
    name="transformers",
    about="transformers on torch, for safetensors folders; CPU, CUDA, MPS",
    program=hosted("transformers"),
    opener="palaver.engines.transformers.model",
    suits=_suits,
    needs=("torch", "transformers", "accelerate", "safetensors", "tokenizers", "numpy"),
    extra="torch",
    can=(
        "exact ids",
        "log-probabilities",
        "saved states",
        "LoRA",
        "grammars",
        "batches",
        "tensor parallel",
    ),
)
