"""An answer above the input line: reasoning folded or dimmed, text as Markdown, calls as lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from palaver.core.events import (
    CallDelta,
    CallParsed,
    Event,
    Prefill,
    Raw,
    ReasoningDelta,
    StateChanged,
    TextDelta,
    ToolFinished,
    ToolOutput,
    ToolStarted,
    Waiting,
)
from palaver.core.messages import ToolCall
from palaver.terminal.answer import DIM, FoldedView, MarkdownView
from palaver.terminal.escape import visible
from palaver.terminal.fold import folded
from palaver.terminal.rawview import RawView
from palaver.terminal.toolview import output_rows, result_rows
from palaver.terminal.words import again_in, rate, seconds

Rows = Sequence[str]
_LABELS = {"Assistant:": "32", "CoT:": "33", "Tool": "36"}  # SGR


class AnswerView:
    """Turns events into rows that are final and a tail that is not; writes nothing itself."""

    def __init__(
        self,
        columns: Callable[[], int],
        *,
        color: bool,
        labelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """`labelled` says whether each part of an answer is to stand under a name."""
        self.show_reasoning = False
        self._labelled = labelled
        self._columns = columns
        self._color = color
        self._final: list[str] = []
        self._tail: Rows = ()
        self._view: MarkdownView | FoldedView | RawView | None = None
        self._kind = ""
        self._waiting = ""
        self._began = self._reading = 0.0
        self._pace: float | None = None
        self._read: tuple[Prefill, float] | None = None  # the newest progress, when it came
        self._writing: tuple[str, int] | None = None  # that is being written: its name, its size
        self._printed: set[str] = set()  # calls whose output was shown as it came
        self._thoughts: list[str] = []  # the reasoning deltas of this answer or the last one
        self._counted = 0  # how many of them a line has told of

    def begin(self, what: str, pace: float | None = None) -> None:
        """Start an answer; `what` is shown until something comes.

        `pace` is the seconds that reading a token takes, as far as they were measured before.
        """
        self._waiting = what
        self._began = time.monotonic()
        self._pace = pace
        self._read = None
        self._final, self._tail, self._view, self._kind = [], (), None, ""
        self._thoughts, self._counted = [], 0

    def feed(self, events: Sequence[Event]) -> None:
        """Take a frame; `paint` makes rows of it."""
        for event in events:
            if isinstance(event, Raw):
                self._tokens(event)
            elif self._kind == "raw" and isinstance(event, TextDelta | ReasoningDelta | CallParsed):
                continue  # it stands there as it was written
            elif isinstance(event, TextDelta | ReasoningDelta):
                self._more("text" if isinstance(event, TextDelta) else "reasoning", event)
            elif isinstance(event, CallDelta):
                self._calling(event)
            elif isinstance(event, CallParsed):
                self._close()
                self._writing = None
                self._final.append(self._call(event.call))
            elif isinstance(event, ToolStarted | ToolOutput | ToolFinished | StateChanged):
                self._tool(event)
            elif isinstance(event, Prefill):
                now = time.monotonic()
                if self._read is None:
                    self._reading = now
                self._read = event, now
            elif isinstance(event, Waiting):
                self._waiting = visible(again_in(event.why, event.seconds), newlines=False)
                self._began, self._read = time.monotonic(), None

    def _calling(self, event: CallDelta) -> None:
        """Note how much of a call has been written: a file's content can be long."""
        name, size = self._writing or ("", 0)
        self._writing = event.name or name, size + len(event.arguments)

    def _tool(self, event: ToolStarted | ToolOutput | ToolFinished | StateChanged) -> None:
        """Take what tools do: it stands between the answers of a turn."""
        self._close()
        self._kind = ""
        if isinstance(event, StateChanged):
            self._waiting = "reading" if event.state == "thinking" else ""
        elif isinstance(event, ToolStarted):
            self._waiting = f"running {visible(event.call.name, newlines=False)}"
        elif isinstance(event, ToolOutput):
            self._printed.add(event.call_id)
            self._final += output_rows(event.text, self._columns(), color=self._color)
        else:
            self._waiting = ""
            printed = event.result.call_id in self._printed
            self._printed.discard(event.result.call_id)
            self._final += result_rows(event, self._columns(), color=self._color, printed=printed)
        self._began, self._read = time.monotonic(), None

    def paint(self) -> list[str]:
        """Return the rows that have become final; `tail` has those that are not."""
        if self._view:
            self._view.paint()
        final, self._final = self._final, []
        return final

    def finish(self) -> list[str]:
        """End the answer; return the rows that are left."""
        self._close()
        self._waiting, self._writing = "", None
        self._tail = ()
        return self.paint()

    @property
    def waits(self) -> bool:
        """Whether nothing has come yet."""
        return bool(self._waiting) and not self._kind

    def tail(self) -> Rows:
        """Return the rows that are not final; before the first word, what is waited for."""
        if self._writing:
            name, size = self._writing
            calling = f"writing a call of {visible(name, newlines=False)}: {size} characters"
            return (*self._tail, calling)
        if self._tail or not self.waits:
            return self._tail
        waited = time.monotonic() - self._began
        what = self._progress(*self._read) if self._read else self._waiting
        text = f"{what} ... {waited:.0f} s" if waited >= 1 else f"{what} ..."
        return tuple(folded(text, max(2, self._columns() - 1)).split("\n"))

    def toggle_reasoning(self) -> list[str]:
        """Show or fold reasoning from now on; return rows of reasoning that were folded till now.

        What comes just now opens or folds at once.
        """
        self.show_reasoning = not self.show_reasoning
        if self._kind == "reasoning" and isinstance(self._view, MarkdownView | FoldedView):
            if self.show_reasoning:
                self._view.suspend()
                self._view = self._open("reasoning")
                self._view.feed("".join(self._thoughts))
            else:
                self._view.finish()
                self._view = self._open("reasoning")
            return self.paint()
        if not (self.show_reasoning and self._thoughts):
            return []
        tail, rows = self._tail, self._final
        self._final = []
        again = MarkdownView(self._update, self._size, color=self._color, base=self._base)
        again.feed("".join(self._thoughts))
        again.finish()
        shown, self._final, self._tail = self._final, rows, tail
        return shown

    def _more(self, kind: str, event: TextDelta | ReasoningDelta) -> None:
        if kind != self._kind or self._view is None or event.new:
            self._close()
            self._kind = kind
            if self._labelled():
                self._final.append(self._label("Assistant:" if kind == "text" else "CoT:"))
            if event.error:
                self._final.append(self._styled(DIM, f"[{visible(event.error, newlines=False)}]"))
            self._view = self._open(kind)
        if kind == "reasoning":
            self._thoughts.append(event.text)
        self._view.feed(event.text)

    def _tokens(self, event: Raw) -> None:
        if not isinstance(self._view, RawView):
            self._close()
            self._kind = "raw"
            self._view = RawView(self._update, self._size, color=self._color)
        self._view.feed(event.text, read=event.prompt)

    def _call(self, call: ToolCall) -> str:
        name, arguments = (visible(text, newlines=False) for text in (call.name, call.arguments))
        if self._labelled():
            return f"{self._label(f'Tool call to {name}:')} {arguments}"
        return f"[call] {name}({arguments})"

    def _label(self, text: str) -> str:
        """Colour a name as gpt-oss's own chat does."""
        return self._styled(_LABELS[text.split()[0]], text)

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text

    @property
    def _base(self) -> str:
        return DIM if self._color else ""

    def _open(self, kind: str) -> MarkdownView | FoldedView:
        if kind == "reasoning" and not self.show_reasoning:
            return FoldedView(self._update, self._size, color=self._color)
        base = self._base if kind == "reasoning" else ""
        return MarkdownView(self._update, self._size, color=self._color, base=base)

    def _close(self) -> None:
        if isinstance(self._view, FoldedView):
            # A delta is a token where we run the model; a server may send several in one.
            self._view.finish(len(self._thoughts) - self._counted)
            self._counted = len(self._thoughts)
        elif self._view:
            self._view.finish()
        self._view = None

    def _update(self, finished: Rows, tail: Rows) -> None:
        self._final += finished
        self._tail = tuple(tail)

    def _size(self) -> tuple[int, int]:
        return max(2, self._columns() - 1), 1000

    def _progress(self, p: Prefill, at: float) -> str:
        """Write how far the prompt is read, as the engine reported it `at` some moment."""
        fresh, done = p.total - p.reused, max(p.done - p.reused, 0)
        if fresh <= 0:
            return "reading"
        width = max(0, min(20, self._columns() - 72))
        filled = width * done // fresh
        bar = f" [{'#' * filled}{'.' * (width - filled)}]" if width else ""
        passed = at - self._reading
        speed = f", {rate(done, passed)}" if done and passed > 0 else ""
        pace = passed / done if done and passed > 0 else self._pace
        rest = (fresh - done) * pace - (time.monotonic() - at) if pace else 0.0
        left = f", ~{seconds(rest)} left" if rest >= 1 else ""
        return f"reading{bar} {done} of {fresh} tokens ({p.reused} reused){speed}{left}"
