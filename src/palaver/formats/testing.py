"""The parsers as one function, for tests that bring their own cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from palaver.core import scan
from palaver.core.events import CallParsed, ReasoningDelta, TextDelta
from palaver.core.tool import ToolSpec
from palaver.formats import dialects
from palaver.formats.parsers._base import whole


def parse_stream(
    format: str,  # noqa: A002
    chunks: Iterable[str],
    tools: Sequence[dict[str, Any]] | None,
    prompt_state: str = "content",
) -> dict[str, Any]:
    """Return content, reasoning and tool calls of a reply that comes in `chunks`.

    `tools` are in OpenAI's shape; `prompt_state` is "reasoning" where the prompt has begun the
    thinking block. A call whose name is not known is left out, the arguments of a broken one
    are as they came.
    """
    specs = []
    for tool in tools or ():
        body = tool.get("function", tool)
        schema = body.get("parameters") or {}
        specs.append(ToolSpec(body["name"], body.get("description") or "", schema))
    made = scan.load(dialects.PARSERS, dialects.find(format), "PARSER")
    events = whole(made(opened=prompt_state == "reasoning", tools=specs), chunks)
    calls = [event.call for event in events if isinstance(event, CallParsed)]
    return {
        "content": "".join(e.text for e in events if isinstance(e, TextDelta)),
        "reasoning": "".join(e.text for e in events if isinstance(e, ReasoningDelta)),
        "tool_calls": [{"name": c.name, "arguments": c.arguments} for c in calls if c.name],
    }
