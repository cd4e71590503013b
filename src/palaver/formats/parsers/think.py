"""A reply with a thinking block before the text: `<think>…</think>`.

The block counts at the beginning of a reply alone; elsewhere its tags are text. White space
before and after each tag belongs to the tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import Markers, StepParser, blank_end, claim, starts


class ThinkParser(StepParser):
    """Parts reasoning from text.

    A dialect may have other tags (`BEGINS`, `ENDS`), a word behind the first one (`LABEL`), and
    markers that end the reasoning without being part of it (`CUTS`).
    """

    BEGINS: ClassVar[tuple[str, ...]] = ("<think>",)
    ENDS: ClassVar[tuple[str, ...]] = ("</think>",)
    LABEL: ClassVar[str] = ""
    CUTS: ClassVar[tuple[str, ...]] = ()
    _shut: ClassVar[Markers]

    @classmethod
    def opened_by(cls, prompt: str) -> bool:
        """Say whether the end of a prompt has begun the thinking block."""
        begun = prompt.rstrip().removesuffix(cls.LABEL.rstrip()) if cls.LABEL else prompt.rstrip()
        return begun.endswith(cls.BEGINS)

    def __init_subclass__(cls) -> None:
        """Prepare the markers that the class names."""
        super().__init_subclass__()
        cls._prepare()

    @classmethod
    def _prepare(cls) -> None:
        ends = [gap + end for end in cls.ENDS for gap in ("", "\n", "\n\n")]
        cls._shut = Markers(*ends, *cls.CUTS)

    def __init__(self, *, opened: bool = False, tools: Sequence[ToolSpec] = ()) -> None:
        """`opened`: the prompt has begun the block already; `tools`: what the model was told."""
        super().__init__()
        self._tools = {tool.name: tool for tool in tools}
        self._blank: list[str] = []
        self._again = True  # a model may repeat the tag that it or its prompt wrote
        self._step = self._opened if opened else self._start

    def _start(self) -> None:
        """Before anything but white space: is there a thinking block at all?"""
        at = blank_end(self._text, self._at)
        self._blank.append(self._text[self._at : at])
        self._at = at
        if at == len(self._text):
            return
        here = self._begins()
        if here:
            self._step = self._opened
        elif here is False:
            self._text, self._at = "".join(self._blank) + self._text[at:], 0
            self._step = self._body
        if here is not None:
            self._blank.clear()

    def _begins(self) -> bool | None:
        """Go behind a tag that begins the block; None where it may be one."""
        maybe: bool | None = False
        for tag in self.BEGINS:
            here = starts(self._text, self._at, tag)
            if here:
                self._at += len(tag)
                return True
            maybe = None if here is None else maybe
        return maybe

    def _opened(self) -> None:
        """Behind `<think>`: white space, and perhaps the tag once more."""
        self._at = blank_end(self._text, self._at)
        here = self._begins() if self._again else False
        if here:
            self._again = False
        elif here is False and self._at < len(self._text):
            label = starts(self._text, self._at, self.LABEL) if self.LABEL else False
            self._at += len(self.LABEL) if label else 0
            if label is not None:
                self._step = self._reasoning

    def _reasoning(self) -> None:
        end, behind = self._shut.cut(self._text, self._at)
        self._think(self._text[self._at : end])
        self._at = behind
        if behind > end:
            if self._text[end:behind] in self.CUTS:
                self._at = end
            self._step = self._gap

    def _gap(self) -> None:
        """White space before the text."""
        self._at = blank_end(self._text, self._at)
        if self._at < len(self._text):
            self._step = self._body

    def _body(self) -> None:
        self._say(self._text[self._at :])
        self._at = len(self._text)

    def _end(self, rest: str) -> None:
        if self._step in (self._reasoning, self._opened):
            self._think(rest)
        else:
            self._say("".join(self._blank) + rest)
            self._blank.clear()


ThinkParser._prepare()

PARSER = ThinkParser
CLAIMS = claim("\0")  # taken where no other dialect claims a template
