"""Words that replies in each dialect are made of, for generated streams."""

from __future__ import annotations

import random
from typing import Any

from palaver.core.tool import ToolSpec

COMMON = [
    *("\n", " ", "<", ">", "/", "a", "é", "🙂", "{", "}", "[", "]", "(", ")", '"', "'", "\\"),
    *(":", ",", "=", "1", "-2.5", "null", "True", "name", "</", "<|", "|>", "`", "```"),
]
_OBJECT = ['{"name": "f", "arguments": {', '"a": "é"', '{"a": "b"}', '"name": "f"', '{"a": 1}']
_LISTED = [*_OBJECT, '{"name": "f", "parameters": {"a": 1}}', "[{", "}]", ", ", "; "]
_FUNCTION = ["<function=f>", "<parameter=a>", "</parameter>", "</function>", "\nb\n"]
_PAIRS = ["f", "\\n", "<arg_key>", "a", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>"]
_INVOKE = ['"f">', '<invoke name="f">', '<parameter name="a">', "</parameter>", "</invoke>"]
_PYTHON = ["f(", "[f(a=", "a=", "'b'", '"é"', "b='\\n", "\\x41", "\\u00e9", "True", "(1, 2)", ")]"]
_GEMMA = ["call:f{", "a:", '<|"|>', "<escape>", "}", "b c", "{a:1}", "true"]

PIECES = {
    "apertus": [*_OBJECT, '[{"f": {"a": 1}}', "}]"],
    "command_r7b": ['{"tool_call_id": "0", "tool_name": "f", "parameters": {', *_LISTED],
    "command_r": ["```json\n[", '{"tool_name": "f", "parameters": {', *_LISTED],
    "deepseek_v3": ["function<｜tool▁sep｜>", "f\n", "```json\n", "\n```", *_OBJECT],
    "deepseek_v31": ["f", "<｜tool▁sep｜>", *_OBJECT],
    "deepseek_v32": [
        p.replace("<", "<｜DSML｜").replace("<｜DSML｜/", "</｜DSML｜") for p in _INVOKE
    ]
    + ['<｜DSML｜parameter name="a" string="true">', '<｜DSML｜parameter name="b" string="false">'],
    "functionary_v31": ["f>", "</function>", *_OBJECT],
    "functiongemma": _GEMMA,
    "gemma4": _GEMMA,
    "glm": _PAIRS,
    "harmony": [
        "<|start|>assistant",
        "<|channel|>final",
        "<|message|>",
        " to=functions.f",
        *_OBJECT,
    ],
    "hermes": _OBJECT,
    "hy_v3": [*_PAIRS, "<tool_sep>"],
    "kimi_k2": ["functions.f:0", "<|tool_call_argument_begin|>", *_OBJECT],
    "kimi_k3": [
        *(
            '"f"<|sep|>',
            '<|open|>argument key="a" type="string"<|sep|>',
            "<|close|>argument<|sep|>",
        ),
        *('<|open|>argument key="b" type="number"<|sep|>', "<|close|>call<|sep|>"),
    ],
    "functionary_v32": ["f\n", "all\n", "python\n", *_OBJECT],
    "lfm2": [*_PYTHON, *_OBJECT],
    "longcat": [p.replace("<", "<longcat_").replace("<longcat_/", "</longcat_") for p in _PAIRS]
    + _OBJECT,
    "minicpm5": ['"f">', '<param name="a">', "</param>", "</function>", "<![CDATA[", "]]>"],
    "minimax_m2": _INVOKE,
    "minimax_m3": [
        *('"f">', "]<]minimax[>[<a>", "]<]minimax[>[</a>", "]<]minimax[>[<b>", "]<]minimax[>[</b>"),
        *("]<]minimax[>[<item>", "]<]minimax[>[</item>", "]<]minimax[>[</invoke>", "]<]minimax[>["),
    ],
    "mistral": ["f", "[ARGS]", "[CALL_ID]", "x1", *_LISTED],
    "muse_glimmer": [p.replace("<", "<atem:").replace("<atem:/", "</atem:") for p in _INVOKE]
    + ["<|message|>", " to=self", " to=user", " to=f", "assistant"],
    "olmo3": _PYTHON,
    "plain": ["```json\n", "\n```", *_LISTED],
    "pythonic": _PYTHON,
    "qwen3_coder": _FUNCTION,
    "seed_oss": _FUNCTION,
    "step3": [p.replace("<", "<steptml:").replace("<steptml:/", "</steptml:") for p in _INVOKE],
    "xlam": ["```json\n", "\n```", *_LISTED],
    "solar": ["id1", "<|tool_call:name|>", "f", "<|tool_call:args|>", *_OBJECT],
}
TOOLS = [
    ToolSpec(
        "f",
        "",
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
    )
]


def words(name: str, kind: Any) -> list[str]:
    """Return the words of a dialect, its markers among them."""
    marks = [
        mark
        for group in (
            *(kind.BEGINS, kind.ENDS, getattr(kind, "OPENS", ()), getattr(kind, "DROPS", ())),
            *getattr(kind, "SECTION", ()),
        )
        for mark in group
    ]
    pieces = PIECES.get(name, _LISTED)
    return [*COMMON, *marks * 2, *getattr(kind, "OPENS", ()) * 3, *pieces * 3]


def cut(chance: random.Random, reply: str) -> list[str]:
    """Cut a reply into chunks of various lengths."""
    chunks, at = [], 0
    while at < len(reply):
        step = chance.choice((1, 1, 2, 3, 8, 40))
        chunks.append(reply[at : at + step])
        at += step
    return chunks
