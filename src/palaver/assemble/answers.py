"""From settings to how answers are drawn, and what records of them are signed with."""

from __future__ import annotations

from pathlib import Path

from palaver.config.settings import Settings
from palaver.core.errors import UserError
from palaver.core.generation import Sampling


def sampling(settings: Settings) -> Sampling:
    """Turn settings into sampling; what is unset stays unset: the model completes it."""
    return Sampling(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        min_p=settings.min_p,
        repeat_penalty=settings.repeat_penalty,
        seed=settings.seed,
        stop=tuple(settings.stop),
    )


def signing(settings: Settings) -> tuple[str, str] | None:
    """Read the texts that records are signed with.

    Raises UserError where one of the two is missing, unreadable or empty.
    """
    if settings.kb is None and settings.kernel is None:
        return None
    if settings.kb is None or settings.kernel is None:
        missing = "--kb" if settings.kb is None else "--kernel"
        raise UserError(f"records are signed with a --kb and a --kernel: {missing} is missing")
    return _signing_text(settings.kb), _signing_text(settings.kernel)


def _signing_text(name: str) -> str:
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{name} can't be read: {error.strerror}") from None
    if not text.strip():
        raise UserError(f"{name} is empty: nothing could be signed with it")
    return text
