"""A gpt-oss model for the host: checked, loaded, run; its cache cut, saved and restored.

Only the host's process imports this module; torch loads with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from palaver.core.errors import UserError
from palaver.engines.child.options import ModelFile, Options
from palaver.engines.gpt_oss import memory, weights
from palaver.engines.gpt_oss.checkpoint import Checkpoint
from palaver.engines.gpt_oss.config import Config
from palaver.engines.gpt_oss.folder import GptOssFolder
from palaver.engines.gpt_oss.kernels import SCORES
from palaver.engines.gpt_oss.network import Cache, Network
from palaver.engines.host.device import choose
from palaver.engines.host.folder import check_memory
from palaver.engines.host.model import Say
from palaver.engines.host.vocabulary import JsonVocabulary

_BUILD = "gpt-oss 1"  # to be raised when the values in a cache change
_PROCESS = 400_000_000  # bytes: Python, torch, and what its kernels hold
_PER_TOKEN = 1700  # bytes of the tokenizer for each token it knows, while it is read


class GptOssModel:
    """A `palaver.engines.host.model.HostedModel`."""

    def __init__(
        self,
        network: Network,
        cache: Cache,
        folder: GptOssFolder,
        file: ModelFile,
        words: JsonVocabulary,
    ) -> None:
        self.file = file
        self.vocabulary = words
        self.tokens = folder.shape.vocabulary
        self.ends = folder.ends(words)
        self._network = network
        self._cache = cache

    def forward(self, ids: Sequence[int]) -> Any:
        """Run `ids` after what the cache holds; return the last position's logits."""
        return self._network.forward(ids, self._cache).cpu().numpy()

    def crop(self, length: int) -> int:
        """Cut the cache back to at most `length` tokens; return how many are left."""
        self._cache.length = min(self._cache.length, length)
        return self._cache.length

    def save(self, path: Path, ids: Sequence[int]) -> None:
        """Write the cache and its ids to a safetensors file."""
        keys, values = self._cache.held()
        numbers = torch.tensor(ids, dtype=torch.uint32)
        safetensors.torch.save_file({"ids": numbers, "keys": keys, "values": values}, str(path))

    def restore(self, path: Path) -> list[int]:
        """Replace the cache by a file's; return its ids."""
        self._cache.length = 0
        state = safetensors.torch.load_file(str(path))
        self._cache.fill(state["keys"], state["values"])
        return [int(i) for i in state["ids"]]


def open_model(options: Options, say: Say) -> GptOssModel:
    """Check a folder of either layout and load it; raises UserError for what can't be used.

    Experts in MXFP4 stay packed and mapped. Those that tokens choose are unpacked, and kept so
    while there is memory: up to the limit, without one half of what is free.
    """
    _refuse(options)
    folder = GptOssFolder(Path(options.model))
    with Checkpoint(folder.path, folder.headers) as checkpoint:
        mapped = weights.load(folder.shape, checkpoint)
    words = folder.vocabulary()
    dtype, device = _dtype(options.dtype, mapped.embedding.dtype), choose(options.device or "cpu")
    context = folder.context(options)
    kv = folder.shape.kv_values * int(dtype.itemsize)
    rest = _rest(folder.shape, options.batch, context)
    size = weights.size(mapped, dtype)
    check_memory(options.memory_limit, folder.name, context, weights=size, kv=kv, rest=rest)
    room = _room(options.memory_limit, device, size + kv * context + rest)
    room = min(room, weights.unpacked_size(mapped, dtype))
    build = f"{_BUILD} torch {torch.__version__} {device} {dtype}"
    file = folder.describe(options, words, build=build, weights=size + room, kv=kv)
    torch.set_num_threads(file.threads)
    if mapped.embedding.dtype != dtype:
        say(f"loading {folder.name} as {str(dtype).removeprefix('torch.')}")
    loaded = weights.convert(mapped, dtype, device, room=room)
    cache = Cache(folder.shape, context, dtype, device)
    return GptOssModel(Network(folder.shape, loaded), cache, folder, file, words)


def _refuse(options: Options) -> None:
    """Raise UserError for settings that this engine can't follow."""
    if options.ranks > 1:
        raise UserError(
            "the engine gpt-oss runs in one process", fix="--tensor-parallel is for -e transformers"
        )
    if options.loras:
        raise UserError(
            "the engine gpt-oss can't load adapters",
            fix="use -e transformers, or merge the adapter into the checkpoint",
        )
    if options.quantize:
        raise UserError(
            "the engine gpt-oss does not quantise while loading",
            fix="leave --quantize out: MXFP4 experts stay packed as they are",
        )
    if options.device == "auto":
        raise UserError("the engine gpt-oss runs on one device", fix="name it: cpu, cuda, mps")
    if options.kv_type not in ("f16", "auto"):
        raise UserError(f"kv_type = {options.kv_type!r}: the cache has the model's own type here")


def _room(limit: float | None, device: str, needed: int) -> int:
    """Return how many bytes unpacked experts may take beside the `needed` ones."""
    if limit is not None:
        return int(limit * 1e9) - needed
    free = memory.free() if device == "cpu" else None
    return 0 if free is None else max(0, free - needed) // 2


def _dtype(wanted: str | None, stored: torch.dtype) -> torch.dtype:
    """Return the type to compute with: as asked, else bfloat16 where it is the file's, float32."""
    if wanted is None:
        return stored if stored == torch.bfloat16 else torch.float32
    found: torch.dtype = getattr(torch, wanted)
    return found


def _rest(shape: Config, batch: int, context: int) -> int:
    """Return the bytes of the process and of one step over `batch` tokens."""
    scores = 4 * min(SCORES, batch * shape.heads * context)
    a_token = 4 * (4 * shape.width + 3 * shape.heads * shape.head + 6 * shape.inner)
    process = _PROCESS + _PER_TOKEN * shape.vocabulary
    return process + 3 * scores + batch * a_token + 8 * shape.vocabulary
