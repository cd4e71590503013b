"""mlx-lm: Apple Silicon's own engine; elsewhere it runs on the processor, slowly."""

import platform

from palaver.engines.registry import Kind, Weights, hosted


def _apple() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _suits(weights: Weights) -> int:
    return 30 if weights.format == "safetensors" else 0


def _hindered() -> str | None:
    if _apple() or platform.system() == "Linux":
        return None
    return "MLX needs Apple Silicon; on Linux it runs on the processor"


ENGINE = Kind(
    name="mlx",
    about="mlx-lm on Apple Silicon, for safetensors folders, MLX's own too",
    program=hosted("mlx"),
    opener="palaver.engines.mlx.model",
    suits=_suits,
    needs=("mlx", "mlx_lm", "safetensors", "tokenizers", "numpy"),
    extra="mlx",
    can=("exact ids", "log-probabilities", "saved states", "LoRA", "grammars"),
    hindered=_hindered,
    by_name=not _apple(),
)
