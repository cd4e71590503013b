"""Command R+: `Action:` and a fenced list of JSON objects with `tool_name` and `parameters`.

Source: the tool-use template of https://huggingface.co/CohereForAI/c4ai-command-r-plus.
"""

from __future__ import annotations

import re

from palaver.formats.parsers._base import claim, match_end
from palaver.formats.parsers._json_list import JsonListParser

_FENCE = re.compile(r"```(?:json)?\s*")


class CommandRParser(JsonListParser):
    """Parts text and calls."""

    OPENS = ("Action:",)
    DROPS = ("<|END_OF_TURN_TOKEN|>",)
    END = "```"
    NAME = "tool_name"
    TIGHT = True
    LIKELY = re.compile(r"```(?:json)?\s*\[")
    UNLIKELY = re.compile(r"[^`]|`[^`]")

    def _reads(self) -> None:
        if self._call is None:
            self._at = match_end(_FENCE, self._text, self._at)
        super()._reads()

    def _read(self) -> None:
        self._closer = self.END
        self._step = self._closing


PARSER = CommandRParser
CLAIMS = claim("Action:", '"tool_name"', no=("<|START_ACTION|>",))
