"""GigaChat 3: `function call<|role_sep|>⏎{"name": …}` as a message, or `<|function_call|>`.

Source: the chat templates of https://huggingface.co/ai-sage/GigaChat3-10B-A1.8B and its 3.1.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers._json_list import JsonListParser


class Gigachat3Parser(JsonListParser):
    """Parts reasoning, text and calls."""

    OPENS = ("<|message_sep|>\n\nfunction call<|role_sep|>\n", "<|function_call|>")
    DROPS = ("<|message_sep|>", "</s>")


PARSER = Gigachat3Parser
CLAIMS = claim("<function_usage>", "<|message_sep|>")
