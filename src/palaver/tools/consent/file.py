"""Reads rules from the user's config.toml, or a trusted file, and writes one more."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from palaver.core.errors import UserError
from palaver.tools.consent.calls import DOUBTS
from palaver.tools.consent.rules import PRESETS, REST, Rule, Rules, Then

_KEYS = ("then", "tool", "line", "command", "path", "arguments", "folder", "network", "even")


def read_rules(text: str, name: str) -> Rules:
    """Read `[consent]` and `[[consent.rules]]` of a config file's text; `name` is for messages.

    Raises UserError with the line and what to do.
    """
    table = _parsed(text, name).get("consent", {})
    if not isinstance(table, dict):
        raise UserError(f"{name}: consent must be a table", fix="write [consent] above its keys")
    _closed(table, ("preset", "rules"), f"{name}: [consent]")
    preset = table.get("preset", "ask")
    if preset not in PRESETS:
        line = _line(text, 0, "preset")
        raise UserError(
            f"{name}, line {line}: there is no preset {preset!r}",
            fix=f"choose one of {', '.join(PRESETS)}",
        )
    return Rules(preset, _rules(table.get("rules", []), text, name))


def read_project(text: str, name: str) -> tuple[Rule, ...]:
    """Read the `[[rules]]` of a project's file, which may not overrule doubts. Raises UserError."""
    table = _parsed(text, name)
    _closed(table, ("rules",), name)
    rules = _rules(table.get("rules", []), text, name)
    if any(rule.even for rule in rules):
        raise UserError(f"{name}: `even` is for your own config.toml alone", fix="take it out")
    return rules


def _parsed(text: str, name: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{name}: {error}", fix="mend it with: palaver config edit") from None


def _closed(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    import difflib

    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.5)
            fix = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise UserError(f"{where}: there is no key {key!r}", fix=fix)


def _rules(found: object, text: str, name: str) -> tuple[Rule, ...]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError(f"{name}: rules must be tables", fix="write [[consent.rules]] above each")
    return tuple(_rule(one, number, text, name) for number, one in enumerate(found, 1))


def _rule(table: dict[str, Any], number: int, text: str, name: str) -> Rule:
    source = f"rule {number} of {name.rpartition('/')[2]}"

    def wrong(key: str, what: str, fix: str) -> UserError:
        return UserError(f"{name}, line {_line(text, number, key)}: {what}", fix=fix)

    for key in table:
        _closed({key: 1}, _KEYS, f"{name}, line {_line(text, number, key)}")
    if table.get("then") not in get_args(Then):
        raise wrong("then", f"rule {number} must say what to do", 'then = "allow", "ask" or "deny"')
    for key in ("tool", "line", "command", "folder"):
        if not isinstance(table.get(key, ""), str) or (table.get(key) == "" and key != "line"):
            raise wrong(key, f"{key} must be a text", f'{key} = "..."')
    paths, even = _texts(table.get("path", [])), _texts(table.get("even", []))
    if paths is None:
        raise wrong("path", "path must be a text or a list of texts", 'path = "src"')
    if even is None or not set(even) <= set(DOUBTS):
        raise wrong("even", "even must list doubts", f"there are: {', '.join(DOUBTS)}")
    if not isinstance(table.get("network", False), bool):
        raise wrong("network", "network must be true or false", "network = true")
    arguments = table.get("arguments", {})
    if not isinstance(arguments, dict) or _texts(list(arguments.values())) is None:
        raise wrong("arguments", "arguments must be texts by name", 'arguments = { pattern = "*" }')
    if "command" in arguments and table["then"] == "allow":
        raise wrong("arguments", "a glob over a whole line would allow what stands behind a `;`",
                    'use command = "git status ...", which looks at each command')  # fmt: skip
    try:
        command = tuple(shlex.split(table.get("command", "")))
    except ValueError as error:
        raise wrong("command", f"command: {error}", "close the quote") from None
    if command and (command[0] == REST or "" in command[:1]):
        raise wrong("command", "command must begin with a program", 'command = "git status ..."')
    return Rule(
        table["then"], table.get("tool", "*"), table.get("line"), command,
        tuple(str(Path(path).expanduser()) for path in paths),
        tuple(arguments.items()),
        str(Path(table["folder"]).expanduser()) if "folder" in table else None,
        table.get("network", False), even, source,
    )  # fmt: skip


def _texts(value: object) -> tuple[str, ...] | None:
    values = [value] if isinstance(value, str) else value
    if isinstance(values, list) and all(isinstance(one, str) and one for one in values):
        return tuple(values)
    return None


def _line(text: str, number: int, key: str) -> int:
    """Find the line of a key below the header of rule `number`; 0 is the table `[consent]`."""
    header = r"\s*\[\[.*rules\s*\]\]" if number else r"\s*\[\s*consent\s*\]"
    seen, start = 0, 1
    for at, line in enumerate(text.splitlines(), 1):
        if re.match(header, line):
            seen += 1
            start = at if seen <= max(number, 1) else start
        elif seen == max(number, 1) and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return at
    return start


def add_rule(config: Path, rule: Rule) -> None:
    """Write a rule at the end of the user's config; what stands there stays as it is.

    Raises UserError where it can't be read or written; then nothing is changed.
    """
    try:
        text = config.read_text(encoding="utf-8") if config.exists() else ""
        before = read_rules(text, str(config))
        text += ("\n" if text.endswith("\n") else "\n\n") * bool(text) + str(rule)
        after = read_rules(text, str(config)).rules
        if len(after) != len(before.rules) + 1:
            raise UserError(f"{config}: the rule can't be added", fix=f"add it by hand:\n{rule}")
        replace(config, text)
    except OSError as error:
        raise UserError(f"{config} can't be written: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{config} is not UTF-8 text") from None


def replace(file: Path, text: str) -> None:
    """Put a text in place of a file, whole or not at all. Raises OSError."""
    file = file.resolve()  # a link stays one: many keep their settings elsewhere
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        with suppress(OSError):
            temporary.unlink()
