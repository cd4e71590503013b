"""What stands below the scrollback: the open end of an answer, the input line, the status line."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings
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
STATUS = 2  # rows that the status line may take
MENU = 8  # rows kept free below the input line while completions are shown

_STYLE = Style.from_dict({"status": "fg:ansibrightblack", "prompt": "bold"})
_PLAIN = Style.from_dict({})


class Inline(Application[None]):
    """An application that says when its terminal was resized, before it draws itself anew."""

    resized: Callable[[], None] | None = None

    def _on_resize(self) -> None:
        if self.resized:
            self.resized()
        super()._on_resize()


def make_application(
    tail: Callable[[], StyleAndTextTuples],
    status: Callable[[], str],
    keys: KeyBindings,
    history: History,
    output: Output,
    *,
    vi: bool,
    color: bool,
) -> tuple[Inline, Buffer]:
    """Build the application and its input buffer; nothing is drawn yet.

    `tail` is what stands above the input line and is redrawn, `status` the line below it.
    """
    buffer = Buffer(name=DEFAULT_BUFFER, history=history, multiline=True, tempfile_suffix=".md")
    search = SearchToolbar(ignore_case=True)
    entry = _entry(buffer, search, output)
    above = ConditionalContainer(
        Window(FormattedTextControl(tail), wrap_lines=True, dont_extend_height=True),
        Condition(lambda: bool(tail())),
    )
    menu = Float(CompletionsMenu(max_height=MENU, scroll_offset=1), xcursor=True, ycursor=True)
    body = FloatContainer(HSplit([above, entry, search, _below(status)]), [menu])
    application = Inline(
        Layout(body, focused_element=entry),
        key_bindings=keys,
        editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
        style=_STYLE if color else _PLAIN,
        include_default_pygments_style=False,
        erase_when_done=True,
        output=output,
    )
    return application, buffer


def _entry(buffer: Buffer, search: SearchToolbar, output: Output) -> Window:
    control = BufferControl(
        buffer=buffer,
        search_buffer_control=search.control,
        preview_search=True,
        input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor()],
    )

    def height() -> Dimension:
        room = max(1, min(MENU, output.get_size().rows - 2))
        return Dimension(min=room) if buffer.complete_state else Dimension()

    return Window(
        control, height=height, get_line_prefix=_prefix, wrap_lines=True, dont_extend_height=True
    )


def _below(status: Callable[[], str]) -> Window:
    def text() -> StyleAndTextTuples:
        # A fragment's style, not the window's: a styled row is filled with blanks to its end,
        # and would break into two on a terminal made narrower.
        return [("class:status", status())]

    return Window(
        FormattedTextControl(text),
        height=Dimension(min=1, max=STATUS),
        wrap_lines=True,
        dont_extend_height=True,
    )


def _prefix(line: int, wrapped: int) -> StyleAndTextTuples:
    if line == 0 and wrapped == 0:
        return [("class:prompt", PROMPT)]
    return [("", " " * len(PROMPT))]
