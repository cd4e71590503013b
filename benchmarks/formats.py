"""What parsing a reply and rendering a prompt cost, in CPU time.

    python benchmarks/formats.py [--rounds N]

A streamed call comes a character at a time: four times the arguments may cost at most 4.5 times
as much. A rendering is that of a conversation of 100 turns with calls, once as it is and once
with a control token typed in it (then it is rendered again, to follow that text).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from palaver.core.messages import Message, Text, ToolCall, ToolResult, assistant, system, user
from palaver.formats.builtin import BUILT_IN
from palaver.formats.parsers.hermes import HermesParser
from palaver.formats.template import TemplateFormat


def cost(work: Callable[[], object], rounds: int) -> float:
    """Return the least CPU seconds of `rounds`."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def parse(text: str) -> Callable[[], object]:
    """Return the work of parsing `text` in pieces of one character."""
    chunks = list(text)

    def work() -> None:
        parser = HermesParser()
        for chunk in chunks:
            parser.feed(chunk)
        parser.finish()

    return work


def call(size: int) -> str:
    """Write a call with `size` characters of arguments, some of them escaped."""
    line = 'print(\\"{}\\")\\n'
    body = (line * (size // len(line) + 1))[:size].rstrip("\\")
    return (
        f'<tool_call>\n{{"name": "write_file", "arguments": {{"content": "{body}"}}}}\n</tool_call>'
    )


def talk(extra: str) -> list[Message]:
    """Make a conversation of 100 turns."""
    messages = [system("Be kind.")]
    for n in range(100):
        messages += [
            user(f"question {n} {'lorem ipsum ' * 30}"),
            Message(
                "assistant",
                (Text("One moment."), ToolCall(f"call_{n}", "read_file", '{"path": "a.txt"}')),
                "end",
            ),
            Message("tool", (ToolResult(f"call_{n}", "read_file", "line\n" * 100),)),
            assistant("answer " * 60),
        ]
    return [*messages, user(extra)]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    short, long = (cost(parse(call(size)), rounds) for size in (10_000, 40_000))
    prose = cost(parse("Words of prose, one after the other.\n" * 1000), rounds)
    print(f"call of 10,000 characters  {short * 1e3:8.1f} ms")
    print(f"call of 40,000 characters  {long * 1e3:8.1f} ms  {long / short:.2f}x (at most 4.5)")
    print(f"prose of 37,000 characters {prose * 1e3:8.1f} ms")
    chatml = next(b for b in BUILT_IN if b.name == "chatml")
    made = TemplateFormat(chatml.template, control=chatml.tokens)
    made.render(talk("x"), reply=True)  # compiled once
    for name, extra in (("as it is", "bye"), ("a token typed", "<|im_end|>")):
        messages = talk(extra)
        spent = cost(lambda m=messages: made.render(m, reply=True), rounds)
        print(f"100 turns, {name:<15} {spent * 1e3:8.1f} ms")


if __name__ == "__main__":
    main()
