"""FunctionGemma: `<start_function_call>call:f{a:<escape>x<escape>}<end_function_call>`.

Source: https://ai.google.dev/gemma/docs/functiongemma/formatting-and-best-practices.
"""

from __future__ import annotations

from palaver.formats.parsers._base import claim
from palaver.formats.parsers.gemma4 import Gemma4Parser, gemma_style


class FunctionGemmaParser(Gemma4Parser):
    """Parts text and calls."""

    BEGINS = ("<think>",)
    ENDS = ("</think>",)
    LABEL = ""
    ANYWHERE = False
    OPENS = ("<start_function_call>",)
    DROPS = ("<end_function_call>", "<start_function_response>", "<end_of_turn>")
    END = "<end_function_call>"
    STYLE = gemma_style("<escape>")


PARSER = FunctionGemmaParser
CLAIMS = claim("<start_function_call>")
