"""The `palaver` command: finds the subcommand and loads only that."""

from __future__ import annotations

import sys

from palaver.cli import _streams

TYPE_CHECKING = False  # `typing` itself would be most of what `--version` costs
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Run `palaver`; ends the process with the exit code of design.md."""
    _streams.prepare()
    argv = sys.argv[1:]
    try:
        code = 0 if _told(argv) or not _first() else _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:  # while something was still being imported, or already closed
        code = 130
    except OSError as error:
        if _unwritable(error):
            _streams.silence()
            code = 0 if isinstance(error, BrokenPipeError) else _streams.report(_full(error))
        elif isinstance(error, PermissionError) and error.filename:
            code = _streams.report(_forbidden(error))
        else:
            raise
    _ignore_interrupts()
    sys.exit(code)


def _told(argv: list[str]) -> bool:
    """Print what is asked for so often that it may load nothing; False for all else."""
    if argv == ["--version"]:
        from palaver import __version__

        sys.stdout.write(f"palaver {__version__}\n")
    elif argv in (["--help"], ["-h"]):
        from palaver.cli._help import text

        sys.stdout.write(text())
    else:
        return False
    return True


def _unwritable(error: OSError) -> bool:
    """Say whether it was the output that failed: its reader left, or its disk is full."""
    import errno

    full = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    return error.errno in full and error.filename is None


def _full(error: OSError) -> Exception:
    from palaver.core.errors import PalaverError

    return PalaverError(f"the output can't be written: {error.strerror}")


def _forbidden(error: OSError) -> Exception:
    from palaver.config.paths import forbidden

    return forbidden(error.filename)


def _first() -> bool:
    """Say whether this process is to do the work: under torchrun only the first of them is."""
    from palaver.config.environment import torchrun

    place = torchrun()
    if place is None:
        return True
    number, count = place
    if number == 0:
        sys.stderr.write(
            f"palaver: starts its own processes: --tensor-parallel {count} does this without"
            " torchrun\n"
        )
    return number == 0


def _ignore_interrupts() -> None:
    """From here on there is nothing to stop; Ctrl-C would only change the exit code."""
    signal = sys.modules.get("signal")
    if signal is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(argv: list[str]) -> int:
    from palaver.core.errors import PalaverError

    try:
        return _chat_fast(argv)
    except _Slow:
        pass
    except KeyboardInterrupt:
        return 130
    except PalaverError as error:
        return _streams.report(error)
    from palaver.cli.group import run

    return run(argv)


class _Slow(Exception):  # noqa: N818 - a turn to another path, not an error
    """These arguments are not a plain start of the chat."""


def _chat_fast(argv: list[str]) -> int:
    """Start the chat without loading click, if that is what was asked for in plain words."""
    from palaver.cli.flags import read
    from palaver.core.scan import names

    if argv[:1] == ["chat"]:
        argv = argv[1:]
    elif argv and argv[0] in names("palaver.cli"):
        raise _Slow
    flags = read(argv)
    if flags is None:
        raise _Slow
    return start_chat(flags)


def start_chat(flags: dict[str, Any]) -> int:
    """Run the chat; `flags` are the values of `palaver.cli.flags`."""
    from palaver.cli.flags import with_tools
    from palaver.terminal.start import run

    return run(with_tools(flags))


if __name__ == "__main__":
    main()
