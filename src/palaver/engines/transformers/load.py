"""Loading a safetensors folder with transformers, and what that will take."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from palaver.core import install
from palaver.core.errors import UserError
from palaver.engines.host.folder import Folder

_PROCESS = 700_000_000  # bytes: Python, torch and transformers (560 MB measured on Linux)
_BITS = {"8bit": 8.0, "4bit": 4.5}  # a number's, with the scales of its block


def dtype(wanted: str | None, folder: Folder, where: str) -> torch.dtype:
    """Return the type of numbers to compute with: as asked, else the checkpoint's own.

    On a CPU half precision is computed as float32, which holds all its values and is faster.
    """
    name = wanted or folder.text.get("dtype") or folder.text.get("torch_dtype")
    name = name or folder.config.get("dtype") or folder.config.get("torch_dtype") or "float32"
    if wanted is None and name == "float16" and where == "cpu":
        name = "float32"
    found = getattr(torch, str(name), None)
    return found if isinstance(found, torch.dtype) else torch.float32


def check_packages(options: Any, folder: Folder) -> None:
    """Raise UserError where what was asked needs a package that is not installed."""
    if options.quantize and importlib.util.find_spec("bitsandbytes") is None:
        raise UserError("--quantize needs bitsandbytes", fix=install.pip("bitsandbytes"))
    if options.quantize and options.loras:
        raise UserError("adapters can't be merged into weights that are quantised while loading")
    if options.kv_type not in ("f16", "auto"):
        raise UserError(f"kv_type = {options.kv_type!r}: the cache has the model's own type here")


def weights_bytes(folder: Folder, numbers: torch.dtype, quantize: str | None) -> int:
    """Return the bytes that the weights will take once loaded."""
    packed = _method(folder) == "mxfp4" and not torch.cuda.is_available()
    total = 0.0
    for tensor in folder.tensors:
        if tensor.dtype in ("F64", "F32", "F16", "BF16"):
            whole = quantize is None or len(tensor.shape) < 2
            total += tensor.values * (numbers.itemsize if whole else _BITS[str(quantize)] / 8)
        elif packed and tensor.dtype == "U8":  # two values a byte, unpacked while loading
            total += 2 * tensor.values * numbers.itemsize
        else:
            total += tensor.bytes
    return round(total)


def rest_bytes(folder: Folder, batch: int) -> int:
    """Return the bytes of the process and of one step over `batch` tokens."""
    t = folder.text
    width = int(t.get("hidden_size", 0) or 0)
    feed = int(t.get("intermediate_size", 0) or 4 * width)
    vocabulary = int(t.get("vocab_size", 0) or 0)
    return _PROCESS + 4 * batch * (3 * feed + 8 * width) + 16 * vocabulary


def load(
    folder: Folder, where: str, numbers: torch.dtype, quantize: str | None, ranks: int = 1
) -> Any:
    """Load the model, or this rank's part of it where `ranks` have met.

    Raises UserError for an architecture or weights that can't be used.
    """
    logging.disable_progress_bar()
    more: dict[str, Any] = {}
    if quantize:
        from transformers import BitsAndBytesConfig

        more["quantization_config"] = BitsAndBytesConfig(**{f"load_in_{quantize}": True})
    if ranks > 1:
        from transformers.distributed.configuration_utils import DistributedConfig

        more["distributed_config"] = DistributedConfig(tp_size=ranks)
    else:  # straight to where it belongs, without a copy in the machine's own memory
        more["device_map"] = "auto" if where == "auto" else {"": where}
    _check_architecture(folder)
    model, report = AutoModelForCausalLM.from_pretrained(
        folder.path, dtype=numbers, use_safetensors=True, trust_remote_code=False,
        local_files_only=True, output_loading_info=True, **more,
    )  # fmt: skip
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"{folder.name} lacks {len(missing)} of the model's weights, such as {missing[0]}",
            fix="get the model again: a file may be missing",
        )
    model.eval()
    return model


def _check_architecture(folder: Folder) -> None:
    try:
        AutoConfig.from_pretrained(folder.path, trust_remote_code=False, local_files_only=True)
    except ValueError as error:
        if "auto_map" in folder.config:
            raise UserError(
                f"{folder.name} brings program code of its own, which palaver does not run",
                fix="use a GGUF of it with llama-cpp",
            ) from None
        first = str(error).partition("\n")[0]
        raise UserError(
            f"transformers can't use {folder.name}: {first}",
            fix=f"a newer transformers may: {install.pip('--upgrade transformers')}",
        ) from None


def _method(folder: Folder) -> str:
    found = folder.config.get("quantization_config")
    return str(found.get("quant_method", "")) if isinstance(found, dict) else ""
