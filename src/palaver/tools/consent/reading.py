"""Tells whether a command only reads, and which files; by the table, or a rule of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from palaver.tools.consent.programs import Program, program, programs
from palaver.tools.consent.shell import Command, Word

Files = tuple[Word, ...]
Options = list[tuple[str, str | None]]  # names and values, in order
_HERE = (Word("."),)
_NOT_A_PATTERN = frozenset(["-e", "--regexp", "--files", "--type-list"])


def files_read(command: Command) -> Files | None:
    """Return the files that a command names if all it does is read them, else None."""
    if not command.clear or not command.words or command.words[0].pattern:
        return None
    name, words = command.name, command.words[1:]
    if name in _VERSIONED and [word.text for word in words] == ["--version"]:
        files: Files | None = ()
    elif own := _OWN.get(name):
        files = own(words)
    elif known := programs().get(name):
        files = _by_table(known, words)
    else:
        return None
    return None if files is None else (*files, *command.reads)


def _by_table(program: Program, words: Sequence[Word]) -> Files | None:
    if program.operands == "words":
        return ()
    split = _split(program, words)
    if split is None:
        return None
    operands, options = split
    if program.most is not None and (
        len(operands) > program.most or any(word.pattern for word in operands)
    ):
        return None
    if program.operands == "text":
        return ()
    if program.operands == "search" and not _NOT_A_PATTERN.intersection(dict(options)):
        operands = operands[1:]
    return tuple(operands) or _HERE


def _split(program: Program, words: Sequence[Word]) -> tuple[list[Word], Options] | None:
    """Part operands from options as getopt_long does; None for an option that is not listed."""
    operands: list[Word] = []
    options: Options = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        text = word.text
        if text == "--" and not word.pattern:
            operands += rest
            break
        if not _harmless(word, program.any_option):
            return None
        if text == "-" or not text.startswith("-"):
            operands.append(word)
            continue
        option = _option(program, text)
        if option is None:
            return None
        name, value = option
        if name in program.valued and value is None:
            if not rest or rest[0].pattern:
                return None
            value = rest.pop(0).text
        options.append((name, value))
    return operands, options


def _harmless(word: Word, any_option: bool) -> bool:
    """Tell whether no name that bash may put in for a pattern is taken for an option."""
    if not word.pattern:
        return True
    if word.text[0] in "*?[":
        return any_option
    # `--include=*.py` stays that option, whatever is put in for the star.
    return word.text[0] != "-" or re.match(r"--[a-z-]+=", word.text) is not None


def _option(program: Program, text: str) -> tuple[str, str | None] | None:
    """Look an option up: its name, and its value where that is in the same word."""
    if text.startswith("--"):
        name, given, value = text.partition("=")
        if given:
            return (name, value) if name in program.valued | program.maybe else None
        return (name, None) if name in program.flags | program.valued | program.maybe else None
    if program.apart:
        return (text, None) if text in program.flags | program.valued else None
    if program.numbers and re.fullmatch(r"-[0-9]+", text):
        return text, None
    for at, letter in enumerate(text[1:], 2):
        if f"-{letter}" in program.valued:
            return f"-{letter}", text[at:] or None
        if f"-{letter}" not in program.flags:
            return None
    return text, None


def _find(words: Sequence[Word]) -> Files | None:
    """`find`: start points, then tests and actions that only print."""
    texts = [word.text for word in words]
    files: list[Word] = []
    at = 0
    while at < len(words) and texts[at] in ("-L", "-P", "-H"):
        at += 1
    while at < len(words) and not re.match(r"[-(!),]", texts[at]):
        if not _harmless(words[at], any_option=False):
            return None
        files.append(words[at])
        at += 1
    while at < len(words):
        if any(word.pattern for word in words[at : at + 2]):
            return None
        if texts[at] in _FIND_ALONE:
            at += 1
        elif texts[at] in _FIND_VALUED and at + 1 < len(words):
            if texts[at] in ("-newer", "-samefile"):
                files.append(words[at + 1])
            at += 2
        else:
            return None
    return tuple(files) or _HERE


_ALONE = """
-a -and -o -or -not ! ( ) , -print -print0 -ls -quit -prune -depth -xdev -mount -empty
-readable -writable -executable -true -false -daystart
"""
_WITH_VALUE = """
-name -iname -path -ipath -wholename -lname -ilname -regex -iregex -regextype -type -xtype
-size -mtime -mmin -atime -amin -ctime -cmin -newer -samefile -maxdepth -mindepth -perm
-user -group -uid -gid -links -inum -printf
"""
_FIND_ALONE, _FIND_VALUED = frozenset(_ALONE.split()), frozenset(_WITH_VALUE.split())


def _sed(words: Sequence[Word]) -> Files | None:
    """`sed` that prints lines or replaces text in what it prints: no `e`, `w`, `r`, `-i`."""
    split = _split(_SED, words)
    if split is None:
        return None
    operands, options = split
    scripts = [value for name, value in options if name == "-e" and value is not None]
    if not scripts:
        if not operands or operands[0].pattern:
            return None
        scripts = [operands.pop(0).text]
    return tuple(operands) if all(_prints(script) for script in scripts) else None


def _prints(script: str) -> bool:
    """Tell whether a script holds commands alone that print, drop or replace."""
    at = 0
    while command := _SED_COMMAND.match(script, at):
        at = command.end()
        if at == len(script):
            return True
    return False


_ADDRESS = r"(?:[0-9]+|\$|/(?:\\[^\n]|[^/\\\n])+/I?)"
_TEXT = r"(?:\\[^\n]|(?!(?P=mark))[^\\\n])*"
_SED_COMMAND = re.compile(
    rf"(?:{_ADDRESS}(?:,\+?{_ADDRESS})?)?"
    rf"(?:[pdq=]|s(?P<mark>[/|,#]){_TEXT}(?P=mark){_TEXT}(?P=mark)[gpI0-9]*)"
    r"(?:; *|\Z)"
)


def _printf(words: Sequence[Word]) -> Files | None:
    # `%n` and `-v` set variables, and a subscript in such a name runs commands.
    form = words[0].text if words and not words[0].pattern else "-"
    fits = re.fullmatch(r"(?!-)(?:[^%]|%%|%[-+ 0#]*[0-9]*(?:\.[0-9]*)?[sbdiuxXofeg])*", form)
    return () if fits else None


def _date(words: Sequence[Word]) -> Files | None:
    # An operand without `+` sets the clock.
    texts = [word.text for word in words]
    while texts:
        text = texts.pop(0)
        if text in ("-d", "--date") and texts:
            del texts[0]
        elif not re.fullmatch(r"\+.*|-[uRI]|--(utc|iso-8601(=.*)?|rfc-3339=.*|date=.*)", text):
            return None
    return None if any(word.pattern for word in words) else ()


def _test(words: Sequence[Word]) -> Files | None:
    # `-v` and comparing evaluate subscripts, which may run commands.
    if len(words) != 2 or words[1].pattern or words[0].text not in _FILE_TESTS:
        return None
    return (words[1],)


_FILE_TESTS = frozenset(f"-{letter}" for letter in "defghLprsSuwx")


def _command(words: Sequence[Word]) -> Files | None:
    plain = len(words) > 1 and words[0].text in ("-v", "-V")
    return () if plain and not any(w.text.startswith("-") for w in words[1:]) else None


def _jq(words: Sequence[Word]) -> Files | None:
    # A filter may read the environment, and other files by `import` and `include`.
    split = _split(_JQ, words)
    if split is None or not split[0] or split[0][0].pattern:
        return None
    if re.search(r"env|ENV|import|include|modulemeta|input_filename", split[0][0].text):
        return None
    return tuple(split[0][1:])


def _cd(words: Sequence[Word]) -> Files | None:
    plain = len(words) == 1 and words[0].text and not words[0].pattern
    return (words[0],) if plain and not words[0].text.startswith("-") else None


_SED = program(["files", "-nErsuz", "-e="])
_JQ = program(["search", "-acCejMnrsS"])
_OWN: dict[str, Callable[[Sequence[Word]], Files | None]] = {
    "find": _find,
    "sed": _sed,
    "printf": _printf,
    "date": _date,
    "test": _test,
    "command": _command,
    "jq": _jq,
    "cd": _cd,
}
# They say their version before they read any file of the folder.
_VERSIONED = frozenset(["python", "python3", "git", "gcc", "g++", "cc", "make", "jq", "rg"])
