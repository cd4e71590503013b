"""Full-text search over everything that was said.

A word that stands nearly everywhere must not cost a pass over the whole index, which ranking
does (bm25 asks how many rows hold each word: 291 ms in 100,000 rows, where the newest 20 take
0.03 ms). So what is frequent is given newest first, and only what is rare is ranked.
"""

from __future__ import annotations

import re

import apsw
from msgspec import Struct

from palaver.core.errors import UserError
from palaver.core.log import CallStarted, Entry, Notice, Printed
from palaver.core.messages import Message, Reasoning, Text, ToolCall, ToolResult
from palaver.sessions.codec import DamagedError, decode_entry, plain
from palaver.sessions.query import fetch, fetch_one, value

FREQUENT = 400  # rows that hold a word, from which on it is not ranked
INDEXED_CHARS = 200_000  # of one entry; a tool's result can be a whole book
SNIPPET_CHARS = 120

# Scripts written without spaces: each character is a word of the index, a query is a phrase.
_UNSPACED = (
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])"
)
_PIECES = r'"([^"]*)"|(\S+)'


class Hit(Struct, frozen=True):
    """An entry that holds the words: where it stands and the text around the first of them.

    `found` is the range of `snippet` that matched, (0, 0) where it could not be told.
    """

    session: int
    row: int
    at: float
    kind: str
    title: str | None
    snippet: str
    found: tuple[int, int]


def words_of(entry: Entry) -> str:
    """Return the text of an entry that a search should find, parts on lines of their own."""
    if isinstance(entry, CallStarted):
        return ""
    if not isinstance(entry, Message):
        return entry.text if isinstance(entry, Notice | Printed) else entry.reason
    found: list[str] = []
    for part in entry.parts:
        match part:
            case Text() | Reasoning():
                found.append(part.text)
            case ToolCall():
                found += (part.name, part.arguments)
            case ToolResult():
                found += (part.name, part.whole or part.text)
    return "\n".join(found)


def index_text(entry: Entry) -> str:
    """Return what the index is told of an entry.

    The index takes a row out when it is given the same text again, so this may change only
    together with a migration that builds the index anew.
    """
    return _spaced(words_of(entry)[:INDEXED_CHARS])


def _spaced(text: str) -> str:
    text = text.replace("\0", " ")
    if text.isascii() or max(text) < "\u0e00":
        return text
    return re.sub(_UNSPACED, r" \1 ", text)  # compiled when first needed: it takes some ms


def terms(query: str) -> list[tuple[str, bool]]:
    """Split a query: words, "phrases in quotes", and word* for a beginning (then True).

    Raises UserError where nothing is left to search for.
    """
    found: list[tuple[str, bool]] = []
    for phrase, word in re.findall(_PIECES, plain(query)):
        text = (phrase or word).strip('"')
        prefix = not phrase and text.endswith("*")
        text = text.rstrip("*") if prefix else text
        if any(c.isalnum() for c in text):
            found.append((text, prefix))
    if not found:
        raise UserError(f"There is no word to search for in {query!r}.", fix="Give a word.")
    return found


def _fts(term: tuple[str, bool]) -> str:
    return '"' + _spaced(term[0]).replace('"', '""').strip() + '"' + ("*" if term[1] else "")


def search(connection: apsw.Connection, query: str, limit: int = 20) -> list[Hit]:
    """Return entries that hold all terms of `query`, the best or else the newest first.

    Ranked (bm25) where each term is rare, newest first where one is frequent.
    """
    wanted = terms(query)
    match = " ".join(map(_fts, wanted))
    rare = all(_is_rare(connection, term) for term in wanted)
    order = "rank" if rare else "rowid DESC"
    rows = fetch(
        connection,
        f"SELECT rowid FROM words WHERE words MATCH ? ORDER BY {order} LIMIT ?",
        (match, limit),
    )
    hits = (_hit(connection, row, wanted) for (row,) in rows)
    return [hit for hit in hits if hit]


def _is_rare(connection: apsw.Connection, term: tuple[str, bool]) -> bool:
    if term[1]:
        return False  # a beginning stands for many words
    count = value(
        connection,
        "SELECT count(*) FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?)",
        (_fts(term), FREQUENT),
    )
    return bool(count < FREQUENT)


def _hit(connection: apsw.Connection, row: int, wanted: list[tuple[str, bool]]) -> Hit | None:
    found = fetch_one(
        connection,
        "SELECT e.session, e.at, e.kind, e.body, s.title FROM entry AS e "
        "JOIN session AS s ON s.id = e.session WHERE e.id = ?",
        (row,),
    )
    if found is None:
        return None
    session, at, kind, body, title = found
    try:
        text = words_of(decode_entry(body))
    except ValueError as error:
        raise DamagedError(f"entry {row} can't be read: {error}") from error
    snippet, span = snippet_of(text, [term for term, _ in wanted])
    return Hit(session, row, at, kind, title, snippet, span)


def snippet_of(text: str, words: list[str]) -> tuple[str, tuple[int, int]]:
    """Return a line of `text` around the first of the words that is in it, and its range."""
    for word in words:
        match = re.search(rf"(?<!\w){re.escape(word)}", text, re.IGNORECASE) or re.search(
            re.escape(word), text, re.IGNORECASE
        )
        if match:
            break
    else:
        match = None
    start = max(0, match.start() - SNIPPET_CHARS // 3) if match else 0
    if len(text) <= SNIPPET_CHARS:
        start = 0
    end = min(len(text), start + SNIPPET_CHARS)
    if match:
        end = min(len(text), max(end, match.end()))
    before = ("…" if start else "") + _line(text[start : match.start() if match else start])
    inside = _line(text[match.start() : match.end()]) if match else ""
    after = _line(text[match.end() if match else start : end]) + ("…" if end < len(text) else "")
    return before + inside + after, (len(before), len(before) + len(inside))


def _line(text: str) -> str:
    return re.sub(r"\s", " ", text)
