"""The template's text, written by hand for speed, with what the model is trained on marked.

`tests/demo/test_render.py` holds it equal to the template, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from palaver.core.messages import Message
from palaver.core.tool import ToolSpec
from palaver.demo.dialogues import text_of

TEMPLATE = Path(__file__).parent / "template.jinja"


def signature(tool: ToolSpec) -> str:
    """Write a tool as `name(argument, optional?)`."""
    required = tool.parameters.get("required") or []
    names = tool.parameters.get("properties") or {}
    return f"{tool.name}({', '.join(n if n in required else n + '?' for n in names)})"


def segments(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[tuple[str, bool]]:
    """Render a conversation as pieces of text; True marks what the model is to write."""
    out: list[tuple[str, bool]] = []
    lead = messages[0].text if messages and messages[0].role == "system" else ""
    if tools:
        block = "<tools>\n" + "".join(signature(t) + "\n" for t in tools) + "</tools>"
        lead = f"{lead}\n\n{block}" if lead else block
    text = f"<|im_start|>system\n{lead}<|im_end|>\n" if lead else ""
    previous = ""
    for at, message in enumerate(messages):
        if message.role == "user":
            text += f"<|im_start|>user\n{message.text}<|im_end|>\n"
        elif message.role == "tool":
            last = at + 1 == len(messages) or messages[at + 1].role != "tool"
            text += "" if previous == "tool" else "<|im_start|>user"
            text += f"\n<tool_response>\n{text_of(message)}\n</tool_response>"
            text += "<|im_end|>\n" if last else ""
        elif message.role == "assistant":
            out += [(text + "<|im_start|>assistant\n", False), (_reply(message), True)]
            text = "\n"
        previous = message.role
    return [*out, (text, False)]


def _reply(message: Message) -> str:
    calls = [
        f'<tool_call>\n{{"name": "{c.name}", "arguments": {c.arguments}}}\n</tool_call>'
        for c in message.calls
    ]
    return "\n".join(([message.text] if message.text else []) + calls) + "<|im_end|>"


def render(messages: Sequence[Message], tools: Sequence[ToolSpec], *, reply: bool) -> str:
    """Render a conversation; `reply` ends it where the model's answer starts."""
    text = "".join(piece for piece, _ in segments(messages, tools))
    return text + ("<|im_start|>assistant\n" if reply else "")
