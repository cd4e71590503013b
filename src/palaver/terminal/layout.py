"""What stands below the scrollback: the open end of an answer, the input line, the status line."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import AnyFormattedText, StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
from prompt_toolkit.key_binding.bindings.open_in_editor import load_open_in_editor_bindings
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Dimension,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
)
from prompt_toolkit.output import Output
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

PROMPT = "you> "
_MENU = 8  # rows kept free below the input line while completions are shown

_STYLE = Style.from_dict({"status": "fg:ansibrightblack", "prompt": "bold"})
_PLAIN = Style.from_dict({})

Text = Callable[[], AnyFormattedText]


def make_application(
    tail: Text,
    status: Text,
    keys: KeyBindings,
    history: History,
    output: Output,
    *,
    vi: bool,
    color: bool,
) -> tuple[Application[None], Buffer]:
    """Build the application and its input buffer; nothing is drawn yet.

    `tail` is what stands above the input line and is redrawn, `status` the line below it.
    """
    buffer = Buffer(name=DEFAULT_BUFFER, history=history, multiline=True, tempfile_suffix=".md")
    search = SearchToolbar()
    control = BufferControl(
        buffer=buffer,
        search_buffer_control=search.control,
        input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor()],
    )

    def height() -> Dimension:
        return Dimension(min=_MENU) if buffer.complete_state else Dimension()

    entry = Window(
        control,
        height=height,
        get_line_prefix=_prefix,
        wrap_lines=True,
        dont_extend_height=True,
        style="class:input",
    )
    above = ConditionalContainer(
        Window(FormattedTextControl(tail), wrap_lines=True, dont_extend_height=True),
        Condition(lambda: bool(tail())),
    )
    menu = Float(CompletionsMenu(max_height=_MENU, scroll_offset=1), xcursor=True, ycursor=True)
    below = Window(FormattedTextControl(status), height=1, style="class:status")
    body = FloatContainer(HSplit([above, entry, search, below]), [menu])
    application: Application[None] = Application(
        Layout(body, focused_element=entry),
        key_bindings=merge_key_bindings([load_open_in_editor_bindings(), keys]),
        editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
        style=_STYLE if color else _PLAIN,
        include_default_pygments_style=False,
        erase_when_done=True,
        output=output,
    )
    return application, buffer


def _prefix(line: int, wrapped: int) -> StyleAndTextTuples:
    if line == 0 and wrapped == 0:
        return [("class:prompt", PROMPT)]
    return [("", " " * len(PROMPT))]
