"""vLLM: `vllm serve`, started and ended by us; several GPUs, and through Ray several machines."""

from palaver.engines.registry import Kind, Weights


def _suits(weights: Weights) -> int:
    return 1 if weights.format == "safetensors" else 0


ENGINE = Kind(
    name="vllm",
    about="vLLM (--vllm PATH), for safetensors folders; several GPUs and machines",
    program=("palaver.engines.vllm.child",),
    suits=_suits,
    by_name=True,
    attached="completions",
    needs=("httpx2", "tokenizers"),
    extra="vllm",
    can=("exact ids", "log-probabilities", "LoRA", "grammars", "batches", "tensor parallel"),
)
