"""OpenAI's gpt-oss by our own torch code, on the CPU."""

from palaver.engines.registry import Kind, Weights, hosted


def _suits(weights: Weights) -> int:
    return 20 if weights.format == "safetensors" and weights.architecture == "gpt_oss" else 0


ENGINE = Kind(
    name="gpt-oss",
    about="gpt-oss by our own torch code, for its safetensors of either layout",
    program=hosted("gpt-oss"),
    opener="palaver.engines.gpt_oss.model",
    suits=_suits,
    needs=("torch", "safetensors", "tokenizers", "numpy"),
    extra="gpt-oss",
    can=("exact ids", "log-probabilities", "saved states", "grammars"),
)
