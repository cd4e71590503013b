"""A transformers model for the host, or one rank's part of it: loaded, run, its cache kept.

Only the processes of the model import this module; torch and transformers load with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers

from palaver.core.errors import UserError
from palaver.engines.child.options import ModelFile, Options
from palaver.engines.host.device import choose
from palaver.engines.host.folder import Folder, check_memory
from palaver.engines.host.model import Say
from palaver.engines.transformers import cache, load, lora
from palaver.engines.transformers.rows import PaddedRows


class TransformersModel:
    """A `palaver.engines.host.model.HostedModel`."""

    def __init__(self, model: Any, folder: Folder, file: ModelFile) -> None:
        self.file = file
        self.vocabulary = folder.vocabulary()
        self.tokens = model.get_input_embeddings().num_embeddings
        self.ends = folder.ends(self.vocabulary)
        self._model = model
        self._device = model.get_input_embeddings().weight.device
        self._cache = cache.make(model.config)
        self._length = 0
        known = inspect.signature(model.forward).parameters
        self._more = {"logits_to_keep": 1} if "logits_to_keep" in known else {}

    def forward(self, ids: Sequence[int]) -> Any:
        """Run `ids` after what the cache holds; return the last position's logits."""
        with torch.inference_mode():
            found = self._model(
                input_ids=torch.tensor([ids], device=self._device),
                past_key_values=self._cache,
                use_cache=True,
                **self._more,
            )
        self._length += len(ids)
        return found.logits[0, -1].float().cpu().numpy()

    def read(self, prompts: Sequence[Sequence[int]]) -> PaddedRows:
        """Read prompts side by side; see `palaver.engines.host.batch.Batching`."""
        return PaddedRows(self._model, self._device, prompts, self._more)

    def crop(self, length: int) -> int:
        """Cut the cache back; one with a running state begins anew."""
        if length >= self._length:
            return self._length
        if length and cache.can_cut(self._cache):
            cache.cut(self._cache, length)
            self._length = length
        else:
            self._cache = cache.make(self._model.config)
            self._length = 0
        return self._length

    def save(self, path: Path, ids: Sequence[int]) -> None:
        """Write the cache and its ids to a safetensors file."""
        if not cache.can_cut(self._cache):
            raise UserError("this model's running state can't be saved")
        tensors = {"ids": torch.tensor(ids, dtype=torch.uint32), **cache.tensors(self._cache)}
        safetensors.torch.save_file(tensors, str(path))

    def restore(self, path: Path) -> list[int]:
        """Replace the cache by a file's; return its ids."""
        self.crop(0)
        saved = safetensors.torch.load_file(str(path), device=str(self._device))
        ids = [int(i) for i in saved.pop("ids").cpu()]
        try:
            with torch.inference_mode():
                cache.fill(self._cache, saved)
        except BaseException:
            self._length = len(ids)
            self.crop(0)
            raise
        self._length = len(ids)
        return ids


def open_part(options: Options, say: Say) -> TransformersModel:
    """Check a folder and load this rank's part of it: all, where there is one rank."""
    folder = Folder(Path(options.model))
    device = choose(options.device)
    dtype = load.dtype(options.dtype, folder, device)
    context = folder.context(options)
    load.check_packages(options, folder)
    vocabulary = folder.vocabulary()
    weights = load.weights_bytes(folder, dtype, options.quantize)
    kv = folder.kv_bytes(dtype.itemsize)
    check_memory(
        options.memory_limit, folder.name, context,
        weights=weights, kv=kv, rest=load.rest_bytes(folder, options.batch),
    )  # fmt: skip
    adapters = [lora.read(Path(path), scale) for path, scale in options.loras]
    say(f"loading {folder.name} on {device}")
    model = load.load(folder, device, dtype, options.quantize, options.ranks)
    for adapter in adapters:
        lora.merge(model, adapter)
    file = folder.describe(
        options,
        vocabulary,
        build=f"transformers {transformers.__version__} torch {torch.__version__} {device} {dtype}",
        weights=weights,
        kv=kv,
        cut_back=cache.can_cut(cache.make(model.config)),
    )
    torch.set_num_threads(file.threads)
    return TransformersModel(model, folder, file)
