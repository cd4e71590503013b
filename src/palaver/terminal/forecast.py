"""What the next turn of a chat would cost, as far as it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver import conversation
from palaver.core.errors import PalaverError
from palaver.core.model import Cost
from palaver.terminal import command
from palaver.terminal.words import seconds

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller


class Forecast:
    """The newest count; forgotten as soon as something made it untrue."""

    def __init__(self) -> None:
        self.cost: Cost | None = None  # of the next turn; None while it isn't known
        self.uncounted = ""  # why it can't be told
        self.used = "0"  # tokens of the context, when they were last counted; "~" if guessed
        self.pace: float | None = None  # seconds a prompt token takes, measured
        self.forgotten = 0  # how often the cost became unknown

    def forget(self) -> None:
        """Note that what the next turn costs is not known any more."""
        self.cost, self.uncounted = None, ""
        self.forgotten += 1

    def expected(self) -> str:
        """Say what a turn begins with, and how long that takes if it is known and noticeable."""
        cost = self.cost
        if cost is None or cost.seconds is None or cost.seconds < 1:
            return "reading"
        return f"reading (~{seconds(cost.seconds)})"

    async def count(self, chat: Controller, draft: str) -> None:
        """Count what sending `draft` would cost, unless a turn is under way."""
        model = chat.model
        if model is None or chat.busy or not chat.opened:
            return
        if not chat.upkeep.works(model):
            self.cost, self.uncounted = None, chat.upkeep.engine_state
            return
        said = "" if command.split(draft.strip()) else command.said(draft.strip())
        began = self.forgotten
        cost, why = None, ""
        try:
            rows = chat.conversation.rows
            told = bool(said or conversation.waiting(rows))
            text = conversation.said(rows, said).text if told else ""
            cost = await model.cost(chat.conversation.view, chat.tooling.specs, text)
        except PalaverError as error:
            why = str(error).partition("\n")[0]
        if self.forgotten != began or chat.busy:
            return  # it is out of date already
        self.cost, self.uncounted = cost, why
        if cost:
            self.used = f"{'' if cost.exact else '~'}{cost.reused + cost.prefill}"
            if cost.seconds is not None and cost.prefill:
                self.pace = cost.seconds / cost.prefill
