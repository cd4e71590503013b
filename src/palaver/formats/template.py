"""A model's own chat template as a format: log to prompt text, with the literal ranges."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from palaver.core import scan
from palaver.core.format import CallGrammar, Parser, Rendered
from palaver.core.messages import Message
from palaver.core.tool import ToolSpec
from palaver.formats import _probe, dialects
from palaver.formats._capabilities import Capabilities
from palaver.formats._dicts import Change, WriteCalls, message_dicts, tool_dict
from palaver.formats._program import Program
from palaver.formats._spans import spans
from palaver.formats._tokens import ControlTokens
from palaver.formats._track import Tracker
from palaver.formats.dialects import PARSERS
from palaver.formats.parsers.think import ThinkParser
from palaver.formats.tokens import pieces


def claimants(template: str) -> list[str]:
    """Return the dialects that claim a template: at most one, but for a template unknown to us."""
    found = []
    for name in scan.names(PARSERS):
        claims = scan.load(PARSERS, name, "CLAIMS")
        if claims(template):
            found.append(name)
    return found


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
        dialect: str | None = None,
        effort: str | None = None,
    ) -> None:
        """`bos`, `eos` and `control` are token texts; `date` is the conversation's first day.

        `dialect` names a parser of replies; without it the template says which. `effort` is for
        templates that write how long a model is to think (`reasoning_effort`). Nothing is
        compiled before it is needed. Raises UserError for a dialect that there is not.
        """
        dialects.check(dialect)
        self._dialect = dialect
        self.effort = effort
        self.name = "template"
        self.ends: frozenset[str] = frozenset()
        self.source = source
        self.header = ""
        self._text = text
        self._bos = bos
        self._eos = eos
        self._control = ControlTokens(control)
        self._program = Program(text, date)
        self._tracker = Tracker(text, self._control, date)

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the template can do by itself."""
        return _probe.find(lambda m, t: self._run(self._program, m, t, reply=False))

    @property
    def tools(self) -> bool:
        """Whether the model knows tools: else they are described to it in words."""
        return self.capabilities.tools

    def render(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), *, reply: bool
    ) -> Rendered:
        """Write messages as prompt text; `reply` ends it where an assistant's answer starts.

        Raises UserError where the template refuses the messages, or where it can't be told
        whether a control token in the prompt is the template's own or was typed by somebody.
        """

        def write(change: Change, program: Program | None = None, sign: Change = str) -> str:
            return self._write(messages, tools, change, reply=reply, program=program, sign=sign)

        return self._tracker.track(write(str), self._texts(messages, tools), write)

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

    def grammar(self, tools: Sequence[ToolSpec]) -> CallGrammar | None:
        """Return what calls have to look like, in dialects that can say it, behind one token."""
        write = getattr(scan.load(PARSERS, self.dialect, "PARSER"), "grammar", None)
        made: CallGrammar | None = write(tools) if write and tools else None
        return made if made and made.trigger in self._control.texts else None

    def parser(self, prompt: str, tools: Sequence[ToolSpec] = ()) -> Parser:
        """Make a parser for a reply to `prompt` (whose end may have opened a thinking block)."""
        name = self.dialect
        if name == "plain" and self._dialect is None and not tools:
            name = "think"
        kind: type[ThinkParser] = scan.load(PARSERS, name, "PARSER")
        made: Parser = kind(opened=kind.opened_by(prompt), tools=tools)
        return made

    @cached_property
    def dialect(self) -> str:
        """The name of the parser for this template's replies."""
        if self._dialect is not None:
            return self._dialect
        names = claimants(self._text) if self.capabilities.tools else []
        return names[0] if names else "plain"

    @cached_property
    def _writes(self) -> WriteCalls | None:
        """What writes calls as text where the template can't, in the dialect's own way."""
        if self.capabilities.calls:
            return None
        write: WriteCalls | None = getattr(
            scan.load(PARSERS, self.dialect, "PARSER"), "write", None
        )
        return write

    @property
    def replies(self) -> str:
        """Say which dialect replies are read in, and why."""
        if self._dialect is not None:
            why = "your choice"
        elif not self.capabilities.tools:
            why = "the template knows no tools"
        elif claimants(self._text):
            why = "as the template writes calls"
        else:
            why = "no dialect knows the template"
        return f"{self.dialect} ({why})"

    def _write(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        change: Change,
        *,
        reply: bool,
        program: Program | None = None,
        sign: Change = str,
    ) -> str:
        """Render with every text that is not the template's own changed by `change`.

        `sign` changes the template's own beginning and ending token.
        """
        can = self.capabilities
        shown = [tool_dict(tool, change) for tool in tools] if can.tools else []
        nothing: list[dict[str, Any]] | None = None if can.no_tools else []
        return self._run(
            program or self._program,
            message_dicts(messages, tools, can, change, self._writes),
            shown or nothing,
            reply=reply,
            sign=sign,
        )

    def _run(
        self,
        program: Program,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        *,
        reply: bool,
        sign: Change = str,
    ) -> str:
        context = {
            "messages": messages,
            "documents": None,
            "add_generation_prompt": reply,
            "bos_token": sign(self._bos),
            "eos_token": sign(self._eos),
        }
        if tools or tools is None:
            context["tools"] = tools
        if self.effort:
            context["reasoning_effort"] = self.effort
        return program.render(context)

    def _texts(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[str]:
        """Collect every text of a conversation that the template did not bring itself."""
        texts: list[str] = []

        def collect(text: str) -> str:
            texts.append(text)
            return text

        message_dicts(messages, tools, self.capabilities, collect, self._writes)
        for tool in tools:
            tool_dict(tool, collect)
        return texts
