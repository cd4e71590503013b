"""What reading a streamed reply costs, beside vLLM's and sglang's parsers, in CPU time.

    PYTHONPATH=src PEERS/bin/python benchmarks/parsers.py [--rounds N] [--slow]

The peers' wheels hold their parsers; PEERS is a virtual environment in which both can be
imported (unpacked wheels on its path and what their modules import; neither needs a GPU). All
read the same chunks of 1 to 7 characters, in turn within one round: a call in Hermes' way with
10,000 and 40,000 characters of arguments, one in Qwen3-Coder's way, and prose. What they read is
compared first. vLLM's caller also joins the text so far for each chunk, which is counted for
nobody. Without --slow sglang reads the call of 40,000 once, not in every round.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from importlib import metadata

from palaver.core.events import CallDelta
from palaver.core.tool import ToolSpec
from palaver.formats.parsers.hermes import HermesParser
from palaver.formats.parsers.qwen3_coder import Qwen3CoderParser

SCHEMA = {"type": "object", "properties": {"content": {"type": "string"}}}
Read = Callable[[list[str]], tuple[float, str]]  # chunks -> CPU seconds, arguments or text


def chunks(text: str) -> list[str]:
    """Cut a text into pieces of 1 to 7 characters, always the same ones."""
    chance, out, at = random.Random(1), [], 0
    while at < len(text):
        step = chance.randint(1, 7)
        out.append(text[at : at + step])
        at += step
    return out


def body(size: int) -> str:
    """Write a program of `size` characters."""
    line = 'print("line {} of a file, <b>bold</b>")\n'
    return "".join(line.format(n) for n in range(size // 30))[:size]


def hermes(size: int) -> str:
    """Write a call as Hermes has it."""
    call = {"name": "write_file", "arguments": {"content": body(size)}}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


def qwen(size: int) -> str:
    """Write a call as Qwen3-Coder has it."""
    return (
        "<tool_call>\n<function=write_file>\n<parameter=content>\n"
        f"{body(size)}\n</parameter>\n</function>\n</tool_call>"
    )


def palaver(kind: type) -> Read:
    """Return our reader."""
    tools = [ToolSpec("write_file", "", SCHEMA)]

    def read(pieces: list[str]) -> tuple[float, str]:
        parser = kind(tools=tools)
        events = []
        start = time.process_time()
        for piece in pieces:
            events.append(parser.feed(piece))
        events.append(parser.finish())
        spent = time.process_time() - start
        said = (
            getattr(event, "arguments" if isinstance(event, CallDelta) else "text", "")
            for some in events
            for event in some
        )
        return spent, "".join(said)

    return read


class Tokens:
    """As much of a tokenizer as vLLM's parsers of text ask for."""

    def get_vocab(self) -> dict[str, int]:
        """Return the markers: the engine's parsers look their ids up."""
        words = ("<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_start|>", "<|im_end|>")
        return {word: number for number, word in enumerate(words)}


def vllm(module: str, name: str) -> Read:
    """Return a reader by a tool parser of vLLM."""
    import importlib

    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    function = {"name": "write_file", "description": "", "parameters": SCHEMA}
    request = ChatCompletionRequest(
        messages=[{"role": "user", "content": "x"}],
        model="x",
        tools=[{"type": "function", "function": function}],
    )
    kind = getattr(importlib.import_module(f"vllm.tool_parsers.{module}"), name)

    def read(pieces: list[str]) -> tuple[float, str]:
        parser = kind(Tokens(), request.tools)
        deltas = []
        so_far = [""]
        for piece in pieces:
            so_far.append(so_far[-1] + piece)
        start = time.process_time()
        for before, after, piece in zip(so_far, so_far[1:], pieces, strict=False):
            deltas.append(
                parser.extract_tool_calls_streaming(before, after, piece, [], [], [], request)
            )
        spent = time.process_time() - start
        said = []
        for delta in filter(None, deltas):
            said.append(delta.content or "")
            for call in delta.tool_calls or ():
                called = call.function
                found = called.get("arguments") if isinstance(called, dict) else called.arguments
                said.append(found or "")
        return spent, "".join(said)

    return read


def sglang() -> Read:
    """Return a reader by sglang's detector for Hermes."""
    from sglang.srt.entrypoints.openai.protocol import Function, Tool
    from sglang.srt.function_call.hermes_detector import HermesDetector

    tools = [Tool(function=Function(name="write_file", description="", parameters=SCHEMA))]

    def read(pieces: list[str]) -> tuple[float, str]:
        parser = HermesDetector()
        results = []
        start = time.process_time()
        for piece in pieces:
            results.append(parser.parse_streaming_increment(piece, tools))
        spent = time.process_time() - start
        said = [r.normal_text + "".join(c.parameters or "" for c in r.calls) for r in results]
        return spent, "".join(said)

    return read


def memory(kind: type, size: int) -> int:
    """Return the most bytes that our reader held while prose of `size` characters came."""
    pieces = chunks("Words of prose, one after the other.\n" * (size // 37))
    parser = kind()
    gc.collect()
    tracemalloc.start()
    for piece in pieces:
        parser.feed(piece)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def measure(rounds: int, slow: bool) -> dict[tuple[str, str], list[float]]:
    """Read everything with everybody, in turn; return CPU seconds by text and reader."""
    ours, theirs = palaver(HermesParser), vllm("hermes_tool_parser", "Hermes2ProToolParser")
    ours_xml = palaver(Qwen3CoderParser)
    theirs_xml = vllm("qwen3_engine_tool_parser", "Qwen3EngineToolParser")
    third = sglang()
    prose = "Words of prose, one after the other.\n" * 2162
    texts = {
        "call 10,000": (hermes(10_000), {"palaver": ours, "vLLM": theirs, "sglang": third}),
        "call 40,000": (hermes(40_000), {"palaver": ours, "vLLM": theirs, "sglang": third}),
        "XML call 10,000": (qwen(10_000), {"palaver": ours_xml, "vLLM": theirs_xml}),
        "XML call 40,000": (qwen(40_000), {"palaver": ours_xml, "vLLM": theirs_xml}),
        "prose 80,000": (prose, {"palaver": ours, "vLLM": theirs, "sglang": third}),
        "prose 80,000, XML": (prose, {"palaver": ours_xml, "vLLM": theirs_xml}),
    }
    spent: dict[tuple[str, str], list[float]] = {}
    said: dict[tuple[str, str], str] = {}
    for number in range(rounds):
        for text, (reply, readers) in texts.items():
            for reader, read in readers.items():
                if number and not slow and (text, reader) == ("call 40,000", "sglang"):
                    continue
                seconds, got = read(chunks(reply))
                spent.setdefault((text, reader), []).append(seconds)
                said[text, reader] = got
    for (text, reader), got in said.items():
        if plain(got) != plain(said[text, "palaver"]):
            print(f"{text}: {reader} read {len(got)} characters, otherwise than palaver")
    return spent


def plain(said: str) -> object:
    """Return what was said as a value where it is JSON, without white space at its ends."""
    try:
        return json.loads(said)
    except ValueError:
        return said.strip()


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--slow", action="store_true")
    given = options.parse_args()
    spent = measure(given.rounds, given.slow)
    middle = {key: statistics.median(values) for key, values in spent.items()}
    print(f"Python {sys.version.split()[0]}, vLLM {version('vllm')}, sglang {version('sglang')}")
    for (text, reader), seconds in middle.items():
        ratio = seconds / middle[text, "palaver"]
        print(f"{text:<18} {reader:<8} {seconds * 1e3:10.2f} ms  {ratio:8.1f}x")
    for name in ("call", "XML call"):
        short, long = (middle[f"{name} {n}", "palaver"] for n in ("10,000", "40,000"))
        print(f"{name}: 40,000 characters cost {long / short:.2f}x what 10,000 do (at most 4.5)")
    for kind in (HermesParser, Qwen3CoderParser):
        small, large = memory(kind, 100_000), memory(kind, 1_000_000)
        print(f"{kind.__name__}: at most {small} bytes held in 100,000 characters of prose,"
              f" {large} in 1,000,000")  # fmt: skip


def version(name: str) -> str:
    """Return the version of an installed wheel, or of one that was unpacked onto the path."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "of an unpacked wheel"


if __name__ == "__main__":
    main()
