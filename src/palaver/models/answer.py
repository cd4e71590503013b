"""One answer: an engine's tokens turned into events, and a record of how they came to be."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from msgspec import structs

from palaver.core.engine import Engine, Token
from palaver.core.errors import EngineError
from palaver.core.events import Event, Logprobs, MessageDone, Prefill, Raw
from palaver.core.format import CallGrammar, Parser
from palaver.core.generation import Generation, Sampling, Timings
from palaver.core.messages import Stop
from palaver.models.cache import Cache
from palaver.models.ids import ReplyIds, Sampled
from palaver.models.prompt import OpenReply, Prompt, text_hash
from palaver.models.reply import ReplyParts


@dataclass
class Answer:
    """The state of one answer while it comes. Iterate `events` once."""

    cache: Cache
    parser: Parser
    prompt: Prompt
    sampling: Sampling
    ends: frozenset[str] = frozenset()  # of `Format`: those that the parser wants to see
    show_raw: bool = False
    raw: list[str] = field(default_factory=list)
    sampled_before: int = 0
    parts: ReplyParts = field(default_factory=ReplyParts)
    timings: Timings = field(default_factory=Timings)
    cancelled: bool = False
    grammar: CallGrammar | None = None  # what its calls are held to
    _stop: Stop = "error"
    _read: int = 0
    _silent: tuple[int, ...] = ()  # the newest token, if it says nothing

    @property
    def engine(self) -> Engine:
        """The engine that answers."""
        return self.cache.engine

    def go_on_from(self, reply: OpenReply) -> None:
        """Begin inside an earlier reply: its parts are part of the message, its text is raw."""
        self.raw.append(reply.raw)
        self.sampled_before = reply.sampled
        self.parts.add(self.parser.feed(reply.said))

    def cancel(self) -> None:
        """End it, also before the engine was asked."""
        self.cancelled = True
        self.engine.cancel()

    async def events(self) -> AsyncGenerator[Event]:
        """Yield the answer's events, MessageDone last; then raises EngineError if it failed."""
        ids = ReplyIds()
        failure: EngineError | None = None
        try:
            try:
                async with aclosing(self._generate(ids)) as events:
                    async for event in events:
                        yield event
            except EngineError as error:
                failure = error
            for event in await self._rest():
                yield event
            sampled, failure = await self._sampled(ids, failure)
        except BaseException:  # left before its end
            self._broken_off()
            raise
        generation = await self._generation(sampled, alive=failure is None)
        yield MessageDone(self.parts.message(self._stop), generation)
        if failure:
            raise failure

    async def _generate(self, ids: ReplyIds) -> AsyncGenerator[Event]:
        if self.cancelled:  # while the prompt was made, or a saved state restored
            self._stop = "cancelled"
            return
        if self.show_raw and not self.raw:
            new = self.prompt.ids[self.prompt.kept :]
            yield Raw(await self.engine.tokenizer.decode(new), prompt=True)
        tokens = self.engine.generate(self.prompt.ids, self._held())
        async with aclosing(tokens):
            async for token in tokens:
                if token.prefill:
                    self._read, total, reused = token.prefill
                    yield Prefill(self._read, total, reused)
                    continue
                ids.add(token)
                if token.ids:
                    over = not token.text or token.text in self.engine.tokenizer.eog
                    self._silent = token.ids[-1:] if over else ()
                if self.show_raw and token.text and token.text not in self.engine.tokenizer.eog:
                    yield Raw(token.text)
                if token.logprobs:
                    yield Logprobs(token.logprobs)
                self.timings = token.timings or self.timings
                for event in self._said(token):
                    yield event
                if token.stop:
                    self._stop = token.stop  # type: ignore[assignment]

    def _held(self) -> Sampling:
        """Return the sampling that holds calls to their grammar, unless the user has another."""
        asked, grammar = self.sampling, self.grammar
        if grammar is None or asked.grammar is not None or asked.json_schema is not None:
            return asked
        return structs.replace(asked, grammar=grammar.text, trigger=grammar.trigger)

    def _said(self, token: Token) -> list[Event]:
        """Parse a token's text. The end token's own text says only that the reply is over."""
        if not token.text or token.text in self.engine.tokenizer.eog:
            return []
        self.raw.append(token.text)
        events = self.parser.feed(token.text)
        self.parts.add(events)
        return list(events)

    async def _rest(self) -> list[Event]:
        """Return what follows the last token: how it ended, and what the parser held back."""
        ended = await self._ended()
        rest = list(self.parser.feed(ended)) if ended in self.ends else []
        rest += self.parser.finish()
        self.parts.add(rest)
        return [Raw(ended), *rest] if ended and self.show_raw else list(rest)

    async def _ended(self) -> str:
        """Return the token that ended the reply, for a parser or a reader who wants to see it."""
        if self._stop != "end" or not (self.ends or self.show_raw) or not self._silent:
            return ""
        try:
            said = await self.engine.tokenizer.decode(self._silent)
        except EngineError:
            return ""  # the engine died behind the last word: found below
        return said if said in self.engine.tokenizer.eog else ""

    def _broken_off(self) -> None:
        self.cache.broken_off(self.prompt.ids, self._read)

    async def _sampled(
        self, ids: ReplyIds, failure: EngineError | None
    ) -> tuple[Sampled, EngineError | None]:
        """Find the sampled ids, and note what the engine's cache holds."""
        prompt = list(self.prompt.ids)
        nothing = Sampled([], not ids.count, [])

        async def peek() -> list[int] | None:
            return await self.cache.peek(len(prompt) + ids.count)

        if failure and failure.died:
            self.cache.forget()
            return nothing, failure
        if not ids.count:
            if self._read or failure:
                self._broken_off()
            return nothing, failure
        try:
            found = await ids.resolve(
                prompt, self.engine.tokenizer, peek, stops=bool(self.sampling.stop)
            )
        except EngineError as error:
            self.cache.forget()
            return nothing, failure or error
        whole = found.exact and not failure and self._stop != "cancelled"
        self.cache.answered(prompt, found.read, self.timings.reused, whole=whole)
        return found, failure

    async def _generation(self, sampled: Sampled, *, alive: bool) -> Generation:
        prompt = list(self.prompt.ids)
        ended_by = ""
        if alive and sampled.ids:
            text = await self.engine.tokenizer.decode(sampled.ids[-1:])
            ended_by = text if text in self.engine.tokenizer.eog else ""
        return Generation(
            engine=self.engine.info.fingerprint,
            model=self.engine.info.model,
            grew_from=self.prompt.grew_from,
            kept=self.prompt.kept,
            added=(*prompt[self.prompt.kept :], *sampled.ids),
            sampled=self.sampled_before + len(sampled.ids),
            raw="".join(self.raw),
            ended_by=ended_by,
            prompt_hash=text_hash(self.prompt.text),
            prompt_chars=len(self.prompt.text),
            exact=sampled.exact,
            sampling=self.sampling,
            timings=self.timings,
        )
