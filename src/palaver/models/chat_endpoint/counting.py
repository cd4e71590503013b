"""How many tokens a log takes, for an endpoint whose tokenizer nobody has.

What it reported last, for the messages that were in that request, and bytes for what is new. A
token's bytes are learned from what it reported.
"""

from __future__ import annotations

from collections.abc import Sequence

from palaver.core.generation import Generation
from palaver.core.log import Row
from palaver.core.model import Count
from palaver.core.tool import ToolSpec
from palaver.models.chat_endpoint.request import message_dicts, text_of, tool_dicts
from palaver.models.prompt import text_hash

_TRIED = 3  # reported prompts that are compared, newest first: it is asked while the user types
_USUAL = 4.0  # bytes a token: English prose and JSON with vocabularies of 100,000 and more


class Counter:
    """Estimates for one endpoint. `engine` is what its generations have for one."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._bytes = _USUAL  # a token takes

    def tokens(self, size: int) -> int:
        """Estimate the tokens of a text of `size` bytes."""
        return round(size / self._bytes)

    def learn(self, size: int, tokens: int) -> None:
        """Take the bytes of a prompt, and the tokens that the endpoint says it took."""
        if tokens > 0:
            self._bytes = min(max(size / tokens, 0.5), 16.0)

    def count(self, rows: Sequence[Row], tools: Sequence[ToolSpec], context: int | None) -> Count:
        """Estimate what a log takes, by part; the parts sum to the total."""
        known, behind = self._reported(rows, tools)
        parts: list[tuple[str, int]] = []
        if tools:
            parts.append(("tools", self._of(text_of(tool_dicts(tools)))))
        turn = 0
        for role, made in message_dicts(rows):
            turn += role == "user"
            parts.append(
                (role if role == "system" else f"{role} {turn}", self._of(text_of([made])))
            )
        total = known + sum(self._of(text_of([d])) for _, d in message_dicts(rows[behind:]))
        if not behind:
            total = sum(tokens for _, tokens in parts)
        rest = total - sum(tokens for _, tokens in parts)
        if rest < 0:
            i = max(range(len(parts)), key=lambda i: parts[i][1])
            parts[i] = (parts[i][0], parts[i][1] + rest)
        parts.append(("template", max(rest, 0)))
        return Count(total, context, False, tuple(parts))

    def _of(self, text: str) -> int:
        return self.tokens(len(text.encode("utf-8", "replace")))

    def _reported(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> tuple[int, int]:
        """Return the tokens that were reported for the first rows, and how many rows these are."""
        tried = 0
        for i in range(len(rows) - 1, -1, -1):
            said = rows[i].generation
            if said is None or said.engine != self._engine or said.timings.guessed:
                continue
            tried += 1
            if tried > _TRIED:
                break
            before = prompt_text(rows[:i], tools)
            if text_hash(before) == said.prompt_hash:
                self.learn(len(before.encode("utf-8", "replace")), prompt_tokens(said))
                return prompt_tokens(said) + said.timings.decoded, i + 1
        return 0, 0


def prompt_tokens(said: Generation) -> int:
    """Return the length of the prompt of a reply, as it was reported."""
    return said.timings.reused + said.timings.prefilled


def prompt_text(rows: Sequence[Row], tools: Sequence[ToolSpec]) -> str:
    """Return what a request is recognised by later: its messages and tools."""
    return text_of([*tool_dicts(tools), *(made for _, made in message_dicts(rows))])
