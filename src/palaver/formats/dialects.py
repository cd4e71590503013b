"""The dialects' names: ours, and those that others have for them."""

from __future__ import annotations

import difflib
import re

from palaver.core import scan
from palaver.core.errors import UserError

PARSERS = "palaver.formats.parsers"

# What others call our dialects, in small letters and digits
ALIASES = {
    "apertus2509": "apertus",
    "apriel15": "apriel",
    "apriel16": "apriel",
    "barejson": "llama3_json",
    "bielik": "hermes",
    "cogito": "deepseek_v3",
    "cohere2moe": "command_r7b",
    "coherecommand3": "command_r7b",
    "coherecommand4": "command_r7b",
    "commanda": "command_r7b",
    "commandrplus": "command_r",
    "contentonly": "plain",
    "deepseekr1": "deepseek_v3",
    "deepseekr1distill": "deepseek_v3",
    "deepseekv4": "deepseek_v32",
    "deepseekv41": "deepseek_v32",
    "devstral": "mistral",
    "ernie45thinking": "ernie45",
    "exaone": "hermes",
    "exaone4": "hermes",
    "exaonemoe": "hermes",
    "firefunctionv2": "firefunction",
    "functionaryv31llama31": "functionary_v31",
    "generic": "plain",
    "gigachat31": "gigachat3",
    "glm45": "glm",
    "glm46": "glm",
    "glm47": "glm",
    "glm47moe": "glm",
    "glm4moe": "glm",
    "gptoss": "harmony",
    "granite": "granite3",
    "granite20bfc": "granite_20b",
    "granite33": "granite3",
    "granite4": "hermes",
    "granite41": "hermes",
    "granitereasoning": "granite3",
    "hermes2pro": "hermes",
    "hermes2prothinking": "hermes",
    "hunyuan": "jamba",
    "hunyuan3": "hy_v3",
    "hunyuana13b": "jamba",
    "hunyuanv3": "hy_v3",
    "hy3": "hy_v3",
    "internlm2": "internlm",
    "internlm3": "internlm",
    "interns1": "internlm",
    "kimik25": "kimi_k2",
    "kimik2thinking": "kimi_k2",
    "kimithinking": "kimi_k2",
    "laguna": "glm",
    "lfm25": "lfm2",
    "lfm2withjsontools": "lfm2",
    "ling3": "glm",
    "llama3": "llama3_json",
    "llama31": "llama3_json",
    "llama32": "llama3_json",
    "llama3x": "llama3_json",
    "llama4": "pythonic",
    "llama4json": "llama3_json",
    "llama4pythonic": "pythonic",
    "longcatflash": "longcat",
    "magistral": "mistral",
    "mimo": "hermes",
    "minicpm5xml": "minicpm5",
    "minimax": "jamba",
    "minimaxm1": "jamba",
    "minimaxm25": "minimax_m2",
    "ministral": "mistral",
    "ministral3": "mistral",
    "mistralnemo": "mistral",
    "mistralsmall4": "mistral",
    "muse": "muse_glimmer",
    "nanbeige": "qwen3_coder",
    "nemotron": "nemotron_v2",
    "nemotron3": "qwen3_coder",
    "nemotronnanov2": "nemotron_v2",
    "nemotronnanov3": "qwen3_coder",
    "nemotronv3": "qwen3_coder",
    "olmo3think": "olmo3",
    "openai": "harmony",
    "phi4mini": "phi4",
    "phi4minijson": "phi4",
    "poolsidev1": "glm",
    "qwen": "hermes",
    "qwen2": "hermes",
    "qwen25": "hermes",
    "qwen25coder": "hermes",
    "qwen3": "hermes",
    "qwen35": "qwen3_coder",
    "qwen3coderxml": "qwen3_coder",
    "qwen3json": "hermes",
    "qwen3next": "hermes",
    "qwen3reasoning": "hermes",
    "qwen3thinking": "hermes",
    "qwen3vl": "hermes",
    "qwen3vlthinking": "hermes",
    "qwen3xml": "qwen3_coder",
    "r1": "deepseek_v3",
    "reka": "hermes",
    "seed": "seed_oss",
    "smollm3": "hermes",
    "solaropen": "solar",
    "spark25": "glm",
    "step35": "qwen3_coder",
    "step3p5": "qwen3_coder",
    "thinktags": "think",
    "trinity": "hermes",
    "xiaomimimo": "hermes",
}


def find(name: str) -> str:
    """Return our name of a dialect that others may call otherwise; KeyError for an unknown one."""
    bare = re.sub("[^a-z0-9]", "", name.lower())
    ours = {re.sub("[^a-z0-9]", "", one): one for one in scan.names(PARSERS)}
    return ours.get(bare) or ALIASES[bare]


def check(name: str | None) -> None:
    """Raise UserError, with ours for another's name or the nearest, where we have none `name`."""
    known = scan.names(PARSERS)
    if name is None or name in known:
        return
    try:
        near = [find(name)]
    except KeyError:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), known, 3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UserError(f"there is no dialect {name!r}", fix=hint or f"take one of {', '.join(known)}")
