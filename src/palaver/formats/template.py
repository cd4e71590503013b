"""A model's own chat template as a format: log to prompt text, with the literal ranges."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from palaver.core import scan
from palaver.core.errors import UserError
from palaver.core.format import Parser, Rendered
from palaver.core.messages import Message
from palaver.core.tool import ToolSpec
from palaver.formats import _capabilities, _marks
from palaver.formats._dicts import Change, message_dicts, tool_dict
from palaver.formats._program import Program
from palaver.formats._spans import spans
from palaver.formats._tokens import ControlTokens
from palaver.formats.tokens import pieces

PARSERS = "palaver.formats.parsers"

# Words of JSON Schema that templates compare with; they can be no part of a token by chance
_SCHEMA = frozenset(
    re.findall(
        r"\S+",
        """type properties required description enum items anyOf oneOf allOf default title format
        string integer number boolean object array null additionalProperties nullable $ref $defs
        const minimum maximum""",
    )
)


class TemplateFormat:
    """Renders with a Jinja template; parses by what the template writes."""

    def __init__(
        self,
        text: str,
        bos: str = "",
        eos: str = "",
        control: Iterable[str] = (),
        source: str = "the model's own",
        date: datetime.date | None = None,
    ) -> None:
        """`bos`, `eos` and `control` are token texts; `date` is the conversation's first day.

        Nothing is compiled before it is needed.
        """
        self.name = "template"
        self.source = source
        self._text = text
        self._bos = bos
        self._eos = eos
        self._date = date
        self._control = ControlTokens(control)
        self._program = Program(text, date)
        self._proof: tuple[str, Program] | None = None

    @cached_property
    def capabilities(self) -> _capabilities.Capabilities:
        """What the template can do by itself."""
        return _capabilities.find(lambda m, t: self._run(self._program, m, t, reply=False))

    def render(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, reply: bool
    ) -> Rendered:
        """Write messages as prompt text; `reply` ends it where an assistant's answer starts.

        Raises UserError where the template refuses the messages, or where it can't be told
        whether a control token in the prompt is the template's own or was typed by somebody.
        """
        plain = self._write(messages, tools, str, reply=reply)
        texts = self._texts(messages, tools)
        if not self._composes and not any(self._control.edges.intersection(t) for t in texts):
            return Rendered(plain)
        return self._tracked(plain, messages, tools, texts, reply=reply)

    def spans(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> list[tuple[int, int]]:
        """Return the range of the rendered text (reply=False) that each message takes."""

        def write(some: Sequence[Message]) -> str:
            return self._write(some, tools, str, reply=False)

        return spans(messages, write, self._control)

    def pieces(self, rendered: Rendered) -> list[tuple[str, bool]]:
        """Cut a prompt into (text, special) for `Tokenizer.encode`; literal ranges stay text."""
        return pieces(rendered, self._control)

    def parser(self, prompt: str) -> Parser:
        """Make a parser for a reply to `prompt` (whose end may have opened a thinking block)."""
        opened = prompt.rstrip().endswith("<think>")
        if "<tool_call>" in self._text or not self.capabilities.tools:
            name = "hermes"
        else:
            name = "think" if opened or "<think>" in self._text else "plain"
        made: Parser = scan.load(PARSERS, name, "PARSER")(opened=opened)
        return made

    def _write(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        change: Change,
        *,
        reply: bool,
        program: Program | None = None,
        mark: Change = str,
    ) -> str:
        """Render with every text that is not the template's own changed by `change`.

        `mark` changes the template's own beginning and ending token.
        """
        can = self.capabilities
        shown = [tool_dict(tool, change) for tool in tools] if can.tools else []
        nothing: list[dict[str, Any]] | None = None if can.no_tools else []
        return self._run(
            program or self._program,
            message_dicts(messages, tools, can, change),
            shown or nothing,
            reply=reply,
            mark=mark,
        )

    def _run(
        self,
        program: Program,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        *,
        reply: bool,
        mark: Change = str,
    ) -> str:
        context = {
            "messages": messages,
            "documents": None,
            "add_generation_prompt": reply,
            "bos_token": mark(self._bos),
            "eos_token": mark(self._eos),
        }
        if tools or tools is None:
            context["tools"] = tools
        return program.render(context)

    def _texts(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[str]:
        """Collect every text of a conversation that the template did not bring itself."""
        texts: list[str] = []

        def collect(text: str) -> str:
            texts.append(text)
            return text

        message_dicts(messages, tools, self.capabilities, collect)
        for tool in tools:
            tool_dict(tool, collect)
        return texts

    @cached_property
    def _composes(self) -> bool:
        """Say whether the template writes tokens in parts, as in `'<|' + role + '|>'`."""
        text = self._text
        ends = (text[:i].rstrip() for i, c in enumerate(text) if c in "'\"{" and i)
        return any(self._control.begins(end[-64:]) for end in ends if end)

    def _tracked(
        self,
        plain: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        texts: list[str],
        *,
        reply: bool,
    ) -> Rendered:
        """Tell what is literal, and prove that every other control token is the template's."""
        mark, own = _marks.pick([*texts, self._text, *self._control.texts], 2)

        def guard(text: str) -> str:
            return _marks.marked(text, self._control, mark)

        got = plain
        if any(guard(text) != text for text in texts):
            got = self._write(messages, tools, guard, reply=reply)
        text, places = _marks.spots(got, mark)
        if text != plain and _marks.escaped(got, mark):
            raise _untracked("the template escapes it")
        literal, other = _marks.split_by(text, self._control, places)
        if other and not self._proved(text, other, messages, tools, guard, mark, own, reply):
            self._compare(text, other, messages, tools, mark, reply)
        return Rendered(text, _marks.merge(literal))

    def _proved(
        self,
        text: str,
        other: list[tuple[int, int]],
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        guard: Change,
        mark: str,
        own: str,
        reply: bool,
    ) -> bool:
        """Render with the template's own tokens marked: are all of `other` among them?"""
        if self._proof is None or self._proof[0] != own:
            odd = ControlTokens(t for t in self._control.texts if not t.replace("_", "").isalnum())
            self._proof = own, Program(_marks.marked(self._text, odd, own), self._date)

        def sign(token: str) -> str:
            return _marks.marked(token, self._control, own)

        try:
            got = self._write(
                messages, tools, guard, reply=reply, program=self._proof[1], mark=sign
            )
        except UserError:
            return False  # a mark has changed what the template does: no proof either way
        again, places = _marks.spots(_marks.spots(got, mark)[0], own)
        return again == text and all(a + 1 in places and b - 1 in places for a, b in other)

    def _compare(
        self,
        text: str,
        other: list[tuple[int, int]],
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        mark: str,
        reply: bool,
    ) -> None:
        """Render with all texts taken apart: are the tokens of the template the same?

        Raises UserError where they are not.
        """

        def apart(word: str) -> str:
            return word if word in _SCHEMA else _marks.parted(word, mark)

        try:
            got, places = _marks.spots(self._write(messages, tools, apart, reply=reply), mark)
        except UserError:
            raise _untracked("the template reads it") from None
        own = [got[a:b] for a, b in _marks.split_by(got, self._control, places)[1]]
        found = [text[a:b] for a, b in other]
        if own != found:
            extra = next((t for t in found if found.count(t) > own.count(t)), found[0])
            raise _untracked(f"the template would make {extra!r} of it")


def _untracked(why: str) -> UserError:
    return UserError(
        "a message, tool or file holds the text of a control token of this model, and it can't "
        f"be told apart from the template's own: {why}",
        fix="Write the text in another way, for example with a space inside the token.",
    )
