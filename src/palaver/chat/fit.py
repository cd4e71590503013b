"""How much of a result still fits into the context, beside the results to come and an answer."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.core.errors import PalaverError
from palaver.core.log import Row, visible
from palaver.core.messages import Message, ToolCall, ToolResult
from palaver.core.model import Model
from palaver.core.tool import ToolSpec

LEAST = 100  # characters of a result that stay in any case
_NOTE = 120  # characters that say what was cut
_SPARE = 8  # of so many parts of the context one is left free, for an answer
_WRITTEN = 2  # bytes of a prompt that a byte of a result may become, as JSON
_MARKS = 64  # tokens around a result


async def room(
    model: Model,
    tools: Sequence[ToolSpec],
    rows: Sequence[Row],
    result: ToolResult,
    others: Sequence[ToolCall],
) -> int | None:
    """Return how many characters of a result fit, None if all do.

    `others` are the calls whose results are still to come: each gets as much.
    """
    nothing = [_row(rows, ToolResult(call.id, call.name, "")) for call in others]
    empty = _row(rows, ToolResult(result.call_id, result.name, ""))
    try:
        whole = await model.count(visible([*rows, _row(rows, result), *nothing]), tools)
        if whole.context is None:
            return None
        most = whole.context - whole.context // _SPARE
        if whole.total <= most and not others:
            return None
        base = await model.count(visible([*rows, empty, *nothing]), tools)
    except PalaverError:  # refused as it stands, or the engine died: the next answer says so
        return None
    share, takes = max(0, most - base.total) // (len(others) + 1), whole.total - base.total
    return None if takes <= share else max(LEAST, len(result.text) * share // takes - _NOTE)


def surely(rows: Sequence[Row], result: ToolResult, context: int | None) -> bool:
    """Say whether a result fits by far, without asking the model: a token has a byte or more."""
    if context is None:
        return True
    size = 0
    for row in reversed(rows):
        if row.generation:
            took = row.generation.timings
            used = took.reused + took.prefilled + took.decoded
            size += len(result.text.encode("utf-8", "replace"))
            return used + _MARKS + _WRITTEN * size <= context - context // _SPARE
        if isinstance(row.entry, Message):
            size += _MARKS + sum(len(str(part)) for part in row.entry.parts)
    return False


def _row(rows: Sequence[Row], result: ToolResult) -> Row:
    last = rows[-1]
    return Row(-1, last.session, last.id, 0.0, Message("tool", (result,)))
