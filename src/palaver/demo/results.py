"""What a tool gives back, and the one answer to it, which quotes one line at most."""
# ruff: noqa: E501  (tables of phrases are easier to keep in long lines)

from __future__ import annotations

from palaver.demo.chat import REFUSED, WRITTEN
from palaver.demo.requests import Request
from palaver.demo.values import Values

REFUSALS = ("declined by the user", "The user declined this call.", "The user said no.", "not allowed by the user",
            "The user did not allow this call.", "denied by the user", "The user declined.", "The call was declined.")  # fmt: skip
EMPTY = {"python": "It ran and printed nothing.", "shell": "It ran and printed nothing.",
         "read_file": "The file is empty.", "list_files": "The folder is empty.",
         "search_files": "Nothing was found."}  # fmt: skip
_ONE = {"python": "The result is: ", "shell": "The result is: ", "read_file": "The file says: ",
        "list_files": "The only entry is: "}  # fmt: skip
_MANY = {"python": "The output begins with: ", "shell": "The output begins with: ",
         "read_file": "The file begins with: ", "list_files": "The first entry is: "}  # fmt: skip
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def answer(tool: str, text: str, kind: str) -> str:
    """Say what the answer to a result is; `kind` is "ok", "empty", "error" or "refused"."""
    if kind == "refused":
        return REFUSED
    if kind == "error":
        return "That failed: " + text.strip().splitlines()[-1].strip()
    if tool == "write_file":
        return WRITTEN
    if kind == "empty":
        return EMPTY[tool]
    lines = text.strip().splitlines()
    if tool == "search_files":
        return "The first match is in: " + lines[0].split(":")[0]
    return (_ONE if len(lines) == 1 else _MANY)[tool] + lines[0].strip()


def result(values: Values, request: Request) -> tuple[str, str]:
    """Draw a result of a call; return its text and the answer."""
    roll = values.rng.random()
    if roll < 0.05:
        text, kind = values.one(REFUSALS), "refused"
    elif roll < 0.17:
        text, kind = _error(values, request), "error"
    elif roll < 0.24 and request.tool in EMPTY and request.intent != "calc":
        text, kind = _nothing(values, request.tool), "empty"
    else:
        text, kind = _fine(values, request), "ok"
    reply = answer(request.tool, text, kind)
    return (text + "\n" if text and values.rng.random() < 0.12 else text), reply


def _nothing(values: Values, tool: str) -> str:
    more = {"list_files": ("(empty)", "no files", "empty"), "search_files": ("no matches", "0 matches", "no match", "nothing found"),
            "read_file": ("(empty)", ""), "python": ("(no output)", ""), "shell": ("(no output)", "")}  # fmt: skip
    return "" if values.rng.random() < 0.5 else values.one(more[tool])


def _error(values: Values, request: Request) -> str:
    word, target = values.word(), request.arguments.get("path") or values.path()
    if request.tool == "python":
        last = values.one((f"NameError: name '{word}' is not defined", "ZeroDivisionError: division by zero",
                           f"ModuleNotFoundError: No module named '{word}'", "SyntaxError: invalid syntax",
                           f"ValueError: {values.sentence(1, 4)}", f"TypeError: {values.sentence(1, 4)}",
                           f"KeyError: '{word}'", f"RuntimeError: {word}", "timed out after 30 seconds",
                           f"AttributeError: {word}", f"IndexError: {values.sentence(1, 3)}"))  # fmt: skip
        if values.rng.random() < 0.6 and "timed" not in last:
            where = values.one(("<string>", "<stdin>", "main.py"))
            return f'Traceback (most recent call last):\n  File "{where}", line {values.rng.randint(1, 9)}, in <module>\n{last}'
        return last
    if request.tool == "shell":
        return values.one((f"sh: 1: {word}: not found", f"bash: {word}: command not found", f"error: {values.sentence(2, 4)}",
                           f"ls: cannot access '{target}': No such file or directory", f"cat: {target}: No such file or directory",
                           f"fatal: {values.sentence(2, 4)}", f"{values.sentence(1, 3)}\nexit code {values.rng.randint(1, 127)}",
                           f"exit code {values.rng.randint(1, 127)}", "timed out after 30 seconds", f"{word}: permission denied"))  # fmt: skip
    return values.one((f"error: no such file: {target}", f"No such file or directory: {target}", f"error: {values.sentence(2, 4)}",
                       f"error: permission denied: {target}", f"FileNotFoundError: {target}", f"Permission denied: {target}",
                       f"error: {target} is outside of the workspace", f"error: {target} does not exist", "timed out after 10 seconds",
                       f"[Errno 2] No such file or directory: '{target}'"))  # fmt: skip


def _fine(values: Values, request: Request) -> str:
    rng = values.rng
    count = rng.choices((1, 2, 3, 4, 6, 9, 20), (38, 20, 16, 12, 8, 5, 1))[0]
    if request.intent == "calc":
        return _number(values)
    if request.intent == "fixed":
        return _fixed(values, request.arguments["command"])
    if request.tool == "list_files":
        return "\n".join(
            values.word() + "/" if rng.random() < 0.25 else values.file() for _ in range(count)
        )
    if request.tool == "write_file":
        size, path = rng.randint(1, 400), request.arguments["path"]
        return values.one((f"wrote {size} bytes to {path}", f"wrote {path}", "ok", f"{size} bytes written", "written",
                           f"created {path}", f"wrote {size} bytes", "done", f"saved {path}"))  # fmt: skip
    if request.tool == "search_files":
        return "\n".join(
            f"{values.path()}:{rng.randint(1, 999)}:{values.one((' ', ''))}{values.sentence(1, 5)}"
            for _ in range(count)
        )
    if request.tool == "python" and rng.random() < 0.4:
        return _number(values)
    return "\n".join(_line(values) for _ in range(count))


def _number(values: Values) -> str:
    rng = values.rng
    digits = rng.choices((1, 2, 3, 4, 5, 6, 7, 9), (10, 18, 20, 18, 14, 10, 6, 4))[0]
    text = ("-" if rng.random() < 0.1 else "") + str(
        rng.randint(10 ** (digits - 1), 10**digits - 1)
    )
    return f"{text}.{rng.randint(0, 10 ** rng.randint(1, 9))}" if rng.random() < 0.25 else text


def _line(values: Values) -> str:
    rng, roll = values.rng, values.rng.random()
    if roll < 0.5:
        return values.sentence(1, 6)
    if roll < 0.62:
        return f"{values.word()}{values.one((': ', ' = ', '=', ':'))}{values.word()}"
    if roll < 0.7:
        return f"{values.one(('# ', '- ', '* ', '## '))}{values.sentence(1, 4)}"
    if roll < 0.76:
        return values.path()
    if roll < 0.82:
        return f"[{', '.join(values.number() for _ in range(rng.randint(1, 4)))}]"
    if roll < 0.88:
        return values.code()
    if roll < 0.94:
        return f"{values.number()} {values.word()}"
    return values.sentence(5, 11)


def _fixed(values: Values, command: str) -> str:
    rng, word = values.rng, values.word()
    clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    if command == "date":
        return f"{values.one(_DAYS)} {values.one(_MONTHS)} {rng.randint(1, 30)} {clock}:{rng.randint(0, 59):02} UTC {rng.randint(2020, 2035)}"
    if command == "whoami":
        return word
    if command == "pwd":
        return f"/{values.one(('home', 'work', 'srv', 'Users'))}/{word}" + (
            f"/{values.word()}" if rng.random() < 0.5 else ""
        )
    if command == "git status":
        first = f"On branch {values.one(('main', 'master', word))}"
        return first + values.one(
            ("\nnothing to commit, working tree clean", f"\nmodified: {values.path()}")
        )
    if command == "uptime":
        return f"{clock}:{rng.randint(10, 59)} up {rng.randint(1, 90)} days, load average: {rng.randint(0, 9)}.{rng.randint(10, 99)}"
    if command == "uname -a":
        return f"Linux {word} {rng.randint(5, 7)}.{rng.randint(0, 19)}.{rng.randint(0, 99)} x86_64"
    head = {"df -h": "Filesystem Size Used Avail Use% Mounted on", "free -h": "total used free shared buff/cache available",
            "ps aux": "USER PID %CPU %MEM COMMAND"}[command]  # fmt: skip
    rows = [
        f"{values.word()} {values.number()} {values.number()} {values.word()}"
        for _ in range(rng.randint(1, 3))
    ]
    return "\n".join([head, *rows])
