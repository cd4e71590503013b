"""Compiles and runs a chat template, as the Hugging Face library does it.

The settings are those of `transformers.utils.chat_template_utils`: trimmed blocks, loop
controls, `tojson` that escapes nothing, `raise_exception`, `strftime_now`, and the
`generation` tag, which changes nothing here.
"""

from __future__ import annotations

import datetime
import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from palaver.core.errors import UserError
from palaver.formats._meter import Meter, TooMuchError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.parser import Parser

    from palaver.formats._sandbox import Sandbox

LONGEST = 65_536  # characters of a template; the longest real one known has 17,000
_FIX = "Another template can be chosen with --template."

# What a template's own fault looks like when it runs
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,  # RecursionError among them
    TypeError,
    ValueError,
)


class BadTemplateError(UserError):
    """A template that can't be used, whatever the conversation."""


class Program:
    """A template that can be rendered; compiled when first used."""

    def __init__(self, text: str, date: datetime.date | None) -> None:
        """`date` is what the template takes for today."""
        self.text = text
        self._date = date or datetime.date(1970, 1, 1)

    def render(self, context: dict[str, Any]) -> str:
        """Render; raises UserError with the template's words where it refuses or fails.

        Not to be called from two threads at once: the meter is the environment's.
        """
        from jinja2 import TemplateError

        env, template = self._compiled
        env.meter = Meter(context)
        try:
            return template.render(context)
        except TemplateError as exc:
            raise UserError(f"the model's chat template refuses this: {exc}") from exc
        except TooMuchError as exc:
            what = f"the model's chat template was stopped: {exc}"
            raise BadTemplateError(what, fix=_FIX) from exc
        except _FAULTS as exc:
            what = f"{type(exc).__name__}: {exc}"
            raise UserError(f"the model's chat template fails: {what}", fix=_FIX) from exc

    @cached_property
    def _compiled(self) -> tuple[Sandbox, Template]:
        from jinja2 import TemplateSyntaxError

        if len(self.text) > LONGEST:
            raise BadTemplateError(
                f"the model's chat template has {len(self.text):,} characters; "
                f"at most {LONGEST:,} are read",
                fix=_FIX,
            )
        env = _environment(self._date)
        try:
            return env, env.from_string(self.text)
        except TemplateSyntaxError as exc:
            where = f"line {exc.lineno}: {exc.message}"
            raise BadTemplateError(
                f"the model's chat template is broken: {where}", fix=_FIX
            ) from exc
        except (*_FAULTS, SyntaxError) as exc:
            what = str(exc) or type(exc).__name__
            raise BadTemplateError(
                f"the model's chat template can't be read: {what}", fix=_FIX
            ) from exc


def _environment(date: datetime.date) -> Sandbox:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension

    from palaver.formats._sandbox import Sandbox

    class Generation(Extension):
        """`{% generation %}` marks what a model wrote, for training; a scope of its own."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: object) -> None:
        raise TemplateError(str(message))

    def strftime_now(pattern: str) -> str:
        return datetime.datetime.combine(date, datetime.time()).strftime(pattern[:256])

    env = Sandbox(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", Generation],
    )
    env.add_filter("tojson", _tojson)
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    env.meter = Meter({})  # constant expressions run when a template is compiled
    return env


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
