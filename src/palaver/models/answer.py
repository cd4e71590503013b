"""One answer: an engine's tokens turned into events, and a record of how they came to be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from palaver.core.engine import Engine, Token
from palaver.core.errors import EngineError
from palaver.core.events import Event, MessageDone, Prefill
from palaver.core.format import Parser
from palaver.core.generation import Generation, Sampling, Timings
from palaver.core.messages import Stop
from palaver.models.ids import Cached, ReplyIds
from palaver.models.prompt import OpenReply, Prompt, text_hash
from palaver.models.reply import ReplyParts


@dataclass
class Answer:
    """The state of one answer while it comes. Iterate `events` once, then read the rest."""

    engine: Engine
    parser: Parser
    prompt: Prompt
    sampling: Sampling
    peek: Cached
    raw: list[str] = field(default_factory=list)
    sampled_before: int = 0
    parts: ReplyParts = field(default_factory=ReplyParts)
    cached: list[int] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)

    def go_on_from(self, reply: OpenReply) -> None:
        """Begin inside an earlier reply: its parts are part of the message, its text is raw."""
        self.raw.append(reply.raw)
        self.sampled_before = reply.sampled
        self.parts.add(self.parser.feed(reply.said))

    async def events(self) -> AsyncIterator[Event]:
        """Yield the answer's events, MessageDone last; then raises EngineError if it failed."""
        ids = ReplyIds()
        stop: Stop = "error"
        failure: EngineError | None = None
        last = Token()
        try:
            async for token in self.engine.generate(self.prompt.ids, self.sampling):
                if token.prefill:
                    done, total, reused = token.prefill
                    self.cached = list(self.prompt.ids[:done])
                    yield Prefill(done, total, reused)
                    continue
                ids.add(token)
                last = token
                text = self._visible(token.text)
                if text:
                    self.raw.append(text)
                    events = self.parser.feed(text)
                    self.parts.add(events)
                    for event in events:
                        yield event
                if token.stop:
                    stop = token.stop  # type: ignore[assignment]
        except EngineError as error:
            failure = error
        rest = self.parser.finish()
        self.parts.add(rest)
        for event in rest:
            yield event
        self.timings = last.timings or Timings()
        generation = await self._generation(ids, alive=failure is None or not failure.died)
        yield MessageDone(self.parts.message(stop), generation)
        if failure:
            raise failure

    def _visible(self, text: str) -> str:
        """Drop the end token's own text: it says only that the reply is over."""
        return "" if text in self.engine.tokenizer.eog else text

    async def _generation(self, ids: ReplyIds, *, alive: bool) -> Generation:
        prompt = list(self.prompt.ids)
        ended_by = ""
        sampled: list[int] = []
        exact = not ids.count
        if alive:
            sampled, exact = await ids.resolve(prompt, self.engine.tokenizer, self.peek)
            if sampled:
                text = await self.engine.tokenizer.decode(sampled[-1:])
                ended_by = text if text in self.engine.tokenizer.eog else ""
            if ids.count:
                self.cached = [*prompt, *sampled[:-1]]
        else:
            self.cached = []
        return Generation(
            engine=self.engine.info.fingerprint,
            model=self.engine.info.model,
            grew_from=self.prompt.grew_from,
            kept=self.prompt.kept,
            added=(*prompt[self.prompt.kept :], *sampled),
            sampled=self.sampled_before + len(sampled),
            raw="".join(self.raw),
            ended_by=ended_by,
            prompt_hash=text_hash(self.prompt.text),
            prompt_chars=len(self.prompt.text),
            exact=exact,
            sampling=self.sampling,
            timings=self.timings,
        )
