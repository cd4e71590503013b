"""Reads a shell line as bash would, and says where it can't be sure of that.

tree-sitter-bash gives the structure. Only nodes that this file knows are taken as understood:
simple commands of literal words, joined by `&&`, `||`, `;`, `|` and newlines, and redirections
that write nothing. Everything else is a reason to ask. Each understood byte must stand in a word,
in an operator or between them, so that text that the grammar skipped is not skipped here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MOST = 4_000  # characters; the grammar takes a quarter of a second for the worst line of these
_MOST_COMMANDS = 200


class Word(Struct, frozen=True):
    """A word as the program gets it; in place of a `pattern` bash puts the names that fit it."""

    text: str
    pattern: bool = False


class Command(Struct, frozen=True):
    """A simple command; `clear` where each of its words is known."""

    words: tuple[Word, ...]
    clear: bool = True
    reads: tuple[Word, ...] = ()  # files put in by `<`

    @property
    def name(self) -> str:
        """The program's name, as written."""
        return self.words[0].text if self.words else ""

    def __str__(self) -> str:
        return " ".join(word.text for word in self.words)


class Line(Struct, frozen=True):
    """The commands found anywhere in a line, and why it is not fully understood, if it isn't."""

    commands: tuple[Command, ...]
    unclear: tuple[str, ...]


def read_line(line: str) -> Line:
    """Read a line. Never raises; what can't be read is `unclear`."""
    if len(line) > MOST:
        return Line((), (f"it is longer than {MOST:,} characters",))
    if odd := sorted({c for c in line if c not in "\n\t" and not c.isprintable()}):
        return Line((), (f"it holds unseen characters ({ascii(''.join(odd[:8]))[1:-1]})",))
    data = line.encode("utf-8")
    root = _parser().parse(data).root_node
    return _Reader(data).read(root)


@cache
def _parser() -> Parser:
    # Together 20 ms to import, and most calls are not of the shell.
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


_JOINS = frozenset(["&&", "||", ";", "|"])
_NESTS = frozenset(["program", "list", "pipeline", "redirected_statement"])
_WORDS = frozenset(["word", "number", "raw_string", "string", "concatenation"])
_ODD = "it is not made of plain words and commands alone"
_NAMES = {
    "command_substitution": "the output of a command is put in",
    "process_substitution": "a command stands in place of a file",
    "simple_expansion": "a variable is put in",
    "expansion": "a variable is put in",
    "arithmetic_expansion": "a sum is put in",
    "variable_assignment": "it sets a variable",
    "variable_assignments": "it sets a variable",
    "declaration_command": "it sets a variable",
    "unset_command": "it sets a variable",
    "file_redirect": "it redirects to or from a file",
    "heredoc_redirect": "it has a here-document",
    "herestring_redirect": "it has a here-string",
    "function_definition": "it defines a function",
    "ansi_c_string": "it has a text in $'...'",
    "translated_string": 'it has a text in $"..."',
    "subshell": "it has commands in brackets",
    "compound_statement": "it has commands in braces",
    "for_statement": "it has a loop",
    "c_style_for_statement": "it has a loop",
    "while_statement": "it has a loop",
    "if_statement": "it has a condition",
    "case_statement": "it has a condition",
    "negated_command": "it has a condition",
    "test_command": "it has a condition",
    "comment": "it has a comment",
    "&": "it starts something in the background",
}


# Unquoted, a word may hold these alone; `~` only where bash leaves it alone.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_./:@%+,=^*?\[\]-]|(?<=[A-Za-z0-9])~|\\[ -~])+")
_PATTERN = re.compile(r"(?:^|[^\\])(?:\\\\)*[*?\[]")
_NAME = re.compile(r"[A-Za-z0-9_./+@-]+")
# Between double quotes: no expansion, and a `$` only where bash takes it as itself.
_QUOTED = re.compile(r'"((?:[^"$`\\]|\\[^\n]|\$(?=["\s]))*)"', re.DOTALL)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._commands: list[Command] = []
        self._unclear: dict[str, None] = {}
        self._odd = False
        self._known: list[tuple[int, int]] = []  # what was understood, by bytes

    def read(self, root: Node) -> Line:
        todo = [root]
        while todo:
            node = todo.pop()
            left = node.children  # what is nested in what isn't understood would run as well
            if node.type == "command":
                left = self._command(node)
            elif node.type == "file_redirect":
                left = self._redirect(node)
            elif node.type in _JOINS:
                self._cover(node)
            elif node.type not in _NESTS:
                self._doubt(node.type)
            todo += reversed(left)
        if len(self._commands) > _MOST_COMMANDS:
            self._unclear[f"it has more than {_MOST_COMMANDS} commands"] = None
        if root.has_error or not self._covered():
            self._odd = True
        unclear = tuple(self._unclear) or ((_ODD,) if self._odd else ())
        return Line(tuple(self._commands), unclear)

    def _doubt(self, kind: str) -> None:
        """Note what was not understood: by its name, where people know one."""
        self._odd = True
        if kind in _NAMES:
            self._unclear[_NAMES[kind]] = None

    def _cover(self, node: Node) -> None:
        self._known.append((node.start_byte, node.end_byte))

    def _covered(self) -> bool:
        """Tell whether all that is neither a word nor an operator is blank."""
        at = 0
        for start, end in [*sorted(self._known), (len(self._data), len(self._data))]:
            if start < at or self._data[at:start].replace(b"\\\n", b"").strip(b" \t\n"):
                return False
            at = end
        return True

    def _command(self, node: Node) -> list[Node]:
        """Take a command's words; return the nodes that were not understood."""
        words: list[Word] = []
        left: list[Node] = []
        at = node.start_byte
        for child in node.children:
            whole = child.children[0] if child.type == "command_name" else child
            word = self._word(whole)
            # A newline would end the command for bash, no blank would make one word of two.
            gap = self._data[at : child.start_byte].replace(b"\\\n", b"")
            if gap.strip(b" \t") or (words and not gap):
                self._odd = True
            at = child.end_byte
            if word is None:
                left.append(whole)
                self._doubt(whole.type)
                if whole.type in _WORDS or "expansion" in whole.type:  # as written, for the reader
                    words.append(Word(whole.text.decode() if whole.text else ""))
                continue
            self._cover(whole)
            words.append(word)
            if child.type == "command_name" and (
                whole.type != "word" or not _NAME.fullmatch(self._text(whole))
            ):
                self._unclear["the program's name is not plain"] = None
        self._commands.append(Command(tuple(words), clear=not left))
        return left

    def _redirect(self, node: Node) -> list[Node]:
        """Take a redirection that writes nothing; return the nodes that were not understood."""
        parts = [self._text(child) for child in node.children]
        if node.children[0].type == "file_descriptor":
            del parts[0]
        word = self._word(node.children[-1])
        if len(parts) == 2 and word is not None and not word.pattern:
            quiet = parts[0] in (">", ">>", "&>", "&>>") and word.text == "/dev/null"
            if quiet or (parts[0] == ">&" and word.text in ("1", "2")):
                self._cover(node)
                return []
            # bash opens a connection for /dev/tcp/HOST/PORT.
            if parts[0] == "<" and self._commands and not word.text.startswith("/dev/"):
                last = self._commands[-1]
                self._commands[-1] = Command(last.words, last.clear, (*last.reads, word))
                self._cover(node)
                return []
        self._doubt("file_redirect")
        return list(node.children)

    def _text(self, node: Node) -> str:
        return self._data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _word(self, node: Node) -> Word | None:
        """Read a literal word; None where bash would do more than take off quotes."""
        text = self._text(node)
        if node.type in ("word", "number"):
            if not _PLAIN.fullmatch(text):
                return None
            return Word(re.sub(r"\\(.)", r"\1", text), bool(_PATTERN.search(text)))
        if node.type == "raw_string":
            return Word(text[1:-1])
        if node.type == "string":
            inner = _QUOTED.fullmatch(text)
            if "\\" in text and not text.isascii():
                return None  # in some encodings of old a backslash is half of a letter
            return Word(re.sub(r'\\([$`"\\])', r"\1", inner[1])) if inner else None
        if node.type == "concatenation":
            words = [self._word(child) for child in node.children]
            known = [word for word in words if word is not None]
            if len(known) < len(words):
                return None
            return Word("".join(w.text for w in known), any(w.pattern for w in known))
        return None
