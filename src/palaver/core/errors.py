"""Errors a user can act on.

    PalaverError
    ├── UserError       what the user gave or asked can't be done; says what to do (exit code 2)
    ├── EngineError     an engine failed or died; the conversation goes on (exit code 1)
    └── StoreError      the session store can't be used; nothing was overwritten (exit code 1)

What a model did wrong is data (`Message.stop`, `ToolCall.error`), never one of these.
What we did wrong is any other exception and ends in a traceback.
"""


class PalaverError(Exception):
    """Base of the errors that are shown as one message, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        """`message` says what is wrong, naming the file or value; `fix` says what to do."""
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n{self.fix}" if self.fix else self.message


class UserError(PalaverError):
    """What the user gave or asked for can't be done."""

    exit_code = 2


class EngineError(PalaverError):
    """An engine refused, failed or died."""

    def __init__(self, message: str, *, fix: str | None = None, died: bool = False) -> None:
        """`died`: its process is gone, so the caller may start it again."""
        super().__init__(message, fix=fix)
        self.died = died


class StoreError(PalaverError):
    """The session store can't be read or written."""
