"""The user's own commands: run on a terminal of their own, shared with the next message.

What a command prints is kept before it is shown, and is an entry of the log as soon as it ended;
the model sees it as the beginning of the user's next message, never as a message of its own.
"""

from __future__ import annotations

import codecs
import shlex
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.assemble import PRINTED
from palaver.chat.cut import cut
from palaver.config import environment
from palaver.core.errors import StoreError, UserError
from palaver.core.log import Notice, Row
from palaver.core.printed import plain
from palaver.terminal.words import plural
from palaver.tools.output import MOST, Output

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller


async def run(chat: Controller, line: str, *, private: bool) -> None:
    """Run a line in the user's shell, with the terminal handed over to it."""
    from palaver.terminal import pty

    shell = environment.shell()
    if shutil.which(shell) is None:
        raise UserError(f"there is no shell {shell}", fix="set SHELL to one that there is")
    output = Output(lambda _text: None)
    kept = None if private else await _Kept.begin(chat, line)

    async def printed(data: bytes) -> None:
        output.add(data)
        if kept:
            await kept.add(data)

    async with chat.screen.lend():
        try:
            code = await pty.run([shell, "-c", line], chat.tooling.folder, printed)
        except OSError as error:
            raise UserError(f"it can't be run: {error.strerror or error}") from None
    ended = f"exit code {code}" if code >= 0 else f"killed by {signal.strsignal(-code)}"
    if private:
        if code:
            chat.screen.note(ended)
        return
    text = plain(output.text())
    shared = await share(chat, line, text, ended)
    lines = plural(shared.count("\n") + 1 if shared else 0, "line")
    rest = "" if shared == text else ", the middle left out"
    chat.screen.note(f"{ended}; {lines} for the model, with your next message{rest}")


class _Kept:
    """What a command that runs has printed, in the journal: it outlives a kill."""

    def __init__(self, chat: Controller, begun: Row) -> None:
        """Use `begin`."""
        self._conversation, self._begun = chat.conversation, begun
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._room = MOST

    @classmethod
    async def begin(cls, chat: Controller, line: str) -> _Kept:
        """Write down that a command begins. Raises StoreError, and then it does not."""
        return cls(chat, await chat.conversation.append(Notice("info", f"$ {line}"), durable=False))

    async def add(self, data: bytes) -> None:
        """Keep what comes, as far as it is kept in the end."""
        data, self._room = data[: self._room], self._room - len(data[: self._room])
        if text := self._decoder.decode(data):
            with suppress(StoreError):  # the command goes on; `share` meets it and tells of it
                await self._conversation.printed(self._begun, text)


async def share(chat: Controller, line: str, text: str, ended: str = "") -> str:
    """Keep what a command printed for the next message; return what of it the model gets."""
    printed = cut(text.rstrip("\n"), chat.tooling.shop.longest, "", None)
    last = f"[{ended}]" if ended else ""
    block = "\n".join(part for part in (f"$ {line}", printed, last) if part)
    await chat.conversation.append(Notice("exec", block))
    chat.tooling.guard.taint(PRINTED)
    chat.forecast.forget()
    chat.screen.changed()
    return printed


def moves_to(line: str) -> str | None:
    """Return the folder that a line moves to, if it asks for just that."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if words[:1] != ["cd"] or len(words) > 2 or any(char in line for char in "$`;&|<>*?("):
        return None
    return words[1] if words[1:] else "~"


def go(chat: Controller, place: str) -> Path:
    """Move the user's commands to another folder ("-": the one before); return it.

    Tools stay: what they may read unasked is in their folder, so only `/cd` moves them.
    """
    tooling = chat.tooling
    target = tooling.left if place == "-" else tooling.folder / _home(Path(place))
    try:
        target = target.resolve(strict=True)
    except OSError as error:
        raise UserError(f"{place}: {error.strerror}") from None
    if not target.is_dir():
        raise UserError(f"{place} is no folder")
    tooling.folder, tooling.left = target, tooling.folder
    return target


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no such home") from None
