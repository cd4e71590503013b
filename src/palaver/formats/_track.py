"""Tells the control tokens that a template wrote from those that somebody typed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from palaver.core.errors import UserError
from palaver.core.format import Rendered
from palaver.formats import _marks
from palaver.formats._dicts import Change
from palaver.formats._program import Program
from palaver.formats._tokens import ControlTokens

Ranges = list[tuple[int, int]]

# Words of JSON Schema that templates compare with; they can be no part of a token by chance
_SCHEMA = frozenset(
    re.findall(
        r"\S+",
        """type properties required description enum items anyOf oneOf allOf default title format
        string integer number boolean object array null additionalProperties nullable $ref $defs
        const minimum maximum""",
    )
)


class Write(Protocol):
    """Renders a conversation again."""

    def __call__(self, change: Change, program: Program | None = None, sign: Change = str) -> str:
        """Render with `change` on every text that is not the template's own.

        `program` is the template in another wording; `sign` changes its BOS and EOS.
        """


class UntrackedError(UserError):
    """A control token in a prompt that may be somebody's own."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "a message, tool or file holds the text of a control token of this model, or a part "
            f"of it, and it can't be told apart from the template's own: {why}",
            fix="Write the text in another way, for example with a space inside the token.",
        )


class Tracker:
    """Follows texts through one template."""

    def __init__(self, template: str, control: ControlTokens, date: datetime.date | None) -> None:
        self._template = template
        self._control = control
        self._date = date
        self._signed: tuple[str, Program] | None = None

    @cached_property
    def _composes(self) -> bool:
        """Say whether the template writes tokens in parts, as in `'<|' + role + '|>'`."""
        text = self._template
        ends = (text[max(0, i - 64) : i].rstrip() for i, c in enumerate(text) if c in "'\"{")
        return any(self._control.begins(end) for end in ends if end)

    def track(self, plain: str, texts: Sequence[str], write: Write) -> Rendered:
        """Return the prompt with what is literal in it; `plain` is its ordinary rendering.

        `texts` are those that the template did not bring itself. Raises UntrackedError where it
        can't be told whether a control token is the template's.
        """
        if not self._composes and not any(self._control.edges.intersection(t) for t in texts):
            return Rendered(plain)
        mark, own = _marks.pick([*texts, self._template, *self._control.texts], 2)
        extra = ""
        for edges in (False, True):  # a mark may change what a template does: few come first

            def guard(text: str, edges: bool = edges) -> str:
                return _marks.marked(text, self._control, mark, edges=edges)

            got = plain
            if any(guard(text) != text for text in texts):
                got = _marks.unescaped(write(guard), mark, plain)
            text, places = _marks.spots(got, mark)
            if text != plain and _marks.escaped(got, mark):
                raise UntrackedError("the template escapes it")
            literal, other = _marks.split_by(text, self._control, places)
            extra = self._extra(text, other, write, guard, mark, own) if other else ""
            if not extra:
                return Rendered(text, _marks.merge(literal))
        raise UntrackedError(extra)

    def _extra(
        self, text: str, other: Ranges, write: Write, guard: Change, mark: str, own: str
    ) -> str:
        """Say which of `other` may not be the template's own, and why; nothing if all are."""
        if self._proved(text, other, write, guard, mark, own):
            return ""

        def apart(word: str) -> str:
            return word if word in _SCHEMA else _marks.parted(word, mark)

        try:
            got, places = _marks.spots(write(apart), mark)
        except UserError:
            return "the template reads it"
        known = [got[a:b] for a, b in _marks.split_by(got, self._control, places)[1]]
        found = [text[a:b] for a, b in other]
        if known == found:
            return ""
        same = (i for i, (a, b) in enumerate(zip(known, found, strict=False)) if a != b)
        start, end = other[min(next(same, len(known)), len(other) - 1)]
        return f"see {text[max(0, start - 20) : end + 20]!r} in the prompt"

    def _proved(
        self, text: str, other: Ranges, write: Write, guard: Change, mark: str, own: str
    ) -> bool:
        """Render with the template's own tokens marked: are all of `other` among them?"""
        if self._signed is None or self._signed[0] != own:
            # A token that is a word may be a word of the template's code as well
            odd = ControlTokens(t for t in self._control.texts if not t.replace("_", "").isalnum())
            self._signed = own, Program(_marks.marked(self._template, odd, own), self._date)

        def sign(token: str) -> str:
            return _marks.marked(token, self._control, own)

        try:
            got = _marks.unescaped(write(guard, self._signed[1], sign), mark, text)
        except UserError:
            return False  # a mark has changed what the template does: no proof either way
        again, places = _marks.spots(_marks.spots(got, mark)[0], own)
        return again == text and all(a + 1 in places and b - 1 in places for a, b in other)
