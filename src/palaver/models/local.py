"""A model that we run: a token engine joined to a prompt format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from msgspec import structs

from palaver.core.engine import Engine
from palaver.core.errors import UserError
from palaver.core.events import Event
from palaver.core.format import Format, Parser, Rendered
from palaver.core.generation import Sampling, Timings
from palaver.core.log import Row
from palaver.core.messages import user
from palaver.core.model import Cost, Count, ModelInfo
from palaver.core.tool import ToolSpec
from palaver.models.answer import Answer
from palaver.models.cache import Cache
from palaver.models.kv import States, common_prefix
from palaver.models.prompt import OpenReply, Prompt, PromptBuilder

_NOTEWORTHY = 16  # tokens; fewer are read again without a word


class LocalModel:
    """Model over an Engine, a Format and saved states. One answer at a time."""

    def __init__(
        self, engine: Engine, fmt: Format, states: States, cache: Cache | None = None
    ) -> None:
        """`cache` is the engine's where other models keep book of it, too."""
        self.engine = engine
        self.format = fmt
        self.cache = cache or Cache(engine, states)
        self.name = engine.info.model
        self.raw = False  # whether answers hold their tokens' own text as well
        self.last: Timings | None = None  # of the newest answer
        self._prompts = PromptBuilder(fmt, engine.tokenizer, engine.info.fingerprint)
        self._rate: float | None = None  # seconds a prompt token takes, measured
        self._answer: Answer | None = None  # the one under way
        self._cancelled = False

    async def respond(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event]:
        """Answer the log; see `palaver.core.model.Model.respond`."""
        self._cancelled = False
        prompt = await self.prompt(rows, tools)
        async with aclosing(self.answer(prompt, tools, sampling)) as events:
            async for event in events:
                yield event

    async def prompt(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> Prompt:
        """Make the prompt of a log, which `answer` takes. Raises UserError."""
        return await self._prompts.build(rows, tools)

    async def encode(self, rendered: Rendered) -> list[int]:
        """Tokenise text of the format, as it stands in a prompt."""
        return await self._prompts.encode(rendered)

    async def carry_on(
        self, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[Event]:
        """Go on with the cut-off reply that the log ends with.

        The MessageDone holds the whole reply, old part and new; deltas are the new part alone.
        """
        self._cancelled = False
        reply = await self._prompts.open_reply(rows, tools)
        async with aclosing(self.answer(reply.prompt, tools, sampling, reply)) as events:
            async for event in events:
                yield event

    def cancel(self) -> None:
        """End the answer under way; its MessageDone says "cancelled" and holds what came."""
        self._cancelled = True
        if self._answer:
            self._answer.cancel()

    async def count(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> Count:
        """Count the prompt's tokens exactly, by part; the parts sum to the total.

        "template" is what belongs to no message: the reply's opening, and what tokenising
        parts for themselves differs from tokenising the whole.
        """
        prompt = await self.prompt(rows, tools)
        parts: list[tuple[str, int]] = []
        turn = 0
        for role, tokens in await self._prompts.spans(rows, tools):
            turn += role == "user"
            parts.append((role if role == "system" else f"{role} {turn}", tokens))
        rest = len(prompt.ids) - sum(tokens for _, tokens in parts)
        if rest < 0:  # parts for themselves took more than the whole: the largest is put right
            i = max(range(len(parts)), key=lambda i: parts[i][1])
            parts[i] = (parts[i][0], parts[i][1] + rest)
        parts.append(("template", max(rest, 0)))
        return Count(len(prompt.ids), self.engine.info.context, True, tuple(parts))

    async def cost(self, rows: Sequence[Row], tools: Sequence[ToolSpec], draft: str) -> Cost:
        """Say what sending `draft` would cost: tokens reused and read, and the seconds.

        Where a cache can't be cut back `reused` is a lower bound and `broke` says what is lost.
        """
        prompt = await self.prompt([*rows, _draft(rows, draft)], tools)
        reuse = self.cache.reusable(prompt.ids)
        fresh = len(prompt.ids) - reuse.tokens
        seconds = fresh * self._rate if self._rate is not None else None
        broke = prompt.broke
        if reuse.lost >= _NOTEWORTHY and not broke:
            broke = f"this model can't go back to any place: up to {reuse.lost} are read again"
        return Cost(reuse.tokens, fresh, seconds, broke)

    async def warm(self, rows: Sequence[Row], tools: Sequence[ToolSpec]) -> None:
        """Bring what any next message will stand after into the cache, while the user types."""
        heads = [
            list((await self.prompt([*rows, _draft(rows, text)], tools)).ids) for text in ("a", "0")
        ]
        await self.cache.warm(heads[0][: common_prefix(*heads)])

    @property
    def info(self) -> ModelInfo:
        """What answers; a restart may change it."""
        engine = self.engine.info
        return ModelInfo(
            model=engine.model,
            engine=engine.name,
            context=engine.context,
            template=self.format.source,
            replies=self.format.replies,
            tools=self.format.tools,
            threads=engine.threads,
            channels=self.format.name == "harmony",
            sampling=engine.sampling,
        )

    @property
    def effort(self) -> str | None:
        """How long the model is to think, where its format can say that."""
        return self.format.effort

    @effort.setter
    def effort(self, value: str | None) -> None:
        self.format.effort = value

    @property
    def alive(self) -> bool:
        """Whether the engine's process runs."""
        return self.engine.alive

    async def save(self) -> bool:
        """Save what the engine's cache holds; False if nothing was new."""
        return await self.cache.save()

    async def restart(self, threads: int | None = None) -> bool:
        """Start the engine anew; see `palaver.models.cache.Cache.restart`."""
        return await self.cache.restart(threads)

    async def better_threads(self) -> int | None:
        """Return the number of threads that would be faster now, None if none would."""
        return await self.engine.better_threads()

    async def close(self) -> None:
        """End the engine."""
        await self.engine.close()

    async def answer(
        self,
        prompt: Prompt,
        tools: Sequence[ToolSpec],
        sampling: Sampling,
        reply: OpenReply | None = None,
        parser: Parser | None = None,
    ) -> AsyncGenerator[Event]:
        """Answer a prompt, as `respond` does; `reply` is where it ends inside one.

        `parser` reads the answer where it is not written as the format has it.
        """
        if sampling.json_schema is not None:
            # Where the JSON is complete llama.cpp lets gpt-oss write <|end|> alone, and holds
            # nothing that comes after that.
            ends = sorted(self.format.ends - self.engine.tokenizer.eog)
            sampling = structs.replace(sampling, stop=(*sampling.stop, *ends))
            if parser is None and reply is None:
                parser = self.format.parser(prompt.text, tools)
                prompt = await self._headed(prompt, parser)
        room = self.engine.info.context - len(prompt.ids)
        if room < 1:
            raise UserError(
                f"this conversation takes {len(prompt.ids)} tokens,"
                f" the context holds {self.engine.info.context}",
                fix="say it shorter, drop old turns with /trim, or start with a larger --context",
            )
        await self.cache.stop_warming()
        async with self.cache.busy:
            if not self._cancelled:
                await self.cache.restore(prompt.ids)
            parser = parser or self.format.parser(reply.opened if reply else prompt.text, tools)
            sampling = sampling.completed(self.engine.info.sampling)
            answer = Answer(
                *(self.cache, parser, prompt, sampling, self.format.ends, self.raw),
                cancelled=self._cancelled,
                grammar=self.format.grammar(tools) if self.engine.info.grammars else None,
            )
            if reply:
                answer.go_on_from(reply)
            self._answer = answer
            try:
                async with aclosing(answer.events()) as events:
                    async for event in events:
                        yield event
            finally:
                self._answer = None
                self._cancelled = False
                self._learn(answer.timings)

    async def _headed(self, prompt: Prompt, parser: Parser) -> Prompt:
        """Begin a reply that is JSON from its first word on: no header would be let through."""
        if not self.format.header:
            return prompt
        parser.feed(self.format.header)
        ids = (*prompt.ids, *await self.encode(Rendered(self.format.header)))
        return structs.replace(prompt, text=prompt.text + self.format.header, ids=ids)

    def _learn(self, timings: Timings) -> None:
        self.last = timings
        if timings.prefilled >= 8 and timings.prefill_seconds > 0:
            self._rate = timings.prefill_seconds / timings.prefilled


def _draft(rows: Sequence[Row], text: str) -> Row:
    last = rows[-1] if rows else None
    return Row(-1, last.session if last else 0, last.id if last else None, 0.0, user(text))
