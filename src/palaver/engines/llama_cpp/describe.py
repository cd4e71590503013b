"""What the child needs to know of a model file, read and checked in Python."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from palaver.core.errors import UserError
from palaver.engines.llama_cpp import gguf, memory
from palaver.engines.llama_cpp.options import ModelFile, Options
from palaver.engines.llama_cpp.threads import allowed, free_cores

DEFAULT_CONTEXT = 8192
_STEP = 256  # llama.cpp rounds the context up to this


def describe(options: Options) -> ModelFile:
    """Check the file and the settings against it; raises UserError naming what does not fit."""
    path = Path(options.model)
    file = gguf.read(path)
    trained = file.context_length or DEFAULT_CONTEXT
    wanted = options.context or min(trained, DEFAULT_CONTEXT)
    if wanted > trained:
        raise UserError(
            f"{path.name} was trained for {trained} tokens of context, {wanted} were asked for",
            fix=f"use --context {trained} or less",
        )
    context = -(-wanted // _STEP) * _STEP
    estimate = memory.estimate(file, context, kv_type=options.kv_type, batch=options.batch)
    if options.memory_limit is not None:
        memory.check(
            options.memory_limit, file, context, kv_type=options.kv_type, batch=options.batch
        )
    scalars = {k: v for k, v in file.metadata.items() if isinstance(v, str | int | float | bool)}
    tokens = file.tokens()
    bos_id = _token_id(scalars.get("tokenizer.ggml.bos_token_id"), len(tokens))
    eos_id = _token_id(scalars.get("tokenizer.ggml.eos_token_id"), len(tokens))
    ends = ("eos", "eot", "eom")
    eog = {
        tokens[i]
        for name in ends
        if (i := _token_id(scalars.get(f"tokenizer.ggml.{name}_token_id"), len(tokens))) is not None
    }
    template = scalars.pop("tokenizer.chat_template", None)
    return ModelFile(
        name=str(scalars.get("general.name") or path.stem),
        fingerprint=_fingerprint(file, options),
        context=context,
        threads=options.threads or _threads(),
        kv_bytes_per_token=file.kv_bytes_per_token(options.kv_type),
        weights_bytes=estimate.weights,
        cut_back=file.can_cut_back,
        control=tuple(sorted(file.control_tokens())),
        eog=tuple(sorted(eog)),
        bos=tokens[bos_id] if bos_id is not None else "",
        eos=tokens[eos_id] if eos_id is not None else "",
        bos_id=bos_id,
        add_bos=_adds_bos(scalars),
        template=template if isinstance(template, str) else None,
        metadata=scalars,
        socket=str(Path(options.folder) / "s.sock"),
    )


def _threads() -> int:
    return free_cores() if allowed() > 1 else 1


def _token_id(value: object, count: int) -> int | None:
    return value if isinstance(value, int) and 0 <= value < count else None


def _adds_bos(scalars: dict[str, str | int | float | bool]) -> bool:
    """Say whether llama.cpp would begin with BOS: the key decides, else the tokenizer's kind."""
    said = scalars.get("tokenizer.ggml.add_bos_token")
    if isinstance(said, bool):
        return said
    if scalars.get("tokenizer.ggml.model") == "llama":
        return True
    return scalars.get("tokenizer.ggml.pre") in {"llama3", "llama-v3", "llama-bpe", "tekken"}


def _fingerprint(file: gguf.Gguf, options: Options) -> str:
    """Name everything that a saved state depends on."""
    import hashlib

    build = metadata.version("xllamacpp") + platform.machine()
    parts = [build, file.fingerprint(Path(options.cache) if options.cache else None)]
    parts.append(options.kv_type)
    for path, scale in options.loras:
        parts.append(gguf.read(Path(path)).fingerprint(None) + f"@{scale}")
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
