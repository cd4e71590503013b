"""Terminal emulators for tests: pyte, with what it does wrong put right, or with ears."""

from __future__ import annotations

from typing import Any

import pyte
from wcwidth import wcwidth


class Screen(pyte.Screen):
    """pyte's screen; a joiner or selector stays in the cell it follows (pyte drops the rest)."""

    def draw(self, data: str) -> None:
        for char in data:
            if wcwidth(char) != 0:
                super().draw(char)
                continue
            row = self.buffer[self.cursor.y]
            at = self.cursor.x - 1
            while at > 0 and row[at].data == "":
                at -= 1
            if at >= 0:
                row[at] = row[at]._replace(data=row[at].data + char)


class History(pyte.HistoryScreen, Screen):
    """A screen that keeps what scrolls off its top."""


class Ears:
    """What a stream talks to: passes all on to `screen`; `events` has what is more than text."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.events: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("draw", "linefeed", "carriage_return", "tab") or name not in pyte.Stream.events:
            return getattr(self.screen, name)

        def heard(*args: Any, **_: Any) -> None:
            self.events.append(f"{name}{args}")

        return heard


def listen(text: str, columns: int, lines: int) -> tuple[Screen, list[str]]:
    """Return a screen after `text`, and all that was done to it beside writing."""
    ears = Ears(Screen(columns, lines))
    pyte.Stream(ears).feed(text.replace("\n", "\r\n"))
    return ears.screen, ears.events


def show(text: str, columns: int, lines: int, kind: type[Screen] = Screen) -> Any:
    """Return a screen after `text`; its newlines also return the carriage, as a tty's do."""
    screen = kind(columns, lines)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return screen


def rows(screen: Any) -> list[str]:
    """Return all rows of a screen, those scrolled off first, without trailing blanks."""
    kept = [*getattr(screen, "history", ((),))[0]]
    kept += [screen.buffer[y] for y in range(screen.lines)]
    found = ["".join(row[x].data for x in range(screen.columns)).rstrip() for row in kept]
    while found and not found[-1]:
        found.pop()
    return found
