"""One turn of a session: what `palaver.chat.run` does, told to whoever watches."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from palaver.chat.front import Answer, Front, Question
from palaver.chat.run import run_turn, take
from palaver.chat.work import Workshop
from palaver.conversation import Conversation
from palaver.core.errors import PalaverError
from palaver.core.events import Event, MessageDone, ToolFinished, Waiting
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.server.errors import ApiError
from palaver.server.sessions import told
from palaver.server.sessions.seat import Seat
from palaver.server.sessions.wire import Wire

if TYPE_CHECKING:
    from palaver.server.sessions.tooling import Tools

_ROUNDS = "the rounds of tools of a turn are used up; say something to go on"


class Asked(Struct, frozen=True):
    """What a turn is to do: answer, again where a tool was stopped, or carry a reply on."""

    sampling: Sampling
    client: str
    again: bool = False
    carry_on: bool = False


class Turn:
    """A turn under way. Stored first, then told: as in the terminal."""

    def __init__(self, conversation: Conversation, wire: Wire, tools: Tools) -> None:
        self.conversation = conversation
        self.halt = asyncio.Event()
        self.question: Question | None = None
        self._newest = max((row.id for row in conversation.rows), default=0)  # that was told
        self._wire = wire
        self._tools = tools
        self._answer: asyncio.Future[Answer] | None = None
        self._seat: Seat | None = None

    async def run(self, asked: Asked) -> None:
        """Work until the user has to say something; what goes wrong is told."""
        try:
            await self._work(asked)
        except PalaverError as error:
            self._wire.put({"type": "error", "message": error.message, "fix": error.fix})
        except ApiError as error:
            self._wire.put({"type": "error", "message": error.message, "fix": None})
        except Exception:  # noqa: BLE001 - our own fault: it ends this turn, not the server
            traceback.print_exc(file=sys.stderr)
            message = "the server failed; its own output says where"
            self._wire.put({"type": "error", "message": message, "fix": None})
        self._tell_rows()

    async def _work(self, asked: Asked) -> None:
        seat = await self._seated(asked)
        if seat is None:
            return
        front = Front(self._show, self._ask, halt=self.halt)
        shop = self._tools.shop(seat.any, self.conversation.rows)
        if asked.carry_on:
            await self._carry_on(seat, shop, asked.sampling)
        if not self.halt.is_set():
            ended = await run_turn(
                self.conversation, seat, shop, asked.sampling, front, again=asked.again
            )
            if ended.why == "tool rounds":
                self._wire.put({"type": "note", "text": _ROUNDS})

    async def _seated(self, asked: Asked) -> Seat | None:
        """Wait until the model is loaded; None where the user stops that."""
        if self._tools.loading:
            self._wire.put(Waiting("the model is loading", 0))
        self._seat = await self._tools.seat(self.conversation.began, asked.client, self.halt)
        if self._seat and self.halt.is_set():
            self._seat.cancel()
        return self._seat

    async def _carry_on(self, seat: Seat, shop: Workshop, sampling: Sampling) -> None:
        """Go on with the cut-off answer that the log ends with."""
        view = self.conversation.view
        answer = seat.carry_on(view, shop.specs, sampling)
        try:
            first = await anext(answer)  # what can't be gone on with fails here, nothing moved
        except StopAsyncIteration:  # stopped before it began
            return
        try:
            await self.conversation.stand_in(view[-1])
            self._wire.put({"type": "instead", "row": view[-1].id})
            await take(self.conversation, _chain(first, answer), self._show)
        finally:
            self.conversation.stand_back()

    def stop(self) -> None:
        """End the turn within a token."""
        self.halt.set()
        if self._seat:
            self._seat.cancel()

    # -- what happens --------------------------------------------------------------------

    def _show(self, events: Sequence[Event]) -> None:
        for event in events:
            if not isinstance(event, MessageDone | ToolFinished):  # told as the rows they became
                self._wire.put(event)
        self._tell_rows()

    def _tell_rows(self) -> None:
        for row in self.conversation.rows:
            if row.id > self._newest:
                self._wire.put({"type": "row", "row": told.row(row)}, settles=True)
                self._newest = row.id

    def rows(self) -> list[Row]:
        """Return the rows that were told."""
        return [row for row in self.conversation.rows if row.id <= self._newest]

    # -- consent -------------------------------------------------------------------------

    async def _ask(self, question: Question) -> Answer:
        self._tell_rows()
        self._answer = asyncio.get_running_loop().create_future()
        if self._tools.ending:  # nobody can answer any more: it is asked at the next start
            self.stop()
            return await self._answer
        self.question = question
        self._wire.put(told.question(question))
        try:
            answer = await self._answer
        finally:
            self.question = self._answer = None
            self._wire.put(told.question(None))
        if answer.allowed and answer.by != "once":
            always = answer.by == "always"
            if rule := self._tools.remember(question.call, always=always):
                where = "written to the config" if always else "until the server ends"
                text = f"allowed from now on, {where}: {' '.join(rule.split())}"
                self._wire.put({"type": "note", "text": text})
        return answer

    def answer(self, digest: str, answer: Answer) -> None:
        """Answer the open question. Raises ApiError where it is another, or none."""
        asked = self.question
        if asked is None or self._answer is None or self._answer.done():
            raise ApiError("nothing is asked", status=409, code="moved")
        if digest != asked.digest:
            raise ApiError("another question is open by now", status=409, code="moved")
        if answer.allowed and answer.by != "once" and not asked.always:
            raise ApiError("no rule can be made of this call: answer once", param="by")
        self._answer.set_result(answer)


async def _chain(first: Event, rest: AsyncIterator[Event]) -> AsyncIterator[Event]:
    yield first
    async for event in rest:
        yield event
