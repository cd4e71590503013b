"""Cuts a rendered prompt into pieces for a tokenizer, so that literal ranges stay plain text."""

from __future__ import annotations

from collections.abc import Iterable

from palaver.core.format import Rendered
from palaver.formats._tokens import ControlTokens


def pieces(rendered: Rendered, control: ControlTokens | Iterable[str]) -> list[tuple[str, bool]]:
    """Return (text, special) pieces that joined are the prompt, to be encoded one by one.

    Without a literal range there is one piece, so the ids are those of the whole text. With
    one, the text between two real control tokens that holds it is a piece that is encoded
    without control tokens: its neighbours in the piece merge with it as in any plain text.
    Longer tokens are found first, as llama.cpp does (`tokenizer_st_partition`, llama-vocab.cpp).
    """
    text, literal = rendered.text, rendered.literal
    if not literal:
        return [(text, True)] if text else []
    known = control if isinstance(control, ControlTokens) else ControlTokens(control)
    out: list[tuple[str, bool]] = []
    special_from = 0  # where the piece that may hold control tokens begins
    plain_from = 0  # where the text behind the last real token begins
    for start, end in [*_real(rendered, known), (len(text), len(text))]:
        if any(a < start and b > plain_from for a, b in literal):
            if special_from < plain_from:
                out.append((text[special_from:plain_from], True))
            out.append((text[plain_from:start], False))
            special_from = start
        plain_from = end
    if special_from < len(text):
        out.append((text[special_from:], True))
    return out


def _real(rendered: Rendered, control: ControlTokens) -> list[tuple[int, int]]:
    """Return the ranges that become control tokens: no two overlap, none touches a literal."""
    taken = [False] * len(rendered.text)
    for start, end in rendered.literal:
        taken[start:end] = [True] * (end - start)
    real = []
    text = rendered.text
    longest = sorted(control.find(text), key=lambda r: (-len(text[r[0] : r[1]].encode()), r[0]))
    for start, end in longest:
        if not any(taken[start:end]):
            taken[start:end] = [True] * (end - start)
            real.append((start, end))
    return sorted(real)
