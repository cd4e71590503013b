"""The command line of `vllm serve`, from settings."""

from __future__ import annotations

from palaver.core.errors import UserError
from palaver.engines.child.options import ModelFile, Options

_KEPT = ("--host", "--port", "--api-key", "--served-model-name", "--uds")  # ours to choose
_LIKELIEST = 1000  # tokens whose log-probabilities may be asked for; `classify` asks for as many
ADAPTER = "adapter"  # its name at the server


def command(options: Options, file: ModelFile, port: int) -> list[str]:
    """Return the line that serves a model at a port of this computer.

    The key is in the environment, because a command line can be read by everybody. Raises
    UserError for what vLLM can't do, or must not be told.
    """
    line = [
        *(options.vllm, "serve", options.model),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--served-model-name", file.name),
        *("--max-model-len", str(file.context)),
        "--enable-prompt-tokens-details",  # how many tokens were cached
        *("--max-logprobs", str(_LIKELIEST)),
    ]
    if options.ranks > 1:
        line += ["--tensor-parallel-size", str(options.ranks)]
    if options.dtype:
        line += ["--dtype", options.dtype]
    for path, scale in options.loras[:1]:
        if len(options.loras) > 1 or scale != 1.0:
            raise UserError(
                "vLLM answers with one LoRA adapter at a time, at its full scale",
                fix="name one --lora PATH, without =SCALE",
            )
        line += ["--enable-lora", "--lora-modules", f"{ADAPTER}={path}"]
    for word in options.arguments:
        if word.partition("=")[0] in _KEPT:
            raise UserError(f"vllm_args: {word} is palaver's to choose", fix="leave it out")
    for given, what, fix in (
        (options.kv_type != "f16", "kv_type", 'vllm_args = ["--kv-cache-dtype", "fp8"]'),
        (options.quantize, "quantize", 'vllm_args = ["--quantization", ...]'),
        (options.device, "device", "the variable CUDA_VISIBLE_DEVICES"),
    ):
        if given:
            raise UserError(f"{what} is not for vLLM", fix=f"say it in its own words: {fix}")
    return [*line, *options.arguments]
