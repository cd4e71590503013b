"""What a tool sees of the sandbox that its programs run in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from socket import socket
from typing import Protocol, Self

from msgspec import Struct


class Exit(Struct, frozen=True):
    """How a program ended: its exit code, or the name of the signal that ended it."""

    code: int | None = None
    signal: str | None = None

    def __str__(self) -> str:
        """Say it in words."""
        return f"killed by {self.signal}" if self.signal else f"exit code {self.code}"


class Process(Protocol):
    """A program that runs, with all that it starts. `async with` ends it."""

    channel: socket

    async def __aenter__(self) -> Self:
        """Return itself."""

    async def __aexit__(self, *_: object) -> None:
        """Kill what still runs."""

    async def read(self) -> bytes:
        """Return output, standard output and error in the order they came; b"" at its end."""

    async def wait(self) -> Exit:
        """Return how it ended. Output that nobody reads can keep it from ending."""

    def drain(self) -> bytes:
        """Return what has been written so far and not been read."""

    def signal(self, number: int) -> None:
        """Send a signal to the program and its process group."""

    async def sweep(self) -> None:
        """End everything that the program has started, but not itself."""

    async def kill(self) -> None:
        """End it and everything that it started; safe to call twice."""


class Sandbox(Protocol):
    """Starts programs that can do no more than a policy says."""

    def describe(self) -> str:
        """Say in one line what holds a program in its place."""

    async def start(
        self,
        argv: Sequence[str],
        cwd: Path,
        *,
        network: bool = False,
        channel: bool = False,
        environment: dict[str, str] | None = None,
    ) -> Process:
        """Start a program. `channel`: its standard input is a socket, `Process.channel` the other.

        `environment` adds to what all programs get. Raises UserError where no sandbox can be had
        (it says how to get one), ToolError where the program can't be started.
        """
