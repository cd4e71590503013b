"""Takes a call apart into what rules speak of: commands, files, and what gives cause for doubt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from os.path import normpath
from typing import Any, Literal

from msgspec import Struct

from palaver.core.messages import ToolCall
from palaver.core.tool import ToolSpec
from palaver.tools.consent.danger import destructive, destructive_python, launches
from palaver.tools.consent.reading import files_read
from palaver.tools.consent.shell import Command, Word, read_line
from palaver.tools.secret import secret

# read: only reads, in the folder. look: only reads, outside it as well. write: changes files of
# the folder. reach: changes files outside it. run: code or a command. use: any other tool.
# send: sends something off this computer.
Kind = Literal["read", "look", "write", "reach", "run", "use", "send"]
Doubt = Literal["unclear", "destructive", "guarded", "secret", "tainted"]
DOUBTS: tuple[Doubt, ...] = ("unclear", "destructive", "guarded", "secret", "tainted")

# What stands here may be run later, by programs outside the sandbox.
_RUN_LATER = """
.git .hg .svn .palaver .vscode .idea .husky .devcontainer .envrc .bashrc .bash_profile .profile
.zshrc .zprofile .zshenv .gitconfig .gitmodules .gitattributes .mcp.json
"""
_WRITERS = ("write_file", "apply_patch")
_GUARDED = frozenset(_RUN_LATER.split())


class State(Struct, frozen=True):
    """What a decision depends on besides the call and the rules.

    `root` is the folder that is trusted, `folder` the one that commands run in (default: the
    same). `tainted` says what untrusted text the model has read, empty if none. `asks`: somebody
    is there to be asked. `sandboxed`: what runs can't leave its place.
    """

    root: str
    folder: str | None = None
    tainted: tuple[str, ...] = ()
    asks: bool = True
    sandboxed: bool = True

    def __post_init__(self) -> None:
        """Take no folder that is relative: by mistake everything would stand in it."""
        if not self.root.startswith("/"):
            raise ValueError(f"the folder {self.root!r} is not absolute")


class Part(Struct, frozen=True):
    """One thing that a call would do.

    `words` are a command's; `globbed`: in place of some, bash puts the names of files. `sure`:
    `paths` are all the files that it touches.
    """

    kind: Kind
    shown: str
    words: tuple[str, ...] = ()
    globbed: bool = False
    paths: tuple[str, ...] = ()
    sure: bool = False
    doubts: tuple[tuple[Doubt, str], ...] = ()


class Reading(Struct, frozen=True):
    """A call as rules see it; `line` is a shell line's text, `arguments` are texts.

    `folder` is where it runs.
    """

    tool: str
    root: str
    folder: str
    arguments: Mapping[str, str]
    parts: tuple[Part, ...]
    line: str | None = None


class UnreadableError(ValueError):
    """A call's arguments are not what its tool takes, or can be read in two ways."""


def read_call(call: ToolCall, spec: ToolSpec, state: State) -> Reading:
    """Take a call apart. Raises UnreadableError."""
    arguments, texts = _parsed(call.arguments)
    root = normal("/", state.root)
    if spec.name == "shell":
        line = arguments.get("command")
        if not isinstance(line, str):
            raise UnreadableError("there is no command")
        folder = normal(root, state.folder or root)
        parts = tuple(_line_parts(line, root, folder))
        return Reading(spec.name, root, folder, texts, parts, line)
    return Reading(spec.name, root, root, texts, tuple(_parts(spec, arguments, root)))


def _parsed(raw: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arguments, and each as text, which is JSON where it was none."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise UnreadableError("an argument is given twice")
        return dict(pairs)

    try:
        value = json.loads(raw or "{}", strict=False, object_pairs_hook=once)
        if not isinstance(value, dict):
            raise UnreadableError("the arguments are not a JSON object")
        return value, {k: v if isinstance(v, str) else json.dumps(v) for k, v in value.items()}
    except UnreadableError:
        raise
    except (ValueError, RecursionError):
        raise UnreadableError("the arguments are not JSON") from None


def _parts(spec: ToolSpec, arguments: dict[str, Any], root: str) -> Iterator[Part]:
    """Take apart a call of another tool than `shell`."""
    name = spec.name
    paths = [normal(root, path) for path in _paths(name, arguments)]
    if name in _WRITERS and not paths:
        raise UnreadableError("it names no file")
    if spec.outward:
        yield Part("send", name, paths=tuple(paths))
    elif name == "python":
        code = str(arguments.get("code", ""))
        why = destructive_python(code)
        yield Part("run", "python code", doubts=(("destructive", f"it {why}"),) if why else ())
    elif not paths:
        yield Part("read" if spec.reads else "use", name)
    for path in paths if not spec.outward else ():
        inside = beneath(root, path)
        shown = f"{name} {path[len(root) :].lstrip('/') or '.' if inside else path}"
        if spec.reads:
            doubts = _secrets([path], root)
            yield Part("read" if inside else "look", shown, paths=(path,), sure=True, doubts=doubts)
        elif name in _WRITERS:
            yield _written(shown, path, inside)
        else:
            yield Part("use", shown, paths=(path,))


def _paths(name: str, arguments: dict[str, Any]) -> Sequence[str]:
    if name == "apply_patch":
        from palaver.tools.patch import PatchError, named  # as much as all else here together

        try:
            return named(str(arguments.get("patch", "")))
        except PatchError as error:
            raise UnreadableError(str(error)) from None
    path = arguments.get("path")
    return [path] if isinstance(path, str) else []


def _secrets(paths: Sequence[str], root: str) -> tuple[tuple[Doubt, str], ...]:
    below = (path[len(root) :] if beneath(root, path) else path for path in paths)
    found = dict.fromkeys(filter(None, map(secret, below)))
    return tuple(("secret", f"{name} may hold keys or passwords") for name in found)


def _written(shown: str, path: str, inside: bool) -> Part:
    guarded = [part for part in path.split("/") if part.lower() in _GUARDED]
    doubts: tuple[tuple[Doubt, str], ...] = ()
    if guarded:
        doubts = (("guarded", f"what stands in {guarded[0]} may be run later, unseen"),)
    kind: Kind = "write" if inside else "reach"
    return Part(kind, shown, paths=(path,), sure=True, doubts=doubts)


def _line_parts(line: str, root: str, folder: str) -> Iterator[Part]:
    """Take a shell line apart: a part for each command, one for the line if it is not clear."""
    read = read_line(line)
    if read.unclear:
        why: list[tuple[Doubt, str]] = [("unclear", reason) for reason in read.unclear]
        if found := destructive(line, anywhere=True):
            why.append(("destructive", f"it {found}"))
        yield Part("run", line, doubts=tuple(why))
    elif not read.commands:
        yield Part("read", "an empty line")
    for command in read.commands:
        yield _command_part(command, root, folder)


def _command_part(command: Command, root: str, folder: str) -> Part:
    words = tuple(word.text for word in command.words)
    globbed = any(word.pattern for word in command.words)
    files = files_read(command)
    if files is not None:
        paths = [_place(word, folder) for word in files]
        inside = all(path == "/dev/null" or beneath(root, path) for path in paths)
        kind: Kind = "read" if inside else "look"
        secrets = _secrets(paths, root)
        return Part(kind, str(command), words, globbed, tuple(paths), sure=True, doubts=secrets)
    doubts: list[tuple[Doubt, str]] = []
    if unclear := launches(words):
        doubts.append(("unclear", unclear))
    if found := destructive(str(command), anywhere=bool(unclear)):
        doubts.append(("destructive", f"it {found}"))
    # Any word may be a file, for all that is known, and so may what follows a `=`.
    named = [part for word in words[1:] for part in (word, word.partition("=")[2]) if part]
    named += [word.text for word in command.reads]
    mentioned = tuple(normal(folder, part) for part in named)
    return Part("run", str(command), words, globbed, mentioned, doubts=tuple(doubts))


def _place(word: Word, folder: str) -> str:
    """Return the path that a word names; the highest folder it may name if that is not sure."""
    parts = word.text.split("/")
    if ".." in parts:  # behind a link it leads anywhere
        return "/"
    if word.pattern:
        at = next(i for i, part in enumerate(parts) if re.search(r"[*?\[]", part))
        if any(part.startswith(".") for part in parts[at:]):
            return "/"  # a pattern that may fit `..`
        return normal(folder, "/".join([*parts[:at], "."]))
    return normal(folder, word.text)


def normal(folder: str, path: str) -> str:
    """Return a path as seen from a folder: absolute, without `.`, `..` and doubled slashes."""
    whole = path if path.startswith("/") else f"/{folder}/{path}"
    return "/" + normpath(whole).lstrip("/")


def beneath(folder: str, path: str) -> bool:
    """Say whether a normal path is the folder or stands in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
