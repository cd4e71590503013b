"""What the child needs to know of a model file, read and checked in Python."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from palaver.core.errors import UserError
from palaver.engines.child import folders
from palaver.engines.child.options import ModelFile, Options
from palaver.engines.child.threads import allowed, free_cores
from palaver.engines.llama_cpp import gguf, memory, vocabulary
from palaver.engines.llama_cpp.attention import flash
from palaver.engines.own_sampling import of_gguf

DEFAULT_CONTEXT = 8192


def describe(options: Options) -> ModelFile:
    """Check the file and the settings against it; raises UserError naming what does not fit."""
    _refuse(options)
    path = Path(options.model)
    file = gguf.read(path)
    trained = file.context_length
    wanted = options.context or min(trained, DEFAULT_CONTEXT)
    if wanted > trained:
        raise UserError(
            f"{path.name} was trained for {trained} tokens of context, {wanted} were asked for",
            fix=f"use --context {trained} or less",
        )
    need = _need(file, wanted, options)
    scalars = {k: v for k, v in file.metadata.items() if isinstance(v, str | int | float | bool)}
    tokens = file.tokens()
    bos_id = _token_id(scalars.get("tokenizer.ggml.bos_token_id"), len(tokens))
    eos_id = _token_id(scalars.get("tokenizer.ggml.eos_token_id"), len(tokens))
    words = vocabulary.read(file)
    template = scalars.pop("tokenizer.chat_template", None)
    return ModelFile(
        name=file.name,
        fingerprint=_fingerprint(file, options),
        context=need.context,
        threads=options.threads or _threads(),
        kv_bytes_per_token=file.kv_bytes_per_token(options.kv_type),
        weights_bytes=need.weights,
        cut_back=file.can_cut_back,
        window=max((layer.window for layer in file.kept()), default=0),
        control=tuple(sorted(words.control)),
        user_defined=tuple(sorted(words.user_defined)),
        eog=tuple(sorted(words.eog)),
        bos=tokens[bos_id] if bos_id is not None else "",
        eos=tokens[eos_id] if eos_id is not None else "",
        bos_id=bos_id,
        prefix_space=_prefixes_space(scalars),
        template=template if isinstance(template, str) else None,
        metadata=scalars,
        sampling=of_gguf(scalars),
        socket=str(Path(options.folder) / folders.SOCKET),
    )


def _refuse(options: Options) -> None:
    """Raise UserError for settings that this engine can't follow."""
    for given, flag, fix in (
        (options.ranks > 1, "--tensor-parallel", "it is for -e vllm and -e transformers"),
        (options.device, "--device", "llama.cpp takes the GPU that its build is for"),
        (options.dtype, "--dtype", "a GGUF file has its types: take a file of another one"),
        (options.quantize, "--quantize", "take a GGUF file that is quantised, such as Q4_K_M"),
    ):
        if given:
            raise UserError(f"the engine {options.engine} has no {flag}", fix=fix)


def _need(file: gguf.Gguf, context: int, options: Options) -> memory.Estimate:
    """Estimate the memory; raises UserError where that is more than the limit, if there is one."""
    settings: dict[str, Any] = {
        "kv_type": options.kv_type,
        "batch": options.batch,
        "parallel": options.parallel,
        "loras": [Path(path) for path, _ in options.loras],
    }
    if options.memory_limit is None:
        return memory.estimate(file, context, **settings)
    return memory.check(options.memory_limit, file, context, **settings)


def _threads() -> int:
    return free_cores() if allowed() > 1 else 1


def _token_id(value: object, count: int) -> int | None:
    return value if isinstance(value, int) and 0 <= value < count else None


def _prefixes_space(scalars: dict[str, str | int | float | bool]) -> bool:
    """Say whether llama.cpp begins every text with a blank: SentencePiece does by default."""
    default = scalars.get("tokenizer.ggml.model") == "llama"
    return bool(scalars.get("tokenizer.ggml.add_space_prefix", default))


def _fingerprint(file: gguf.Gguf, options: Options) -> str:
    """Name everything that a saved state depends on."""
    import hashlib

    build = metadata.version("xllamacpp") + platform.machine()
    if options.llama_server:
        stat = Path(options.llama_server).stat()
        build = f"{options.llama_server}\0{stat.st_size}\0{stat.st_mtime_ns}"
    parts = [build, file.fingerprint(Path(options.cache) if options.cache else None)]
    parts += [options.kv_type, flash(options)]  # the values lie in another order without it
    for path, scale in options.loras:
        parts.append(gguf.read(Path(path), adapter=True).fingerprint(None) + f"@{scale}")
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
