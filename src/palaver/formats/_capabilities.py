"""What a template can do; `_probe` finds it."""

from __future__ import annotations

from msgspec import Struct


class Capabilities(Struct, frozen=True):
    """What a template takes as it is; the rest is folded into that.

    `calls`: an answer's tool calls; `parallel`: several of them in one answer; `results`: the
    tool role; `ids`: any call ids, else nine letters and digits (Mistral); `arguments_text`:
    arguments as JSON text, else as an object; `content_none`: None for the content of an answer
    that is calls alone, else an empty text; `text_beside`: text in an answer with calls, or
    `text_before`: in one of its own before it; `no_tools`: None for an empty list of tools, else
    no such variable.
    """

    system: bool
    tools: bool
    calls: bool
    parallel: bool
    results: bool
    ids: bool
    arguments_text: bool
    content_none: bool
    text_beside: bool
    text_before: bool
    no_tools: bool

    def words(self) -> list[str]:
        """Say what it takes, for people."""
        said = {
            "system messages": self.system,
            "tools": self.tools,
            "calls": self.calls and not self.parallel,
            "several calls an answer": self.parallel,
            "results": self.results,
        }
        return [name for name, can in said.items() if can]
