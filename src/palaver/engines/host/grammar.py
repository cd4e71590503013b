"""Holding replies to a grammar or a JSON Schema: what may not come next has no chance.

llguidance says which tokens those are; it is what the wheel's llama.cpp asks about schemas, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from palaver.core import install
from palaver.core.errors import EngineError, UserError
from palaver.engines.host.model import HostedModel

Array = np.ndarray[Any, np.dtype[Any]]

# Characters by their number, as GBNF has them; llguidance's own reader loses their zeros.
_NUMBERED = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")


class Held:
    """Holds one reply; `mask` before each token is chosen, `take` after it."""

    def __init__(self, matcher: Any) -> None:
        """`matcher` is an `llguidance.LLMatcher` at its beginning."""
        self._matcher = matcher

    def mask(self, logits: Array) -> None:
        """Take all chance from the tokens that the grammar does not allow now."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed: Array = np.unpackbits(bits, count=len(logits), bitorder="little").astype(bool)
        if not allowed.any():
            raise EngineError(f"the grammar allows no token here: {self._matcher.get_error()}")
        logits[~allowed] = -np.inf

    def take(self, token: int) -> None:
        """Go on by a token that was allowed."""
        self._matcher.consume_token(token)


def hold(body: Mapping[str, Any], model: HostedModel) -> Held | None:
    """Read what a reply is to be held to, in the body of a request; None where it is free.

    Raises UserError for what is no grammar or schema, or one that can't be followed.
    """
    schema, grammar = body.get("json_schema"), body.get("grammar")
    if schema is None and not grammar:
        return None
    if find_spec("llguidance") is None:
        raise UserError(
            "holding replies to a grammar or schema needs llguidance",
            fix=install.pip("llguidance"),
        )
    from llguidance import LLMatcher

    if schema is not None:
        what, text = "schema", LLMatcher.grammar_from_json_schema(schema)
    elif body.get("grammar_lazy"):
        raise UserError("this engine can't hold calls alone to a grammar")
    else:
        what, text = "grammar", _from_gbnf(str(grammar))
    words, ends = model.vocabulary, tuple(sorted(model.ends))
    tokenizer = _tokenizer(words.file, max(model.tokens, words.size), ends)
    matcher = LLMatcher(tokenizer, text, log_level=0)
    if matcher.is_error():
        reason = matcher.get_error().partition("\n")[0]
        raise UserError(f"the engine can't follow the {what}: {reason}")
    return Held(matcher)


def _from_gbnf(grammar: str) -> str:
    from llguidance import grammar_from

    try:
        found: str = grammar_from("gbnf", _NUMBERED.sub(_character, grammar))
    except ValueError as error:
        raise UserError(f"the engine can't follow the grammar: {error}") from None
    return found


def _character(found: re.Match[str]) -> str:
    code = int(found[2] or found[3], 16)
    return found[1] + (f"\\x{code:02x}" if code < 0x80 else chr(code))


@lru_cache(maxsize=1)
def _tokenizer(file: Path, tokens: int, ends: tuple[int, ...]) -> Any:
    """Read a tokenizer.json for llguidance: once, because it takes a second for a large one."""
    from llguidance import LLTokenizer

    try:
        return LLTokenizer(str(file), n_vocab=tokens, eos_token=list(ends) or None)
    except ValueError as error:
        raise UserError(f"llguidance can't use this model's tokenizer: {error}") from None
