"""Takes a patch out of what models wrap it in: a JSON value, a here-document, a code fence."""

from __future__ import annotations

import json
import re
from typing import Any

from palaver.tools.patch.errors import PatchError

_HEREDOC = re.compile(r"(?:apply_?patch\s+)?<<-?\s*(['\"]?)([A-Za-z_]\w*)\1\s*")
_KEYS = ("patch", "input")
_LAYERS = 4  # JSON around a fence around a here-document, and one to spare


def unwrap(text: str) -> str:
    """Return the patch in `text` without white space around it.

    Raises PatchError where a wrapping was begun and is broken.
    """
    for _ in range(_LAYERS):
        text = text.strip("\ufeff \t\r\n")
        inner = _inner(text)
        if inner is None:
            break
        text = inner
    return text


def _inner(text: str) -> str | None:
    """Return what the outermost wrapping holds, None where there is none."""
    if text.startswith(("{", '"')):
        return _from_json(text)
    first, _, rest = text.partition("\n")
    body, _, last = rest.rpartition("\n")
    if first.startswith("```") and last.strip() == "```":
        return body
    heredoc = _HEREDOC.fullmatch(first)
    if not heredoc:
        return None
    if not last.strip().endswith(heredoc[2]):
        raise PatchError(
            f"the here-document that `{first.strip()}` begins has no end: {heredoc[2]}"
        )
    return body


def _from_json(text: str) -> str:
    try:
        value = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise PatchError(f"the JSON around the patch is broken: {error}") from error
    if isinstance(value, dict):
        strings = [v for v in value.values() if isinstance(v, str)]
        named = [value[key] for key in _KEYS if isinstance(value.get(key), str)]
        value = (named + strings[-1:] + [None])[0]
    if not isinstance(value, str):
        raise PatchError('the JSON holds no patch: write {"patch": "*** Begin Patch\\n..."}')
    return value


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values for one key could be shown as one patch and applied as the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
