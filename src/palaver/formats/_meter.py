"""Counts what a template spends, so that none can stop the terminal or fill the memory.

A template comes with a model file from anybody. Jinja's sandbox keeps it from Python's insides
but not from `'a' * 300000000` or nested loops. So each block entered, call, filter and operator
costs steps, each text and list made costs bytes, and no single text may be longer than a limit;
all three grow with the conversation. Counting instead of a clock keeps rendering pure: what
renders once always renders.
"""

from __future__ import annotations

import sys
from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any

STEPS = 300_000  # half a second at worst
STEPS_A_MESSAGE = 10_000
STEPS_A_PAIR = 60  # some real templates look at every message for every message: 28 at most
BYTES = 32_000_000
LONGEST = 2_000_000  # characters
BITS = 10_000  # of an integer
DEPTH = 500  # of lists in lists


_CONTAINERS = (dict, list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)


class TooMuchError(Exception):
    """A template spends more than a conversation of this size can need."""


class Meter:
    """What is left to spend in one rendering."""

    def __init__(self, context: dict[str, Any]) -> None:
        """`context` is what the template is given: its size sets the limits."""
        self.steps = sys.maxsize
        nodes, chars, _ = self.weigh(context)
        messages = len(context.get("messages", ())) + len(context.get("tools") or ())
        self.steps = STEPS + STEPS_A_MESSAGE * messages + STEPS_A_PAIR * messages**2 + 4 * chars
        self.bytes = BYTES + (40 + messages) * (4 * chars + 64 * nodes)
        self.longest = LONGEST + 8 * chars

    def tick(self, steps: int) -> None:
        """Spend `steps`."""
        self.steps -= steps
        if self.steps < 0:
            raise TooMuchError("it takes too many steps")

    def room(self, chars: int, each: int = 1) -> None:
        """Ask for a text of `chars` characters, or a list of so many items of `each` bytes."""
        if chars > self.longest:
            raise TooMuchError(f"it makes a value of {chars:,} characters or items")
        self.steps -= chars >> 8
        self.bytes -= chars * each
        if self.bytes < 0 or self.steps < 0:
            raise TooMuchError("it takes too much memory")

    def weigh(self, value: Any) -> tuple[int, int, int]:
        """Return a value's nodes, characters and depth; costs steps.

        A value that is shared counts each time it is met, as comparing or writing it would.
        """
        if isinstance(value, str):
            self.tick(len(value) >> 8)
            return 1, len(value), 0
        if isinstance(value, range):
            self.tick(len(value) >> 1)
            return len(value), 24 * len(value), 1
        if not isinstance(value, _CONTAINERS):
            return 1, 24, 0
        nodes = chars = depth = 0
        level: list[Any] = [value]
        while level:
            depth += 1
            below: list[Any] = []
            for item in level:
                nodes += 1
                if isinstance(item, str):
                    chars += len(item)
                elif isinstance(item, dict):
                    below += item.keys()
                    below += item.values()
                elif isinstance(item, _CONTAINERS):
                    below += item
            self.tick(1 + (len(level) >> 1))
            if depth > DEPTH:  # Python would run out of stack when it hashes such a tuple
                raise TooMuchError("it nests a value too deeply")
            if len(below) > self.steps:
                self.tick(len(below))
            level = below
        self.tick(chars >> 8)
        return nodes, chars + 4 * nodes, depth
