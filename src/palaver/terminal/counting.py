"""Keeps the count of what the next turn would cost: when it is stale, and the user stopped typing.

Once for each turn, when they begin to type, what the prompt begins with is read ahead.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palaver.terminal.app import App

_PAUSE = 0.25  # seconds without a key before the next turn's cost is counted


class Counting:
    """Counts for one chat, behind its input line."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._last_key = 0.0
        self._task: asyncio.Task[None] | None = None
        self._stale = False  # what the next turn would cost is not what the status line says
        self._typing = False  # since the last turn
        self._warmed = False

    def typed(self) -> None:
        """Take note of a key; count once there is a pause."""
        self._last_key = time.monotonic()
        if not self._app.busy:
            self._typing = True
            self._begin()

    def now(self) -> None:
        """Count without waiting for a pause."""
        self._last_key = 0.0
        self._begin()

    def turn_over(self) -> None:
        """Count for the next turn."""
        self._typing = self._warmed = False
        self.now()

    def end(self) -> None:
        """Count no more."""
        if self._task:
            self._task.cancel()

    def _begin(self) -> None:
        self._stale = True
        if not self._app.left and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._count())

    async def _count(self) -> None:
        app = self._app
        while self._stale:
            left = self._last_key + _PAUSE - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
                continue
            self._stale = False
            if app.chat is None:
                return
            await app.chat.forecast.count(app.chat, app.buffer.text)
            app.stage.changed()
            if self._typing and not self._warmed and app.chat.model and not app.busy:
                self._warmed = self._stale = True
                await app.chat.warm()
