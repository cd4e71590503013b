"""Tries every escape, first without a sandbox, then inside: `python -m tests.escape.trial`.

Prints a line for each and a table at the end; exits 1 if one came out. An escape that does not
succeed without a sandbox proves nothing and is not counted. Where the sandbox does not start, that
is `refused`, not withstood.
"""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.escape import files, kernel, reaching, reading
from tests.escape.arena import Arena, Ears

from palaver.core.errors import UserError
from palaver.tools.sandbox.policy import Limits, Policy
from palaver.tools.sandbox.sandbox import open_sandbox

ESCAPES = [*files.ESCAPES, *reading.ESCAPES, *reaching.ESCAPES, *kernel.ESCAPES]
_PRELUDE = Path(__file__).with_name("prelude.py").read_text()
_LIMITS = Limits(memory=512 << 20, processes=100, file=32 << 20, scratch=16 << 20)
_SECONDS = 20


def program(escape, arena):
    """Return the command that tries an escape."""
    lines = "".join(f"    {line}\n" for line in escape.code.splitlines())
    code = (
        f"{_PRELUDE}\ntry:\n{lines}"
        "except BaseException as error:\n    print(type(error).__name__, error)\n"
    )
    return [sys.executable, "-I", "-c", code, json.dumps(arena.facts())]


def environment(arena):
    """Return what the user's environment would be: with a secret in it."""
    return {"PATH": os.environ["PATH"], "HOME": str(arena.home), "CANARY": arena.canary}


def without(escape, arena):
    """Try it without a sandbox; return what it printed."""
    argv = program(escape, arena)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv, cwd=arena.ws, env=environment(arena), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True, close_fds=False,
        )  # fmt: skip
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        output.seek(0)
        return output.read(1 << 20).decode("utf-8", "replace")


async def inside(escape, arena, kind, network):
    """Try it in the sandbox; return what it printed. Raises UserError where that refuses."""
    policy = Policy(root=arena.ws, hidden=(arena.hidden,), limits=_LIMITS)
    sandbox = open_sandbox(policy, environment=environment(arena), kind=kind)
    argv = program(escape, arena)
    output = b""
    try:
        async with await sandbox.start(argv, arena.ws, network=network) as process:
            try:
                async with asyncio.timeout(_SECONDS):
                    while data := await process.read():
                        output += data
            except TimeoutError:
                output += b"(timed out)"
    finally:
        await sandbox.close()
    return output.decode("utf-8", "replace")


def tried(escape, root, ears, kind, *, network=False):
    """Return whether an escape came out and what it printed; kind None is no sandbox."""
    needs = ("A.victim", "A.address", "[0-9]*")
    arena = Arena(root, ears, victim=any(word in escape.code for word in needs))
    try:
        arena.watch_victim()
        if kind is None:
            output = without(escape, arena)
        else:
            output = asyncio.run(inside(escape, arena, kind, network))
        return arena.escaped(escape.shows, output), output
    finally:
        arena.close()


def verdicts(escapes, root, kinds, *, network=False):
    """Yield (name, kind, verdict, what it printed) for each escape; kind "" is the control."""
    folder = root / "ears"
    folder.mkdir()
    ears = Ears(folder)
    for escape in escapes:
        out, said = tried(escape, root, ears, None)
        yield escape.name, "", "succeeds" if out else "proves nothing", said
        for kind in kinds if out else ():
            try:
                out, said = tried(escape, root, ears, kind, network=network)
            except UserError as error:
                yield escape.name, kind, "refused", str(error)
            else:
                yield escape.name, kind, "ESCAPED" if out else "withstood", said


def main():
    """Run the trial as the user who calls it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kind", action="append", choices=["bubblewrap", "namespaces"])
    parser.add_argument("--only", default="", help="escapes whose name holds this")
    parser.add_argument("--root", type=Path, help="an empty folder outside of /tmp")
    parser.add_argument("--network", action="store_true", help="let them use the network")
    parser.add_argument("--verbose", action="store_true", help="show what each printed")
    given = parser.parse_args()
    if "CANARY" not in os.environ:  # the environment that /proc shows is that of the start
        again = [sys.executable, "-m", "tests.escape.trial", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"CANARY": secrets.token_hex(12)})
    kinds = given.kind or ["bubblewrap", "namespaces"]
    root = given.root or Path(tempfile.mkdtemp(prefix="palaver-escape-", dir=Path.home()))
    counted = {kind: Counter() for kind in ["", *kinds]}
    try:
        chosen = [e for e in ESCAPES if given.only in e.name]
        if given.network:
            chosen = [e for e in chosen if not e.name.startswith(("reach: TCP", "reach: UDP"))]
        for name, kind, verdict, said in verdicts(chosen, root, kinds, network=given.network):
            counted[kind][verdict] += 1
            print(json.dumps([name, kind, verdict]), flush=True)
            if given.verbose:
                print("    " + said.strip().replace("\n", "\n    "))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for kind, counts in counted.items():
        print(kind or "no sandbox", dict(counts), file=sys.stderr)
    sys.stdout.flush()
    os._exit(any(counts["ESCAPED"] for counts in counted.values()))  # the ears still listen


if __name__ == "__main__":
    main()
