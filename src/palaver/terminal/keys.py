"""Keys of the input line that are not prompt_toolkit's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import (
    completion_is_selected,
    has_focus,
    has_selection,
    is_searching,
    vi_navigation_mode,
)
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

if TYPE_CHECKING:
    from palaver.terminal.app import App


def bindings(app: App) -> KeyBindings:
    """Make the keys: Enter sends, Alt-Enter and Ctrl-J break the line, Ctrl-C interrupts."""
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER) & ~is_searching

    @keys.add("enter", filter=typing & ~completion_is_selected)
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        # Bytes that are no UTF-8 come as lone surrogates, which no file and no model takes.
        text = buffer.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if text != buffer.text:
            buffer.text = text
        if text.strip():
            buffer.append_to_history()
        buffer.reset()
        event.app.vi_state.reset()  # the next line begins in insert mode, as in a shell
        app.submit(text)

    @keys.add("enter", filter=typing & completion_is_selected)
    def _take(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    @keys.add("escape", "enter", filter=typing)
    @keys.add("c-j", filter=typing)
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c", filter=~is_searching)
    def _interrupt(_event: KeyPressEvent) -> None:
        app.interrupt()

    @keys.add("c-d", filter=typing)
    def _leave(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.delete()
        else:
            app.leave()

    @keys.add("c-o", filter=typing)
    def _reasoning(_event: KeyPressEvent) -> None:
        app.stage.toggle_reasoning()

    @keys.add("c-z")
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    @keys.add("c-x", "c-e", filter=typing & ~has_selection)
    @keys.add("v", filter=typing & vi_navigation_mode & ~has_selection)
    def _editor(event: KeyPressEvent) -> None:
        event.current_buffer.open_in_editor()  # what was saved stands in the line, not sent yet

    return keys
