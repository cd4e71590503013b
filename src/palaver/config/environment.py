"""What the rest of the program needs of the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# An engine's process gets these and nothing else: no keys, no tokens.
_FOR_ENGINES = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONPATH",
    "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY",
)  # fmt: skip


# And these, which say how GPUs and machines work together.
_OF_GPUS = ("CUDA_", "GLOO_", "NCCL_", "RAY_", "VLLM_")
_SECRET = ("KEY", "TOKEN", "PASSWORD", "SECRET")

# Processes that share a model listen for each other: on loopback, where no other machine asks.
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
LOOPBACK = {"GLOO_SOCKET_IFNAME": _LOOPBACK, "NCCL_SOCKET_IFNAME": _LOOPBACK}


def engine_environment() -> dict[str, str]:
    """Return all that an engine's process gets of the environment."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _FOR_ENGINES
        or (name.startswith(_OF_GPUS) and not any(word in name for word in _SECRET))
    }


def for_rank(number: int) -> dict[str, str]:
    """Return what torch reads to know which of a machine's devices is a process's own."""
    return {"LOCAL_RANK": str(number)}


def torchrun() -> tuple[int, int] | None:
    """Return (this process's number, how many there are) where torchrun started it, else None.

    That many is then the default of the setting `tensor_parallel`.
    """
    number, count = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if "TORCHELASTIC_RUN_ID" in os.environ and number.isdecimal() and count.isdecimal():
        os.environ.setdefault("PALAVER_TENSOR_PARALLEL", count)
        return int(number), int(count)
    return None


def everything() -> dict[str, str]:
    """Return the whole environment, for who chooses from it: the sandbox of tools."""
    return dict(os.environ)


def color_wanted() -> bool:
    """Say whether colour may be used: not with NO_COLOR (no-color.org) or a dumb terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def dumb_terminal() -> bool:
    """Say whether the terminal understands no control sequences at all."""
    return os.environ.get("TERM", "dumb") in ("dumb", "")


_REFLOWING = ("alacritty", "foot", "tmux", "wezterm", "xterm-ghostty", "xterm-kitty")
_REFLOWING_PROGRAMS = ("Apple_Terminal", "WezTerm", "ghostty", "iTerm.app", "tmux", "vscode")
_OF_REFLOWING = ("KITTY_WINDOW_ID", "KONSOLE_VERSION", "TMUX", "VTE_VERSION", "WT_SESSION")


def reflows() -> bool:
    """Say whether the terminal is known to break rows anew when it becomes narrower.

    Where it is not known, no: rows that are redrawn may then stand twice, but none is erased.
    """
    return (
        os.environ.get("TERM", "").startswith(_REFLOWING)
        or os.environ.get("TERM_PROGRAM") in _REFLOWING_PROGRAMS
        or any(name in os.environ for name in _OF_REFLOWING)
    ) and "STY" not in os.environ  # GNU screen does not, wherever it runs


def variable(name: str) -> str | None:
    """Return a variable that the user named in the config; None where it is not set."""
    return os.environ.get(name)


def editor() -> str:
    """Return the user's editor."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"


def shell() -> str:
    """Return the user's shell."""
    return os.environ.get("SHELL") or "/bin/sh"


def encodings_base() -> Path | None:
    """Return the folder that TIKTOKEN_ENCODINGS_BASE names, as tiktoken reads it."""
    value = os.environ.get("TIKTOKEN_ENCODINGS_BASE")
    return Path(value) if value else None


def hub_cache() -> Path:
    """Return the folder where Hugging Face's own tools keep what they downloaded."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given)
    home = os.environ.get("HF_HOME")
    return Path(home or Path.home() / ".cache" / "huggingface") / "hub"


def terminal_name() -> str:
    """Return TERM, for reports."""
    return os.environ.get("TERM", "")
