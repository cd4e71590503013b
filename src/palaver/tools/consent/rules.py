"""Rules: what a user allows, wants to be asked about, or forbids. The last that fits counts."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

from palaver.tools.consent.calls import Part, Reading, beneath, normal

Then = Literal["allow", "ask", "deny"]
Preset = Literal["read-only", "ask", "auto"]
PRESETS: tuple[Preset, ...] = ("read-only", "ask", "auto")
REST = "..."  # as a command's last word: whatever follows


class Rule(Struct, frozen=True, omit_defaults=True):
    """What to do with calls that fit all that is given here.

    `tool` and the values of `arguments` are globs. `line` is the whole text of a shell line.
    `command` is the words of one command of a line, each a glob; `...` at the end stands for any
    further words. `path` is a file or a folder with all in it, one or more. `folder`: only what
    runs there or below; a `line`, only there. `network`: what it allows may use the network.
    `even` names doubts that would else ask in spite of the rule. `source` says where it stands.
    """

    then: Then
    tool: str = "*"
    line: str | None = None
    command: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    folder: str | None = None
    network: bool = False
    even: tuple[str, ...] = ()
    source: str = "a rule"

    def __str__(self) -> str:
        """Return its TOML, as it stands in the user's config."""
        lines = ["[[consent.rules]]"]
        for name in ("then", "tool", "line", "command", "path", "folder", "network", "even"):
            value = getattr(self, name)
            if name == "then" or value != _DEFAULTS[name]:
                text = shlex.join(value) if name == "command" else value
                lines.append(f"{name} = {_toml(text)}")
        if self.arguments:
            pairs = (f"{_toml(name)} = {_toml(glob)}" for name, glob in self.arguments)
            lines.append(f"arguments = {{ {', '.join(pairs)} }}")
        return "\n".join(lines) + "\n"

    def fits(self, reading: Reading, part: Part) -> bool:
        """Say whether the rule is about this part of a call."""
        return (
            fnmatchcase(reading.tool, self.tool)
            and (self.folder is None or self._here(reading.folder))
            and (self.line is None or self.line == reading.line)
            and (not self.command or self._commands(part))
            and (not self.path or self._touches(reading.root, part))
            and all(_glob(reading.arguments.get(name), glob) for name, glob in self.arguments)
        )

    def _here(self, folder: str) -> bool:
        wanted = normal("/", self.folder or "/")
        return folder == wanted if self.line is not None else beneath(wanted, folder)

    def _commands(self, part: Part) -> bool:
        if _words_fit(self.command, part.words):
            # Names put in for a pattern may be options: only `...` allows words that are not seen.
            return self.then != "allow" or not part.globbed or self.command[-1] == REST
        if self.then == "allow":
            return False
        # What is forbidden is found by its bare name, and behind `env`, `xargs` and the like too.
        runs_others = any(doubt == "unclear" for doubt, _ in part.doubts)
        starts = range(len(part.words) if runs_others else min(1, len(part.words)))
        names = [word.rpartition("/")[2] for word in part.words]
        return any(_words_fit(self.command, (names[i], *part.words[i + 1 :])) for i in starts)

    def _touches(self, root: str, part: Part) -> bool:
        """Hold what is allowed against all paths, what is not against any that is mentioned."""
        places = [normal(root, path) for path in self.path]
        inside = [any(beneath(place, path) for place in places) for path in part.paths]
        if self.then == "allow":
            return part.sure and bool(inside) and all(inside)
        return any(inside)


_DEFAULTS = dict(zip(Rule.__struct_fields__[1:], Rule.__struct_defaults__, strict=True))


def _toml(value: object) -> str:
    # A basic string of TOML is one of JSON, but for DEL (toml.io, 1.0.0).
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


class Rules(Struct, frozen=True):
    """A preset and the rules above it, the weakest first."""

    preset: Preset = "ask"
    rules: tuple[Rule, ...] = ()

    def adding(self, *rules: Rule) -> Rules:
        """Return these and more; the last is the strongest."""
        return Rules(self.preset, (*self.rules, *rules))


def _words_fit(globs: tuple[str, ...], words: tuple[str, ...]) -> bool:
    if globs[-1] == REST:
        globs = globs[:-1]
        words, wanted = words[: len(globs)], len(words) >= len(globs) > 0
    else:
        wanted = len(words) == len(globs)
    return wanted and all(fnmatchcase(word, glob) for word, glob in zip(words, globs, strict=True))


def _glob(value: str | None, glob: str) -> bool:
    return value is not None and fnmatchcase(value, glob)


def exactly(word: str) -> str:
    """Return the glob that fits `word` alone."""
    glob = re.sub(r"([*?\[])", r"[\1]", word)
    return f"[.]{glob[1:]}" if glob == REST else glob
