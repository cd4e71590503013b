"""From a log to the ids that an engine is given: exact where the model said it itself.

A reply's ids are those that were sampled; only what is new is tokenised. A stored generation
stands for the beginning of a prompt where the new rendering begins with the same text, and for
its reply too where what the template makes of the reply says the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from palaver.core.engine import Tokenizer
from palaver.core.errors import UserError
from palaver.core.format import Format, Rendered
from palaver.core.generation import Generation
from palaver.core.log import Row
from palaver.core.messages import Message
from palaver.core.tool import ToolSpec
from palaver.models.reply import same_reply


class Prompt(Struct, frozen=True):
    """A prompt's text and ids; the first `kept` of them are those of the reply in `grew_from`.

    `broke` says why the newest reply's own ids could not be used, if they could not.
    """

    text: str
    ids: tuple[int, ...]
    grew_from: int | None = None
    kept: int = 0
    broke: str | None = None


class OpenReply(Struct, frozen=True):
    """A prompt that ends inside a reply.

    `raw` is the reply's earlier text as far as it was sampled (the last `sampled` ids), `said`
    what a parser made for a reply to `opened` has to be fed before it goes on.
    """

    prompt: Prompt
    opened: str
    raw: str
    said: str
    sampled: int


class _Base(Struct, frozen=True):
    """Where a prompt starts from: these ids stand for the first `chars` of the text."""

    row: int | None
    ids: tuple[int, ...]
    chars: int


def text_hash(text: str) -> str:
    """Return the BLAKE2b of a text, as `Generation.prompt_hash` holds it."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def all_ids(row: Row, rows: Mapping[int, Row]) -> tuple[int, ...]:
    """Return the whole sequence of a reply, prompt and sampled ids.

    `rows` holds the rows that it may have grown from. Raises KeyError where one is missing.
    """
    chain: list[Generation] = []
    at: Row | None = row
    while at is not None and at.generation is not None:
        chain.append(at.generation)
        at = rows[at.generation.grew_from] if at.generation.grew_from is not None else None
    ids: list[int] = []
    for generation in reversed(chain):
        del ids[generation.kept :]
        ids += generation.added
    return tuple(ids)


class PromptBuilder:
    """Builds prompts for one engine and format."""

    def __init__(self, fmt: Format, tokenizer: Tokenizer, engine: str) -> None:
        """`engine` is the fingerprint that a generation must have for its ids to count."""
        self._format = fmt
        self._tokenizer = tokenizer
        self._engine = engine
        self._ends = tokenizer.eog | fmt.ends
        # Longest first, so that no token is taken for the beginning of another.
        texts = sorted(tokenizer.control, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, texts)) or r"(?!)")

    async def build(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec] = (), *, reply: bool = True
    ) -> Prompt:
        """Make the prompt of `rows` (already `visible`); raises UserError as `render` does."""
        messages = [row.entry for row in rows if isinstance(row.entry, Message)]
        rendered = self._format.render(messages, tools, reply=reply)
        base, broke = await self._base(rows, messages, tools, rendered)
        ids = [*base.ids]
        if not base.chars:
            ids += self._beginning(rendered.text)
        ids += await self.encode(_part(rendered, base.chars))
        return Prompt(rendered.text, tuple(ids), base.row, len(base.ids), broke)

    async def spans(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec] = ()
    ) -> list[tuple[str, int]]:
        """Count what each message adds to the prompt: (role, tokens), markers included."""
        messages = [row.entry for row in rows if isinstance(row.entry, Message)]
        rendered = self._format.render(messages, tools, reply=False)
        counts: list[tuple[str, int]] = []
        for row, message, (start, end) in zip(
            rows, messages, self._format.spans(messages, tools), strict=True
        ):
            part, sampled = _part(rendered, start, end), 0
            said = row.generation
            if said and said.exact and said.raw and said.raw in part.text and not part.literal:
                part = Rendered(part.text.replace(said.raw + said.ended_by, "", 1))
                sampled = said.sampled
            counts.append((message.role, sampled + len(await self.encode(part))))
        return counts

    async def encode(self, rendered: Rendered) -> list[int]:
        """Tokenise rendered text: what is literal as plain text, the rest with control tokens."""
        ids: list[int] = []
        for text, special in self._format.pieces(rendered):
            ids += await self._tokenizer.encode(text, special=special)
        return ids

    async def open_reply(self, rows: Sequence[Row], tools: Sequence[ToolSpec] = ()) -> OpenReply:
        """Make a prompt that ends inside the last row's cut-off reply, for going on with it.

        Raises UserError where the last row is no assistant's message.
        """
        last = rows[-1] if rows else None
        if last is None or not isinstance(last.entry, Message) or last.entry.role != "assistant":
            raise UserError("there is no answer to go on with")
        before = await self.build(rows[:-1], tools)
        generation = last.generation
        if generation and generation.engine == self._engine and generation.exact:
            ids = all_ids(last, {row.id: row for row in rows})
            cut = 1 if generation.ended_by else 0
            prompt = msgspec.structs.replace(before, ids=ids[: len(ids) - cut])
            return OpenReply(
                prompt, before.text, generation.raw, generation.raw, generation.sampled - cut
            )
        # Another engine said it, or a journal kept it: its text is read as prompt.
        messages = [row.entry for row in rows if isinstance(row.entry, Message)]
        rendered = self._format.render(messages, tools, reply=False)
        if not rendered.text.startswith(before.text):
            raise UserError("this model's template can't go on with a cut-off answer")
        start = len(before.text)
        ends = [
            m.start() for m in self._control.finditer(rendered.text, start) if m[0] in self._ends
        ]
        end = ends[-1] if ends else len(rendered.text)
        ids = (*before.ids, *await self.encode(_part(rendered, start, end)))
        text = rendered.text[:end]
        prompt = msgspec.structs.replace(before, text=text, ids=ids)
        return OpenReply(prompt, before.text, "", rendered.text[start:end], 0)

    def _beginning(self, text: str) -> list[int]:
        bos = self._tokenizer.bos_id
        return [bos] if bos is not None and not text.startswith(self._tokenizer.bos) else []

    async def _base(
        self,
        rows: Sequence[Row],
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        rendered: Rendered,
    ) -> tuple[_Base, str | None]:
        by_id = {row.id: row for row in rows}
        broke: str | None = None
        for i in range(len(rows) - 1, -1, -1):
            generation = rows[i].generation
            if generation is None or generation.engine != self._engine or not generation.exact:
                continue
            text = rendered.text[: generation.prompt_chars]
            if text_hash(text) != generation.prompt_hash:
                broke = broke or self._rewritten(messages[:i], tools, generation)
                continue
            try:
                ids = all_ids(rows[i], by_id)
            except KeyError:
                continue
            end = self._reply_end(messages[: i + 1], tools, rendered.text, generation)
            if end is not None:
                return self._with_reply(rows[i].id, ids, end, generation, rendered.text), broke
            reason = "the template drops earlier reasoning" if messages[i].reasoning else None
            broke = broke or reason or "the template writes the last answer differently"
            return await self._without_reply(rows[i].id, ids, text, generation.sampled), broke
        return _Base(None, (), 0), broke

    def _rewritten(
        self, before: Sequence[Message], tools: Sequence[ToolSpec], generation: Generation
    ) -> str:
        """Say why the prompt of an answer is not written as it was when it was given."""
        try:
            again = self._format.render(before, tools, reply=True).text
        except UserError:
            again = ""
        if text_hash(again) != generation.prompt_hash:
            return "what stands before the last answer changed"
        if any(message.reasoning for message in before):  # what came since made it so
            return "the template drops earlier reasoning"
        return "the template writes earlier messages differently now"

    def _reply_end(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        text: str,
        generation: Generation,
    ) -> int | None:
        """Return where in `text` the last message's reply ends, or None if it says another thing.

        The reply ends at the token that the template closes it with.
        """
        alone = self._format.render(messages, tools, reply=False).text
        begin = generation.prompt_chars
        if not text.startswith(alone) or len(alone) < begin:
            return None
        ends = [m for m in self._control.finditer(alone, begin) if m[0] in self._ends]
        end = ends[-1].start() if ends else len(alone)
        prompt = text[:begin]
        written = text[begin:end]
        raw = generation.raw
        same = written == raw or same_reply(self._format, prompt, written, raw, tools)
        return end if same else None

    def _with_reply(
        self, row: int, ids: tuple[int, ...], end: int, generation: Generation, text: str
    ) -> _Base:
        """Take the reply's own ids; its end token too, if the template writes the same one."""
        if not generation.ended_by:
            return _Base(row, ids, end)
        if text.startswith(generation.ended_by, end):
            return _Base(row, ids, end + len(generation.ended_by))
        return _Base(row, ids[:-1], end)

    async def _without_reply(
        self, row: int, ids: tuple[int, ...], text: str, sampled: int
    ) -> _Base:
        """Take the prompt's ids up to its last control token, a border in every tokenizer."""
        marks = list(self._control.finditer(text))
        if not marks:
            return _Base(None, (), 0)
        (mark,) = await self._tokenizer.encode(marks[-1][0], special=True)
        prompt = ids[: len(ids) - sampled]
        if mark not in prompt:
            return _Base(None, (), 0)
        kept = len(prompt) - 1 - prompt[::-1].index(mark)
        return _Base(row, prompt[:kept], marks[-1].start())


def _part(rendered: Rendered, start: int, end: int | None = None) -> Rendered:
    end = len(rendered.text) if end is None else end
    literal = tuple(
        (max(a, start) - start, min(b, end) - start)
        for a, b in rendered.literal
        if b > start and a < end
    )
    return Rendered(rendered.text[start:end], literal)
