"""The readings of a patch's text: one, or two where an indented marker could be a kept line."""

from __future__ import annotations

import contextlib

from palaver.tools.patch.errors import PatchError
from palaver.tools.patch.grammar import Section, Update, has_padded_markers, parse
from palaver.tools.patch.wrapping import unwrap


def readings(text: str) -> list[list[Section]]:
    """Return the sections of a patch, in the order in which its readings are to be tried.

    `text` may be wrapped. Raises PatchError where there is no reading.
    """
    text = unwrap(text)
    if not has_padded_markers(text):
        return [parse(text)]
    with contextlib.suppress(PatchError):
        plain = parse(text)
        with contextlib.suppress(PatchError):
            return [plain, parse(text, padded=True)]
        return [plain]
    return [parse(text, padded=True)]


def named(text: str) -> tuple[str, ...]:
    """Return every path that a patch names, as it stands there, by whichever reading.

    Raises PatchError for a text that is no patch: it will not be applied.
    """
    paths: dict[str, None] = {}
    for sections in readings(text):
        for section in sections:
            paths[section.path] = None
            if isinstance(section, Update) and section.move_to is not None:
                paths[section.move_to] = None
    return tuple(paths)
