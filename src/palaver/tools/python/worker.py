"""The interpreter behind the tool `python`: runs in the sandbox, keeps variables between runs.

Started as `python -I worker.py`, so nothing in the working folder changes what Python is. Standard
input is a socket: a JSON object with the code comes in on a line, one goes out when it has run.
What is printed goes to standard output and error, which are one pipe and one buffer here.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import os
import signal
import sys
import traceback
import types
from pathlib import Path


def _one_buffer() -> None:
    """Let standard output and error share a buffer, so that they come out in order."""
    both = io.BufferedWriter(io.FileIO(1, "w", closefd=False))
    for name in ("stdout", "stderr"):
        stream = io.TextIOWrapper(
            both, "utf-8", "backslashreplace", line_buffering=True, write_through=True
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(code: str, name: str, scope: dict[str, object]) -> None:
    """Run code; show the value of an expression that ends it. Raises what the code raises."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    tree = ast.parse(code, name)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body.pop()
        exec(compile(tree, name, "exec"), scope)
        value = eval(compile(ast.Expression(last.value), name, "eval"), scope)
        sys.displayhook(value)
    else:
        exec(compile(tree, name, "exec"), scope)


def _report(error: BaseException) -> None:
    """Print an exception once, from the code's own first line on."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename in (__file__, ast.__file__):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def save_figures() -> None:
    """Write what matplotlib has drawn into files, and say where."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        at = 1
        while (path := Path(f"figure-{at}.png")).exists():
            at += 1
        pyplot.figure(number).savefig(path)
        pyplot.close(number)
        print(f"[figure saved as {path}]")  # noqa: T201 - the model reads it


def _run_and_report(code: str, name: str, scope: dict[str, object]) -> None:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run(code, name, scope)
        save_figures()
    except BaseException as error:  # noqa: BLE001 - whatever the code raises, sys.exit as well
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _report(error)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.flush()


def main() -> None:
    """Serve until the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _one_buffer()
    sys.path.append(str(Path.cwd()))
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    me = os.getpid()
    with open(channel, "rb") as requests:  # noqa: PTH123 - a descriptor
        for count, line in enumerate(requests, 1):
            _run_and_report(json.loads(line)["code"], f"<run {count}>", module.__dict__)
            if os.getpid() != me:
                os._exit(0)  # the code has forked, and this is the child
            os.write(channel, b"{}\n")


if __name__ == "__main__":
    main()
