"""The terminal of a chat: what is final goes into the scrollback, the rest is drawn below it.

prompt_toolkit draws what is below (the open end of an answer, the input line, the status line).
What is final is written where that stood, in one piece with drawing it again, so that nothing
flickers and a paste or a key in between is never lost.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.layout.screen import Char
from prompt_toolkit.output import Output, create_output

from palaver.config import environment
from palaver.terminal.layout import Inline


def _cells(row: Mapping[int, Char]) -> int:
    return max((at + char.width for at, char in row.items() if char.char != " "), default=0)


class Canvas:
    """Writes for one application; `lost` is called once when the terminal is gone."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self.output: Output = create_output(sys.stdout)
        self.output.enable_cpr = False  # type: ignore[attr-defined]  # it delays the first key
        self.gone = False
        self._application: Application[None] | None = None
        self._held: list[str] = []  # what came while another program had the terminal
        self._lost = lost
        self._reflows = environment.reflows()

    def attach(self, application: Inline) -> None:
        """Take the application that draws on this terminal."""
        self._application = application
        application.resized = self.resized
        application.before_render += lambda _app: self._release()

    @property
    def columns(self) -> int:
        """The terminal's width."""
        return self.output.get_size().columns

    @property
    def lines(self) -> int:
        """The terminal's height."""
        return self.output.get_size().rows

    def write(self, text: str) -> None:
        """Write whole lines above what is redrawn, into the scrollback."""
        app = self._application
        if self.gone or app is None:
            return
        if app._running_in_terminal:  # an editor is open, or the program is about to be stopped
            self._held.append(text)
            return
        drawn = app.is_running and not app.is_done
        try:
            if drawn:
                self._erase(app)
            self.output.write_raw(text.replace("\n", "\r\n"))
            if drawn:
                app._redraw()
            self.output.flush()
        except OSError:
            self.hang_up()

    def resized(self) -> None:
        """Erase what was drawn, before it is drawn again in another width.

        A terminal that became narrower may have broken its rows anew, and they are more now.
        """
        app = self._application
        if self.gone or app is None or app._running_in_terminal:
            return
        renderer, columns = app.renderer, self.columns
        screen, size, at = renderer._last_screen, renderer._last_size, renderer._cursor_pos
        if self._reflows and screen and size and columns < size.columns:
            rows = [screen.data_buffer[y] for y in range(at.y)]
            above = sum(max(1, -(-_cells(row) // columns)) for row in rows)
            renderer._cursor_pos = Point(x=at.x % columns, y=above + at.x // columns)
        self._erase(app)

    def hang_up(self) -> None:
        """Write no more: the terminal was closed."""
        if not self.gone:
            self.gone = True
            self._lost()

    def _erase(self, app: Application[None]) -> None:
        """Go to where the drawing begins and clear from there.

        `Renderer.erase` would do, but it flushes, and it turns bracketed paste off and on again:
        a paste that comes between the two would be sent line by line.
        """
        renderer, output = app.renderer, self.output
        output.cursor_backward(renderer._cursor_pos.x)
        output.cursor_up(renderer._cursor_pos.y)
        output.reset_attributes()
        # Not from the first column on: tmux takes that, in the top row, for clearing the screen,
        # and would keep what was drawn in its scrollback.
        output.erase_end_of_line()
        output.cursor_forward(1)
        output.erase_down()
        output.cursor_backward(1)
        renderer._cursor_pos = Point(x=0, y=0)
        renderer._last_screen = None
        renderer._last_style = None

    def _release(self) -> None:
        """Write what was held, before the first drawing after that."""
        held, self._held = self._held, []
        if held and not self.gone:
            self.output.write_raw("".join(held).replace("\n", "\r\n"))
