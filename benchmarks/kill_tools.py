"""Kills a process in turns with tools at random moments, and looks what is left.

    python -m benchmarks.kill_tools [--kills N] [--seed S]

Every call has a number of its own, and its tool writes that down when it begins. After each kill
the session is resumed; a call that was under way is asked about and not allowed again. No call
may begin twice, no result that was shown may be missing, and every call must end up with exactly
one result. Prints counts; exits with 1 where that is not so. PALAVER_FULL=1 makes it 2,000 kills.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from palaver.chat.calls import open_calls
from palaver.chat.decide import AwaitUser, next_step
from palaver.chat.front import Answer, Front, Question
from palaver.chat.run import run_turn
from palaver.chat.work import Worker, Workshop
from palaver.conversation import Conversation
from palaver.core.events import CallDelta, CallParsed, Event, MessageDone, TextDelta, ToolFinished
from palaver.core.generation import Generation, Sampling
from palaver.core.log import Row
from palaver.core.messages import Message, Text, ToolCall, ToolResult, user
from palaver.core.tool import Allow, Ask, ToolContext, ToolSpec, Verdict
from palaver.sessions.background import AsyncStore
from palaver.sessions.store import Store
from palaver.tools.toolbox import Box

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Witness:
    """A tool that writes down which call it begins."""

    def __init__(self, name: str, file: int, *, reads: bool) -> None:
        self.spec = ToolSpec(name, "a witness", NUMBER, reads)
        self._file = file

    async def call(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        number = arguments["n"]
        os.write(self._file, b"%d\n" % number)
        await asyncio.sleep((number % 7) * 0.0005)
        return f"result {number} " + "x" * (number % 400)

    async def preview(self, arguments: dict[str, Any], ctx: ToolContext) -> str:
        return f"{self.spec.name} {arguments['n']}"


class Tools(Box):
    """Half of the calls that change something are asked about."""

    def judge(self, call: ToolCall) -> Verdict:
        found = super().judge(call)
        asks = call.name == "change" and json.loads(call.arguments)["n"] % 2
        return Ask("it changes something") if asks and isinstance(found, Allow) else found


class Talker:
    """A model that calls tools some of the time; no number is used twice."""

    name = "talker"

    def __init__(self, rng: random.Random, first: int) -> None:
        self._rng, self._next = rng, first

    async def respond(self, _rows: Sequence[Row], *_more: object) -> AsyncIterator[Event]:
        parts: list[Any] = [Text("I look. " * self._rng.randrange(1, 4))]
        yield TextDelta(parts[0].text)
        for at in range(self._rng.choice((0, 1, 1, 2, 4))):
            self._next += 1
            name = self._rng.choice(("look", "look", "change"))
            call = ToolCall(f"call_{at + 1}", name, json.dumps({"n": self._next}))
            yield CallDelta(at, name, call.arguments)
            yield CallParsed(at, call)
            parts.append(call)
            await asyncio.sleep(0)
        yield MessageDone(Message("assistant", tuple(parts), "end"), Generation("e", "m"))


async def chat(folder: Path, session: int | None, seed: int, ack: int) -> None:
    """Talk until killed: each line on `ack` says what was shown."""

    def said(*what: object) -> None:
        os.write(ack, json.dumps(what).encode() + b"\n")

    def show(events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, ToolFinished):
                said("result", event.result.text)

    async def ask(question: Question) -> Answer:
        if question.interrupted:
            said("asked")
        return Answer(allowed=not question.interrupted)

    file = os.open(folder / "witness", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    tools = Tools([Witness("look", file, reads=True), Witness("change", file, reads=False)])
    shop, front = Workshop(tools, folder), Front(show, ask)
    model = Talker(random.Random(seed), seed * 10_000)
    store = await AsyncStore.open(folder / "palaver.db")
    if session is None:
        log = await Conversation.create(store, None, None)
        said("session", log.session)
    else:
        log, _ = await Conversation.resume(store, session)
    if not isinstance(next_step(log.rows, shop.rules), AwaitUser):
        await run_turn(log, model, shop, Sampling(), front)
    said("resumed")
    while True:
        await Worker(log, shop, front).close("not run: the user said something else")
        await log.append(user("go on"))
        await run_turn(log, model, shop, Sampling(), front)


class Trial:
    """One session, killed again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.session: int | None = None
        self.shown: list[str] = []
        self.counts: Counter[str] = Counter()

    def kill_once(self, number: int) -> None:
        """Start a child, kill it after a random time, take down what it has shown."""
        out, ack = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            with contextlib.suppress(BaseException):
                asyncio.run(chat(self.folder, self.session, number + 1, ack))
            os._exit(1)
        os.close(ack)
        time.sleep(0.02 + self.rng.random() * 0.15)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        self.counts["ended by itself"] += not os.WIFSIGNALED(status)
        with os.fdopen(out, "rb") as file:
            for line in file.read().split(b"\n")[:-1]:
                self._take(*json.loads(line))

    def _take(self, what: str, value: Any = None) -> None:
        self.counts[what] += 1
        if what == "session":
            self.session = value
        elif what == "result":
            self.shown.append(value)

    def check(self) -> bool:
        """Compare the store with what was shown and what ran."""
        if self.session is None:
            return False
        with Store(self.folder / "palaver.db", readonly=True) as store:
            rows = store.path(self.session)
        messages = [row.entry for row in rows if isinstance(row.entry, Message)]
        parts = [part for message in messages for part in message.parts]
        results = Counter(part.text for part in parts if isinstance(part, ToolResult))
        calls = sum(isinstance(part, ToolCall) for part in parts)
        begun = Counter((self.folder / "witness").read_text().split())
        lost = sum((Counter(self.shown) - results).values())
        twice = sum(count > 1 for count in begun.values())
        missing = calls - sum(results.values()) - len(open_calls(rows))
        print(
            f"{calls} calls, {len(begun)} begun, {twice} twice; {len(self.shown)} results shown,"
            f" {lost} lost; {missing} calls without exactly one; {self.counts['asked']} asked"
            f" about, {self.counts['ended by itself']} ended by itself"
        )
        return not (lost or twice or missing or self.counts["ended by itself"])


def main() -> None:
    """Run the trial; exit code 1 where anything was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2000 if os.environ.get("PALAVER_FULL") else 60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        for part in range(0, given.kills, 100):  # a session grows: another one now and then
            place = Path(folder) / str(part)
            place.mkdir()
            trial = Trial(place, given.seed + part)
            for number in range(part, min(part + 100, given.kills)):
                trial.kill_once(number)
            fine = trial.check() and fine
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
