"""Measure a GGUF through llama.cpp, per skill: `python -m palaver.demo.evaluate MODEL.gguf`.

Dialogues are drawn with held-out values; a reply counts when its call (name and every argument)
or its text is exactly the expected one. No grammar helps, and our own parser reads the calls.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from palaver.core.events import CallParsed, TextDelta
from palaver.core.messages import Message, user
from palaver.core.tool import ToolSpec
from palaver.demo.chat import ANSWERS, DECLINE, OUT_OF_SCOPE
from palaver.demo.dialogues import dialogues
from palaver.demo.phrasings import bare
from palaver.demo.render import render
from palaver.demo.requests import TOOLS
from palaver.formats.parsers.hermes import HermesParser

SEED = 20_261_120


class Case(Struct, frozen=True):
    """One reply to make, and every way to be right: (call name, arguments) or a text."""

    skills: tuple[str, ...]
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    texts: tuple[str, ...] = ()
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


class Reply(Struct, frozen=True):
    """What the model wrote: its text, and its calls with their arguments, None if not JSON."""

    text: str
    calls: tuple[tuple[str, Any], ...]

    def right(self, case: Case) -> bool:
        """Say whether this is one of the expected replies."""
        if case.calls:
            return not self.text.strip() and len(self.calls) == 1 and self.calls[0] in case.calls
        return not self.calls and self.text.strip() in case.texts


class Runner:
    """A llama.cpp server in this process, on one thread."""

    def __init__(self, model: Path, context: int = 2048) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_ctx, params.n_parallel, params.warmup, params.verbosity = context, 1, False, -1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        self._folder = tempfile.TemporaryDirectory()
        params.hostnames = [f"{self._folder.name}/demo.sock"]
        self.server = xllamacpp.Server(params)
        self.made, self.seconds = 0, 0.0

    def complete(self, prompt: str, temperature: float, seed: int) -> str:
        """Return the raw reply to a prompt."""
        answer = self.server.handle_completions(
            {"prompt": prompt, "temperature": temperature, "seed": seed, "max_tokens": 160}
        )
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        self.made += answer["timings"]["predicted_n"]
        self.seconds += answer["timings"]["predicted_ms"] / 1000
        return str(answer["choices"][0]["text"])

    def reply(self, case: Case, temperature: float, seed: int) -> Reply:
        """Let the model reply to a case."""
        return parse(
            self.complete(render(case.messages, case.tools, reply=True), temperature, seed)
        )


def parse(raw: str) -> Reply:
    """Read a raw reply with the parser that palaver uses."""
    parser = HermesParser()
    events = [*parser.feed(raw), *parser.finish()]
    calls = []
    for event in events:
        if isinstance(event, CallParsed):
            try:
                arguments = json.loads(event.call.arguments)
            except ValueError:
                arguments = None
            calls.append((event.call.name, arguments))
    return Reply("".join(e.text for e in events if isinstance(e, TextDelta)), tuple(calls))


def held_out(each: int, draw: int = SEED) -> Iterator[Case]:
    """Yield cases with held-out values, at most `each` of every fine skill."""
    counts: dict[str, int] = {}
    for number, dialogue in enumerate(dialogues(draw, held_out=True)):
        if number > 400 * each:
            return
        turn = -1
        call = False
        for at, message in enumerate(dialogue.messages):
            turn += message.role == "user"
            if message.role != "assistant":
                continue
            fine = dialogue.skills[turn]
            if fine.startswith("call."):
                call = not call
                fine = fine if call else f"answer.{fine.removeprefix('call.')}"
            broad = () if fine.startswith("decline") else (fine.split(".")[0],)
            skills = (*broad, fine, f"turn {min(turn + 1, 3)}{'+' if turn > 1 else ''}")
            if counts.get(fine, 0) >= each:
                continue
            counts[fine] = counts.get(fine, 0) + 1
            calls = tuple((c.name, json.loads(c.arguments)) for c in message.calls)
            yield Case(
                skills, dialogue.messages[:at], dialogue.tools, (message.text.strip(),), calls
            )


def hand_written(path: Path) -> Iterator[Case]:
    """Yield the prompts that were written by hand."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        names = {"all": list(TOOLS), "none": []}.get(str(row["tools"]), row["tools"])
        texts = {
            "decline": [DECLINE], "scope": [OUT_OF_SCOPE, DECLINE], "call": [],
            "chat": [ANSWERS[a] for a in row.get("answers", ())],
        }[row["kind"]]  # fmt: skip
        calls = tuple((row["tool"], a) for a in row.get("accept", ()))
        skills = ("hand-written", f"hand-written.{row['kind']}")
        tools = tuple(TOOLS[n] for n in names)
        yield Case(skills, (user(row["prompt"]),), tools, tuple(texts), calls)


_SUM = re.compile(
    r"[(\d][\d.,()%^*/+x×÷ -]*|(?:plus|minus|times|over|less|squared|cubed|divided by|multiplied by"
    r"|to the power of|percent of)\b"
)


def wordings(path: Path) -> set[int]:
    """Return checksums of the prompts written by hand, as they are and with values taken out.

    They stand in `phrases/barred.txt`: the generator may write none of these wordings.
    """
    found: set[int] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.add(bare(row["prompt"]))
        for arguments in row.get("accept", ()):
            text = row["prompt"]
            for value in sorted((str(v) for v in arguments.values()), key=len, reverse=True):
                text = text.replace(value, "{v}")
            found.add(bare(text))
            if row["tool"] == "python":
                text = re.sub(r"(\{v\}\s*)+", "{v} ", _SUM.sub("{v}", text.lower()))
                found.add(bare(text))
    return found


def measure(
    runner: Runner, cases: Sequence[Case], temperature: float, show: int = 0
) -> dict[str, tuple[int, int]]:
    """Return right and all replies for every skill; print the first wrong ones."""
    score: dict[str, tuple[int, int]] = {}
    for seed, case in enumerate(cases, 1):
        reply = runner.reply(case, temperature, 7919 * seed)
        right = reply.right(case)
        for skill in case.skills:
            good, all_ = score.get(skill, (0, 0))
            score[skill] = (good + right, all_ + 1)
        if not right and show > 0:
            show -= 1
            wanted = case.calls or case.texts
            print(
                f"  {case.skills[-1]}: {case.messages[-1].parts[0]!r}\n"
                f"    got {reply}\n    want {wanted}"
            )
        if seed % 50 == 0:
            print(f"\r{seed}/{len(cases)} at {temperature}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return score


def main() -> None:
    """Read the command line, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--each", type=int, default=60, help="prompts for each fine skill")
    parser.add_argument("--seed", type=int, default=SEED, help="which dialogues are drawn")
    parser.add_argument("--hand", type=Path, help="a file of prompts written by hand (JSONL)")
    parser.add_argument("--temperature", type=float, nargs="*", default=[0.0, 0.4])
    parser.add_argument("--show", type=int, default=0, help="wrong replies to print")
    options = parser.parse_args()
    start = time.monotonic()
    runner = Runner(options.model)
    cases = list(held_out(options.each, options.seed))
    if options.hand:
        cases += hand_written(options.hand)
    scores = [measure(runner, cases, t, options.show) for t in options.temperature]
    print("| skill | " + " | ".join(f"T = {t}" for t in options.temperature) + " |")
    print("|---" * (len(scores) + 1) + "|")
    for skill in sorted(scores[0]):
        cells = [
            f"{s[skill][0]}/{s[skill][1]} = {100 * s[skill][0] / s[skill][1]:.1f} %" for s in scores
        ]
        print(f"| {skill} | " + " | ".join(cells) + " |")
    print(f"\n{runner.made:,} tokens, {runner.made / runner.seconds:,.0f} tokens/s decoded, "
          f"{time.monotonic() - start:.0f} s in all")  # fmt: skip


if __name__ == "__main__":
    main()
