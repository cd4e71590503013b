"""Completion of commands, their arguments and paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from palaver.core.errors import UserError
from palaver.terminal import command

if TYPE_CHECKING:
    from palaver.terminal.controller import Controller


class ChatCompleter(Completer):
    """Completes slash commands, then what the command says of its argument; else paths."""

    def __init__(self, chat: Controller) -> None:
        self._chat = chat
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield what could stand at the cursor."""
        text = document.text_before_cursor
        if text.startswith(("/", ":")) and not any(c.isspace() for c in text) and text[:2] != "//":
            begun = text[1:]
            for name in command.names():
                if name.startswith(begun):
                    yield Completion(text[0] + name, -len(text))
            return
        if (found := command.split(text)) and found[0] == "exec":
            folder = str(self._chat.tooling.folder)
            word = document.get_word_before_cursor(WORD=True).lstrip("!")
            files = PathCompleter(expanduser=True, get_paths=lambda: [folder])
            yield from files.get_completions(Document(word, len(word)), complete_event)
            return
        if found:
            yield from self._argument(found[0], text.partition(" ")[2], complete_event)
            return
        word = document.get_word_before_cursor(WORD=True)
        if "/" in word or word.startswith("~"):
            yield from self._path(word, complete_event)

    def _argument(
        self, name: str, begun: str, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        try:
            complete = command.find(name).complete
        except UserError:
            return
        if complete is None:
            return
        choices = [complete] if isinstance(complete, str) else complete(self._chat, begun)
        for choice in choices:
            if choice == "path":
                yield from self._path(begun, complete_event)
            elif choice.startswith(begun):
                yield Completion(choice, -len(begun))

    def _path(self, begun: str, complete_event: CompleteEvent) -> Iterable[Completion]:
        return self._paths.get_completions(Document(begun, len(begun)), complete_event)
