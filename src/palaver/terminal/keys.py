"""Keys of the input line that are not prompt_toolkit's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import completion_is_selected, has_focus, is_searching
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
        text = buffer.text
        if text.strip():
            buffer.append_to_history()
        buffer.reset()
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
        app.toggle_reasoning()

    return keys
