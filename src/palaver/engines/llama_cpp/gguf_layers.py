"""What each layer of a model keeps for a conversation: keys and values, or a fixed state.

Follows `llama_hparams` and the per-architecture defaults in `src/models/*.cpp` of
https://github.com/ggml-org/llama.cpp. Where the metadata leave a choice open the larger one is
taken: sizes here are upper bounds.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from palaver.engines.llama_cpp.gguf_parse import Array, per_layer

# architectures that alternate windowed and full attention without saying so in their metadata:
# each n-th layer is full
_PATTERN = {
    "gemma2": 2,
    "gemma3": 6,
    "gpt-oss": 2,
    "cohere2": 4,
    "olmo2": 4,
    "exaone4": 4,
    "llama4": 4,
}
_WINDOW = {"gemma2": 4096, "llama4": 8192}  # where the key may be absent
_RECURRENT = {"mamba", "mamba2", "rwkv6", "rwkv7", "rwkv6qwen2", "arwkv7"}
_INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
_BOTH = {"falcon-h1"}  # attention and a state in each layer


class Layer(Struct, frozen=True):
    """What a layer keeps: `k` and `v` values a token, at most `window` tokens (0: all of them),
    and `state` bytes that do not grow."""

    k: int = 0
    v: int = 0
    window: int = 0
    state: int = 0


def layers(data: dict[str, Any], arch: str) -> list[Layer]:
    """Return what each layer keeps."""
    count = int(data[f"{arch}.block_count"])
    state = _state_bytes(data, arch)
    recurrent = _recurrent(data, arch, count)
    windows = _windows(data, arch, count)
    owning = count - int(data.get(f"{arch}.attention.shared_kv_layers", 0))
    found = []
    for i in range(count):
        if recurrent[i]:
            found.append(Layer(state=state))
        elif i >= owning:
            found.append(Layer())
        else:
            k, v = _widths(data, arch, count, i, windows[i])
            found.append(Layer(k, v, windows[i], state if arch in _BOTH else 0))
    return found


def _recurrent(data: dict[str, Any], arch: str, count: int) -> list[bool]:
    if arch in _RECURRENT:
        return [True] * count
    named = data.get(f"{arch}.attention.recurrent_layers")
    if isinstance(named, Array) and len(named) == count:
        return [bool(v) for v in named]
    every = data.get(f"{arch}.full_attention_interval", _INTERVAL.get(arch))
    if every:
        return [(i + 1) % int(every) != 0 for i in range(count)]
    if arch in _BOTH or _state_bytes(data, arch) == 0:
        return [False] * count
    kv = per_layer(data, f"{arch}.attention.head_count_kv", count)
    return [n == 0 for n in kv] if kv else [False] * count


def _windows(data: dict[str, Any], arch: str, count: int) -> list[int]:
    window = int(data.get(f"{arch}.attention.sliding_window", _WINDOW.get(arch, 0)))
    pattern = data.get(f"{arch}.attention.sliding_window_pattern", _PATTERN.get(arch))
    if not window or not pattern:
        return [0] * count  # other architectures name a window that llama.cpp doesn't use
    if isinstance(pattern, Array):
        slides = [bool(v) for v in pattern][:count]
        return [window * s for s in slides] + [0] * (count - len(slides))
    return [window if i % int(pattern) < int(pattern) - 1 else 0 for i in range(count)]


def _widths(data: dict[str, Any], arch: str, count: int, i: int, window: int) -> tuple[int, int]:
    """Return how many values the keys and the values of a token have in layer `i`."""
    width = int(data[f"{arch}.embedding_length"])
    heads = per_layer(data, f"{arch}.attention.head_count", count) or [1] * count
    kv_heads = (per_layer(data, f"{arch}.attention.head_count_kv", count) or heads)[i]
    plain = width // max(heads[i], 1)
    k = int(data.get(f"{arch}.attention.key_length", plain))
    v = int(data.get(f"{arch}.attention.value_length", plain))
    if window:
        k = int(data.get(f"{arch}.attention.key_length_swa", k))
        v = int(data.get(f"{arch}.attention.value_length_swa", v))
    if f"{arch}.attention.key_length_mla" in data:
        # latent attention: one compressed key stands for all heads and holds the values too
        return kv_heads * k, 0
    return kv_heads * k, kv_heads * v


def _state_bytes(data: dict[str, Any], arch: str) -> int:
    """Return the bytes of a recurrent layer's state: 32-bit convolution inputs and state."""

    def number(name: str, default: int = 0) -> int:
        value = data.get(f"{arch}.{name}", default)
        return value if isinstance(value, int) else default

    width = number("embedding_length")
    head = number("wkv.head_size")
    if head:
        return 4 * (number("token_shift_count", 2) * width + width * head)
    if number("shortconv.l_cache"):
        return 4 * width * (number("shortconv.l_cache") - 1)
    conv = max(number("ssm.conv_kernel") - 1, 0)
    if number("kda.head_dim"):
        inner = number("kda.head_dim") * number("attention.head_count")
        return 4 * (3 * conv * inner + number("kda.head_dim") * inner)
    inner, state = number("ssm.inner_size"), number("ssm.state_size")
    return 4 * (conv * (inner + 2 * number("ssm.group_count") * state) + state * inner)
