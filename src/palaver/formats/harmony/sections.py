"""The texts of Harmony's system and developer messages.

Wording and layout are what gpt-oss was trained on (openai-harmony 0.0.8, src/encoding.rs and
src/chat.rs; the chat template that comes with the model): they are data, not ours to improve.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from palaver.core.tool import ToolSpec
from palaver.formats.harmony.schema import typescript

IDENTITY = "You are ChatGPT, a large language model trained by OpenAI."
CUTOFF = "2024-06"
EFFORTS = ("low", "medium", "high")
FUNCTIONS = "functions"
_BROWSING = """\
Tool for browsing.
The `cursor` appears in brackets before each browsing display: `[{cursor}]`.
Cite information from the tool using the following format:
`【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.
Do not quote more than 10 words directly from the tool output.
sources=web (default: web)"""


class Namespace(Struct, frozen=True):
    """Tools under one name. One without tools is called itself, and `description` says how."""

    name: str
    description: str = ""
    tools: tuple[ToolSpec, ...] = ()

    def text(self) -> str:
        """Return its section of a message."""
        described = _lines(self.description)
        if not self.tools:
            return "\n".join([f"## {self.name}\n", *described])
        lines = [f"## {self.name}\n", *(f"// {line}" for line in described)]
        lines.append(f"namespace {self.name} {{\n")
        for tool in self.tools:
            lines += [f"// {line}" for line in _lines(tool.description)]
            takes = f"_: {typescript(tool.parameters)}" if tool.parameters.get("properties") else ""
            lines.append(f"type {tool.name} = ({takes}) => any;\n")
        return "\n".join([*lines, f"}} // namespace {self.name}"])


class System(Struct, frozen=True):
    """What a system message says; None leaves a line out."""

    identity: str | None = IDENTITY
    cutoff: str | None = CUTOFF
    date: str | None = None
    effort: str | None = "medium"
    channels: tuple[str, ...] = ("analysis", "commentary", "final")
    tools: tuple[Namespace, ...] = ()

    def text(self, *, functions: bool) -> str:
        """Return the message's text; `functions`: the developer message tells of functions."""
        head = [self.identity] if self.identity else []
        head += [f"Knowledge cutoff: {self.cutoff}"] if self.cutoff else []
        head += [f"Current date: {self.date}"] if self.date else []
        sections = ["\n".join(head)] if head else []
        sections += [f"Reasoning: {self.effort}"] if self.effort else []
        sections += [tools_text(self.tools)] if self.tools else []
        if self.channels:
            line = f"# Valid channels: {', '.join(self.channels)}."
            line += " Channel must be included for every message."
            if functions:
                line += "\nCalls to these tools must go to the commentary channel: 'functions'."
            sections.append(line)
        return "\n\n".join(sections)


def developer_text(instructions: str | None, namespaces: Sequence[Namespace]) -> str:
    """Return the text of a developer message."""
    sections = ["# Instructions", instructions] if instructions else []
    return "\n\n".join([*sections, tools_text(namespaces)] if namespaces else sections)


def tools_text(namespaces: Sequence[Namespace]) -> str:
    """Return the section on tools."""
    ordered = sorted(namespaces, key=lambda namespace: namespace.name)
    return "\n\n".join(["# Tools", *(namespace.text() for namespace in ordered)])


def built_in(name: str) -> bool:
    """Say whether a tool is one that the model knows under its own name: python, browser.*."""
    return name == "python" or name.startswith("browser.")


def namespaces(tools: Sequence[ToolSpec]) -> tuple[tuple[Namespace, ...], tuple[Namespace, ...]]:
    """Part tools into those of the system message and those of the developer message."""
    own = [Namespace("python", tool.description) for tool in tools if tool.name == "python"]
    browser = tuple(
        ToolSpec(tool.name.removeprefix("browser."), tool.description, tool.parameters)
        for tool in tools
        if tool.name.startswith("browser.")
    )
    if browser:
        own.append(Namespace("browser", _BROWSING, browser))
    functions = tuple(tool for tool in tools if not built_in(tool.name))
    return tuple(own), ((Namespace(FUNCTIONS, "", functions),) if functions else ())


def _lines(text: str) -> list[str]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]
