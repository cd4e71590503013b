"""A tool's result as the model gets it: cut in the middle where it is too long."""

from __future__ import annotations

LONGEST = 1 << 20  # characters of a result that are kept whole


def cut(text: str, most: int, handle: str, reader: str | None) -> str:
    """Return at most about `most` characters of `text`: its beginning, a note, its end.

    The note says how much is missing and, where there is a tool named `reader`, how to have it
    by the `handle`. Cut at line ends where there are some.
    """
    if len(text) <= most:
        return text
    head, tail = text[: most * 2 // 3], text[-(most - most * 2 // 3) :]
    if "\n" in head[len(head) // 2 :]:
        head = head[: head.rindex("\n") + 1]
    if "\n" in tail[: len(tail) // 2]:
        tail = tail[tail.index("\n") + 1 :]
    missing = text[len(head) : len(text) - len(tail)]
    first = text.count("\n", 0, len(head)) + 1
    lines = f"lines {first} to {first + missing.count(chr(10))} of {text.count(chr(10)) + 1}"
    note = f"[{len(missing)} characters ({lines}) are left out here"
    if reader:
        note += f'; {reader} with path "result:{handle}", start and end shows them'
    return f"{head.rstrip(chr(10))}\n{note}]\n{tail}"
