"""The parsers as one function, for tests that bring their own cases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from palaver.core import scan
from palaver.core.events import CallParsed, ReasoningDelta, TextDelta
from palaver.core.tool import ToolSpec
from palaver.formats.parsers._base import whole

PARSERS = "palaver.formats.parsers"

# What others call our dialects, in small letters and digits
ALIASES = {
    "apertus2509": "apertus",
    "apriel15": "apriel",
    "barejson": "llama3_json",
    "bielik": "hermes",
    "cogito": "deepseek_v3",
    "cohere2moe": "command_r7b",
    "coherecommand3": "command_r7b",
    "coherecommand4": "command_r7b",
    "commanda": "command_r7b",
    "contentonly": "plain",
    "deepseekr1": "deepseek_v3",
    "deepseekr1distill": "deepseek_v3",
    "deepseekv4": "deepseek_v32",
    "deepseekv41": "deepseek_v32",
    "ernie45thinking": "ernie45",
    "exaone": "hermes",
    "firefunctionv2": "firefunction",
    "functionaryv31llama31": "functionary_v31",
    "generic": "plain",
    "gigachat31": "gigachat3",
    "glm45": "glm",
    "glm46": "glm",
    "glm47": "glm",
    "glm4moe": "glm",
    "gptoss": "harmony",
    "granite": "granite3",
    "granite20bfc": "granite_20b",
    "granite33": "granite3",
    "granite4": "hermes",
    "granite41": "hermes",
    "granitereasoning": "granite3",
    "hunyuan": "jamba",
    "hunyuana13b": "jamba",
    "internlm2": "internlm",
    "internlm3": "internlm",
    "kimik2thinking": "kimi_k2",
    "kimithinking": "kimi_k2",
    "laguna": "glm",
    "lfm25": "lfm2",
    "ling3": "glm",
    "llama3": "llama3_json",
    "llama31": "llama3_json",
    "llama4": "pythonic",
    "llama4pythonic": "pythonic",
    "magistral": "mistral",
    "mimo": "hermes",
    "minicpm5xml": "minicpm5",
    "minimax": "jamba",
    "minimaxm1": "jamba",
    "minimaxm25": "minimax_m2",
    "ministral": "mistral",
    "ministral3": "mistral",
    "mistralnemo": "mistral",
    "muse": "muse_glimmer",
    "nemotron": "nemotron_v2",
    "nemotronnanov2": "nemotron_v2",
    "nemotronv3": "qwen3_coder",
    "olmo3think": "olmo3",
    "phi4mini": "phi4",
    "phi4minijson": "phi4",
    "poolsidev1": "glm",
    "qwen": "hermes",
    "qwen25": "hermes",
    "qwen3": "hermes",
    "qwen35": "qwen3_coder",
    "qwen3coderxml": "qwen3_coder",
    "qwen3reasoning": "hermes",
    "qwen3thinking": "hermes",
    "r1": "deepseek_v3",
    "reka": "hermes",
    "seed": "seed_oss",
    "smollm3": "hermes",
    "solaropen": "solar",
    "spark25": "glm",
    "step35": "qwen3_coder",
    "step3p5": "qwen3_coder",
    "thinktags": "think",
}


def dialect(name: str) -> str:
    """Return our name of a dialect that others may call otherwise; KeyError for an unknown one."""
    bare = re.sub("[^a-z0-9]", "", name.lower())
    ours = {re.sub("[^a-z0-9]", "", one): one for one in scan.names(PARSERS)}
    return ours.get(bare) or ALIASES[bare]


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
    made = scan.load(PARSERS, dialect(format), "PARSER")
    events = whole(made(opened=prompt_state == "reasoning", tools=specs), chunks)
    calls = [event.call for event in events if isinstance(event, CallParsed)]
    return {
        "content": "".join(e.text for e in events if isinstance(e, TextDelta)),
        "reasoning": "".join(e.text for e in events if isinstance(e, ReasoningDelta)),
        "tool_calls": [{"name": c.name, "arguments": c.arguments} for c in calls if c.name],
    }
