"""Conversations, templates and an ordinary Jinja rendering, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from palaver.core.messages import (
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    system,
    user,
)
from palaver.core.tool import ToolSpec

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "templates"

WEATHER = ToolSpec(
    "get_weather",
    "Tell the weather of a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Its name"}},
        "required": ["city"],
    },
)

TALK = (
    system("Be kind."),
    user("Hello there."),
    assistant("Hello!"),
    user("  What is 1 < 2?\n"),
)

CALLS = (
    system("Be kind."),
    user("Weather in Paris?"),
    Message(
        "assistant",
        (
            Reasoning("I should look."),
            Text("One moment."),
            ToolCall("call_1", "get_weather", '{"city": "Paris"}'),
        ),
        "end",
    ),
    Message("tool", (ToolResult("call_1", "get_weather", "sunny, 21 °C"),)),
    assistant("It is sunny."),
    user("Thanks."),
)

# One template a trait; ours, so that the tests need nobody's licence
TEMPLATES = {
    "hermes": (
        "{%- if tools %}{{- '<|im_start|>system\\n' }}"
        "{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}"
        "{{- '<tools>' }}{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}"
        "{{- '\\n</tools><|im_end|>\\n' }}"
        "{%- elif messages[0].role == 'system' %}"
        "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}"
        "{%- for m in messages %}"
        "{%- if m.role == 'user' %}{{- '<|im_start|>user\\n' + m.content + '<|im_end|>\\n' }}"
        "{%- elif m.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}"
        "{%- if m.reasoning_content and loop.last %}"
        "{{- '<think>\\n' + m.reasoning_content.strip('\\n') + '\\n</think>\\n\\n' }}{%- endif %}"
        "{{- m.content.split('</think>')[-1].lstrip('\\n') }}"
        '{%- for c in m.tool_calls %}{{- \'\\n<tool_call>\\n{"name": "\' }}'
        '{{- c.function.name }}{{- \'", "arguments": \' }}{{- c.function.arguments | tojson }}'
        "{{- '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}"
        "{%- elif m.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' }}"
        "{{- m.content }}{{- '\\n</tool_response><|im_end|>\\n' }}{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
    ),
    "composed": (  # writes its tokens in parts, trims, knows no system and no tools
        "{{ bos_token }}{% for m in messages %}"
        "{% if m.role not in ['user', 'assistant'] %}{{ raise_exception('No, please') }}{% endif %}"
        "{{ '<|' + m.role + '|>\\n' + m.content | trim + '<|end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\\n<think>\\n' }}{% endif %}"
    ),
    "strict": (  # nine-letter ids, arguments as text, one call an answer
        "{%- for m in messages %}{%- if m.tool_calls %}{%- if m.tool_calls | length > 1 %}"
        "{{- raise_exception('one call at a time') }}{%- endif %}"
        "{%- set c = m.tool_calls[0] %}{%- if c.id | length != 9 %}"
        "{{- raise_exception('ids have nine letters') }}{%- endif %}"
        "{{- '[CALL]' + c.function.name + '[ARGS]' + c.function.arguments + '</s>' }}"
        "{%- elif m.role == 'tool' %}{{- '[RESULT]' + m.tool_call_id + ' ' + m.content }}"
        "{%- else %}{{- '[' + m.role | upper + ']' + m.content | upper }}{%- endif %}"
        "{%- endfor %}{%- if tools %}{{- tools | map(attribute='function') "
        "| map(attribute='name') | join(',') }}{%- endif %}"
    ),
    "dated": (
        "{% generation %}{% set x = 1 %}{% endgeneration %}{{ strftime_now('%d %b %Y') }}"
        "{% for m in messages %}{% if loop.index > 9 %}{% break %}{% endif %}"
        "|{{ m.content }}{% endfor %}{{ {'ü': '<&>'} | tojson }}"
    ),
}
CONTROL = {
    "hermes": frozenset({"<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"}),
    "composed": frozenset({"<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<s>"}),
    "strict": frozenset({"[CALL]", "[ARGS]", "[RESULT]", "[USER]", "[SYSTEM]", "</s>"}),
    "dated": frozenset({"<|x|>"}),
}


def said(*parts: Part) -> Message:
    """Make an assistant's message."""
    return Message("assistant", parts, "end")


def dicts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Write messages as transformers' users do: an independent copy of what we make."""
    out: list[dict[str, Any]] = []
    for m in messages:
        results = [p for p in m.parts if isinstance(p, ToolResult)]
        if results:
            out += [
                {"role": "tool", "name": r.name, "tool_call_id": r.call_id, "content": r.text}
                for r in results
            ]
            continue
        entry: dict[str, Any] = {"role": m.role, "content": m.text}
        if m.reasoning:
            entry["reasoning_content"] = m.reasoning
        if m.calls:
            entry["tool_calls"] = [
                {
                    "type": "function",
                    "id": c.id,
                    "function": {"name": c.name, "arguments": json.loads(c.arguments)},
                }
                for c in m.calls
            ]
        out.append(entry)
    return out


def ordinary(text: str, messages: list[dict[str, Any]], **more: Any) -> str:
    """Render with plain Jinja, set up as transformers does."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    env.filters["tojson"] = lambda v, **k: json.dumps(v, **{"ensure_ascii": False, **k})
    env.globals["raise_exception"] = refuse
    return env.from_string(text).render(messages=messages, **more)


def messages_of(rows: list[dict[str, Any]]) -> list[Message]:
    """Read messages in OpenAI's shape."""
    out: list[Message] = []
    for row in rows:
        if row["role"] == "tool":
            result = ToolResult(row["tool_call_id"], row["name"], row["content"])
            out.append(Message("tool", (result,)))
            continue
        parts: list[Part] = [Text(row["content"])] if row.get("content") else []
        for call in row.get("tool_calls", ()):
            arguments = call["function"]["arguments"]
            raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
            parts.append(ToolCall(call["id"], call["function"]["name"], raw))
        out.append(Message(row["role"], tuple(parts)))
    return out
