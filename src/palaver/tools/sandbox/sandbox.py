"""Opens the sandbox that this computer has, and starts programs in it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

import msgspec

from palaver.core.errors import UserError
from palaver.core.tool import ToolError
from palaver.tools.sandbox import bubblewrap, seatbelt
from palaver.tools.sandbox.environment import allowed
from palaver.tools.sandbox.launcher import Launcher, packed
from palaver.tools.sandbox.policy import Kind, Policy, rlimits
from palaver.tools.sandbox.process import Cell, NotStartedError
from palaver.tools.sandbox.view import landlock_paths, view, writable

_MOMENT = 0.2
_EVERYWHERE = ("RLIMIT_CORE", "RLIMIT_DATA", "RLIMIT_FSIZE")  # what macOS has, too
_HOW = {
    "linux": "Install bubblewrap (`apt install bubblewrap`, `dnf install bubblewrap`), or allow "
    "user namespaces (`sysctl kernel.unprivileged_userns_clone=1`, "
    "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`).",
    "darwin": "sandbox-exec is part of macOS; it was not found.",
}
_WITHOUT = "Or run with --no-sandbox: then programs of the model can do all that you can."
_NAMES = {
    "bubblewrap": "bubblewrap with Landlock and seccomp",
    "namespaces": "own namespaces with Landlock and seccomp",
    "seatbelt": "sandbox-exec",
    "none": "NO SANDBOX: programs can do all that you can",
}


def open_sandbox(
    policy: Policy, *, environment: Mapping[str, str], kind: Kind = "auto"
) -> OpenSandbox:
    """Return the sandbox for a policy. Nothing is started before `start` or `warm`.

    `environment` is that of the user; programs get what is on a list. `kind` "auto" takes the
    first that comes up; "none" is no sandbox at all, which only the user may ask for.
    """
    return OpenSandbox(policy, environment, _kinds() if kind == "auto" else [kind])


def _kinds() -> list[Kind]:
    if sys.platform == "darwin":
        return ["seatbelt"] if Path(seatbelt.PROGRAM).is_file() else []
    if not sys.platform.startswith("linux"):
        return []
    return ["bubblewrap", "namespaces"] if bubblewrap.find() else ["namespaces"]


class Walls(msgspec.Struct, frozen=True):
    """What a cell is made of: what the launcher is told, what the cell is, and which files those
    of the view are, so that one that waits is not used when something else stands in their place.
    """

    request: dict[str, Any]
    inner: dict[str, Any]
    files: tuple[tuple[int, int], ...]


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - a dozen a call
    except OSError:
        return (0, 0)
    return found.st_dev, found.st_ino


class OpenSandbox:
    """A policy, and the launcher that holds programs to it (`palaver.core.process.Sandbox`)."""

    def __init__(self, policy: Policy, environment: Mapping[str, str], kinds: list[Kind]) -> None:
        """`kinds` are tried in this order until one has worked."""
        self.policy = policy
        self.kinds = kinds
        self.bubblewrap = bubblewrap.find()
        self._environment = dict(environment)
        self._launcher: Launcher | None = None
        self._sized: bool | None = None
        self._spare: tuple[Walls, Cell] | None = None
        self._cells: WeakSet[Cell] = WeakSet()

    @property
    def _home(self) -> Path:
        return Path(self._environment.get("HOME") or Path.home())

    def describe(self) -> str:
        """Say in one line what holds a program in its place."""
        if not self.kinds:
            return "no sandbox can be had here"
        if self.kinds == ["none"]:
            return _NAMES["none"]
        network = "network" if self.policy.network else "no network"
        own = writable(self.policy, self._home)
        closed = "" if own else "; this folder is, or holds, your home: it can't be written"
        return f"{_NAMES[self.kinds[0]]}; {network}{closed}"

    def warm(self) -> Launcher:
        """Start the launcher if it does not run."""
        if self._launcher is None or not self._launcher.alive:
            if self._launcher:
                self._launcher.close()
            clean = allowed(self._environment, writable(self.policy, self._home))
            self._launcher = Launcher(clean)
        return self._launcher

    async def start(
        self,
        argv: Sequence[str],
        cwd: Path,
        *,
        network: bool = False,
        channel: bool = False,
        environment: dict[str, str] | None = None,
    ) -> Cell:
        """Start a program (see `palaver.core.process.Sandbox.start`)."""
        reasons = []
        policy = msgspec.structs.replace(self.policy, network=network or self.policy.network)
        for kind in self.kinds[:]:
            walls = self._walls(kind, policy)
            command = self._command(kind, policy, argv, cwd, environment or {})
            command["channel"] = channel
            try:
                cell = await self._run(walls, command)
            except NotStartedError as error:
                if error.fits:
                    raise ToolError(f"can't start {error}") from None
                if error.sent:  # never tried again: it may have run
                    raise ToolError(f"the sandbox died as the program started: {error}") from None
                reasons.append(f"{kind}: {error}")
            else:
                self.kinds = [kind]
                with suppress(OSError):  # it runs: nothing may fail from here on
                    self._spare = (walls, self._cell(walls))
                return cell
        raise UserError(
            "No sandbox can be had here, so the tool does not run. " + "; ".join(reasons),
            fix=f"{_HOW.get(sys.platform, 'Sandboxes exist for Linux and macOS.')} {_WITHOUT}",
        )

    async def _run(self, walls: Walls, command: dict[str, Any]) -> Cell:
        """Run a command in a cell. A cell that waited, or whose launcher died, may be gone by now:
        then another is made, once. Raises NotStartedError.
        """
        for last in (False, True):
            cell = self._cell(walls) if last else self._take(walls)
            try:
                await cell.run(command)
            except NotStartedError as error:
                cell.close()
                if error.sent or last:
                    raise
                await asyncio.sleep(_MOMENT)  # a launcher that dies is dead by then
            except BaseException:
                await cell.kill()
                raise
            else:
                return cell
        raise AssertionError("the last try returns or raises")

    def _command(
        self,
        kind: Kind,
        policy: Policy,
        argv: Sequence[str],
        cwd: Path,
        environment: dict[str, str],
    ) -> dict[str, Any]:
        words = [os.fspath(word) for word in argv]
        if kind == "seatbelt":
            words = [seatbelt.PROGRAM, "-p", seatbelt.profile(policy, self._home), *words]
        given = self._environment
        if kind != "none":
            given = allowed(given, writable(policy, self._home))
        return {"argv": words, "cwd": os.path.realpath(cwd), "env": given | environment}

    def _walls(self, kind: Kind, policy: Policy) -> Walls:
        if kind == "none":
            return Walls({"kind": kind, "group": {}}, {}, ())
        if kind == "seatbelt":
            everywhere = [one for one in rlimits(policy.limits) if one[0] in _EVERYWHERE]
            return Walls({"kind": kind, "group": {}}, {"limits": everywhere}, ())
        limits, seen = policy.limits, view(policy, self._home)
        request: dict[str, Any] = {
            "kind": kind,
            "group": {"pids": limits.processes, "memory": limits.memory},
        }
        if kind == "bubblewrap":
            program = self.bubblewrap or "bwrap"
            if self._sized is None:
                self._sized = bubblewrap.takes_sizes(program)
            request["argv"] = bubblewrap.argv(program, seen, policy, sized=self._sized)
        inner = {
            "network": policy.network,
            "scratch": limits.scratch,
            "view": seen,
            "writable": landlock_paths(policy, self._home),
            "limits": rlimits(limits),
        }  # fmt: skip
        return Walls(request, inner, tuple(_identity(path) for _, path in seen))

    def _take(self, walls: Walls) -> Cell:
        """Return the cell that waits, if its walls are what they would be now; else a new one."""
        spare, self._spare = self._spare, None
        if spare and spare[0] == walls and spare[1].waits:
            return spare[1]
        if spare:
            spare[1].close()
        return self._cell(walls)

    def _cell(self, walls: Walls) -> Cell:
        launcher = self.warm()
        mine, theirs = socket.socketpair()
        channel, their_channel = socket.socketpair()
        output, written = os.pipe()
        cell = Cell(launcher, mine, output, channel)
        self._cells.add(cell)
        try:
            files = [theirs.fileno(), written, their_channel.fileno()]
            cell.number = launcher.start(walls.request, files)
            if walls.inner:
                mine.send(packed(walls.inner))
        except OSError:
            pass  # the launcher died just now: reading says that there is no cell
        finally:
            theirs.close()
            their_channel.close()
            os.close(written)
        return cell

    async def close(self) -> None:
        """End every program and the launcher."""
        for cell in list(self._cells):
            cell.close()
        if self._launcher:
            self._launcher.close()
        self._launcher = None
