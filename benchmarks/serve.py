"""`palaver serve` against llama.cpp's own listener: the same build, model, slots and threads.

    python -m benchmarks.serve [--model X.gguf] [--rounds N] [--tokens N] [--threads N]
    python -m benchmarks.serve disconnects [--count N]
    python -m benchmarks.serve flood [--seconds N]
    python -m benchmarks.serve malformed [--count N]

A round is 8 clients on each side, 1 client on each side, and first tokens of one client in turns on
both; who comes first changes from round to round. Every prompt is new, so that nothing is read from
a cache, and the listener's copies of prompts in memory, which ours does not make, are off. Its
OpenMP is as it comes.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from benchmarks.support import ROOT, conditions, fresh_home, model_file, spread, table, verdict
from tests.server.serving import Serving, serving

CLIENTS = 8
# A process of its own: a hundred threads share one interpreter with nobody who has a clock.
_PROBE = """
import http.client, json, sys, time
port, seconds, took = int(sys.argv[1]), float(sys.argv[2]), []
end = time.monotonic() + seconds
while time.monotonic() < end:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/health")
    connection.getresponse().read()
    connection.close()
    took.append(1000 * (time.perf_counter() - began))
    time.sleep(0.05)
print(json.dumps(took))
"""
CONTEXT = 1024
_NUMBERS = itertools.count()


class Said(NamedTuple):
    """One stream: seconds to its first text and to its end, its tokens, its status."""

    first: float
    whole: float
    tokens: int
    status: int = 200


def ask(port: int, tokens: int, words: int = 8) -> Said:
    """Stream one completion of a prompt that was never sent before."""
    mark = next(_NUMBERS)
    prompt = " ".join(f"{mark * 7919 % 9973} w{i}" for i in range(words))
    body = {"prompt": prompt, "max_tokens": tokens, "stream": True, "temperature": 0}
    body |= {"stream_options": {"include_usage": True}}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.connect()
    began = time.perf_counter()
    first, said = 0.0, b""
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        if answer.status != 200:
            answer.read()
            return Said(0.0, time.perf_counter() - began, 0, answer.status)
        for line in answer:
            if line.startswith(b"data: {"):
                said = line
                first = first or time.perf_counter()
    finally:
        connection.close()
    made = json.loads(said[6:])["usage"]["completion_tokens"]
    return Said(first - began, time.perf_counter() - began, made)


def together(port: int, clients: int, tokens: int) -> tuple[float, float]:
    """Let clients ask at once; return tokens/s of all and the worst first token."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        said = list(pool.map(lambda _: ask(port, tokens), range(clients)))
    took = time.perf_counter() - began
    return sum(one.tokens for one in said) / took, max(one.first for one in said)


@contextmanager
def listener(model: Path, threads: int, slots: int) -> Iterator[int]:
    """Run llama.cpp's own listener with as many slots; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, str(ROOT / "tests/support/llama_server.py"), "--", "-m", str(model)]
    argv += ["--port", str(port), "-c", str(CONTEXT * slots), "--parallel", str(slots)]
    argv += ["-t", str(threads), "--threads-batch", str(threads), "--no-warmup"]
    argv += ["--batch-size", "256", "--ubatch-size", "256"]
    env = os.environ | {"LLAMA_ARG_CACHE_RAM": "0", "LLAMA_LOG_VERBOSITY": "1"}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(argv, env=env, stderr=quiet, stdout=quiet)
    try:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()
        yield port
    finally:
        process.kill()
        process.wait()


class Round(NamedTuple):
    """Ours against the listener's: 8 clients' tokens/s and worst first token, what 8 clients have
    of what one has on each side, and milliseconds added to first tokens.
    """

    many: float
    worst: float
    gain: float
    own_gain: float
    added: list[float]


def compare(ours: int, theirs: int, tokens: int, *, they_first: bool) -> Round:
    """Measure one round at two ports."""
    ports = (theirs, ours) if they_first else (ours, theirs)
    many = {port: together(port, CLIENTS, tokens) for port in ports}
    alone = {port: together(port, 1, tokens)[0] for port in ports}
    added = []
    for _ in range(10):
        first = {}
        for port in ports:
            time.sleep(0.05)  # the other side's idle threads look for work for some 16 ms
            first[port] = ask(port, 1).first
        added.append(1000 * (first[ours] - first[theirs]))
    return Round(
        many[ours][0] / many[theirs][0],
        many[ours][1] / many[theirs][1],
        many[ours][0] / alone[ours],
        many[theirs][0] / alone[theirs],
        added,
    )


def speed(model: Path, rounds: int, tokens: int, threads: int) -> None:
    """Compare throughput, the worst first token and the first token of one client."""
    args = ("--slots", str(CLIENTS), "--context", str(CONTEXT), "--quiet")
    with (
        fresh_home() as home,
        serving(home, *args, model=model, PALAVER_THREADS=str(threads)) as ours,
        listener(model, threads, CLIENTS) as theirs,
    ):
        for port in (ours.port, theirs):
            together(port, CLIENTS, 4)
        done = [compare(ours.port, theirs, tokens, they_first=i % 2 > 0) for i in range(rounds)]
    report(done)


def report(done: list[Round]) -> None:
    """Print what rounds have measured."""
    many, worst = [r.many for r in done], [r.worst for r in done]
    added = [ms for r in done for ms in r.added]
    middle = statistics.median
    table(
        ["palaver serve", "measured", "target"],
        [
            ["8 clients, tokens/s of the listener's", spread(many, ".3f"),
             verdict(middle(many), least=0.97)],
            ["worst first token of 8, of the listener's", spread(worst),
             verdict(middle(worst), most=1.1)],
            ["8 clients against 1", spread(r.gain for r in done), ""],
            ["the listener's 8 against 1", spread(r.own_gain for r in done), ""],
            ["first token, ms more than the listener's", spread(added, ".1f"),
             verdict(middle(added), most=5.0)],
        ],
    )  # fmt: skip


def busy(server: Serving) -> int:
    """Return how many lanes work."""
    return int(json.loads(server.ask("GET", "/health")[2])["active_requests"])


def disconnects(model: Path, count: int) -> None:
    """Go away at random moments beside a stream that must not notice; time until idle."""
    args = ("--slots", "2", "--context", "2048", "--quiet")
    rng, waits, changed = random.Random(7), [], 0
    fixed = {"prompt": "a story", "max_tokens": 128, "temperature": 0, "return_token_ids": True}
    with fresh_home() as home, serving(home, *args, model=model) as server:
        alone = server.post("/v1/completions", **fixed)["choices"][0]["token_ids"]
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(server.post, "/v1/completions", **fixed)
            for _ in range(count):
                data = json.dumps({"prompt": "x y z", "max_tokens": 1900, "stream": True}).encode()
                head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
                with socket.create_connection(("127.0.0.1", server.port)) as connection:
                    connection.sendall(head.encode() + data)
                    time.sleep(rng.random() * 0.3)
                if other.done():
                    changed += other.result()["choices"][0]["token_ids"] != alone
                    other = pool.submit(server.post, "/v1/completions", **fixed)
                began = time.perf_counter()
                while busy(server) > 1:
                    time.sleep(0.002)
                waits.append(1000 * (time.perf_counter() - began))
            changed += other.result()["choices"][0]["token_ids"] != alone
    waits.sort()
    p99 = waits[int(0.99 * (len(waits) - 1))]
    table(
        ["disconnects", "measured", "target"],
        [
            ["to idle, p99 in ms", f"{p99:.0f}", verdict(p99, most=100)],
            ["streams changed by them", str(changed), verdict(changed, most=0)],
        ],
    )


def flood(model: Path, seconds: float) -> None:
    """Let 100 clients ask against a queue of 16, and watch health and memory."""
    args = ("--slots", "4", "--queue", "16", "--context", str(CONTEXT), "--quiet")
    answers: Counter[int] = Counter()
    with fresh_home() as home, serving(home, *args, model=model) as server:
        process = psutil.Process(server.process.pid)
        end = time.monotonic() + seconds
        ask(server.port, 4)
        before = process.memory_info().rss

        def client() -> None:
            while time.monotonic() < end:
                said = ask(server.port, 16)
                answers[said.status] += 1
                if said.status != 200:
                    time.sleep(0.2)

        threads_ = [threading.Thread(target=client) for _ in range(100)]
        for thread in threads_:
            thread.start()
        probe = [sys.executable, "-c", _PROBE, str(server.port), str(seconds)]
        health = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)
        for thread in threads_:
            thread.join()
        grown = process.memory_info().rss / before
    p99 = sorted(health)[int(0.99 * (len(health) - 1))]
    odd = sum(count for status, count in answers.items() if status not in (200, 429, 503))
    table(
        ["100 clients, a queue of 16", "measured", "target"],
        [
            ["answered otherwise than 200, 429, 503", f"{odd} of {dict(answers)}",
             verdict(odd, most=0)],
            ["/health, p99 in ms", f"{p99:.0f}", verdict(p99, most=50)],
            ["memory after against before", f"{grown:.2f}", ""],
        ],
    )  # fmt: skip


def malformed(count: int) -> None:
    """Send malformed requests."""
    from hypothesis import HealthCheck, given, settings
    from tests.server.malformed import check, requests

    statuses: Counter[int] = Counter()
    slowest = 0.0
    folder = tempfile.TemporaryDirectory()
    with folder as home, serving(Path(home), "--slots", "1", "--quiet") as server:

        @given(requests())
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def send(request: tuple[str, bytes]) -> None:
            nonlocal slowest
            began = time.perf_counter()
            statuses[check(server.port, *request)] += 1
            slowest = max(slowest, time.perf_counter() - began)

        send()
    said = f"{sum(statuses.values())}: {dict(statuses)}, the slowest {slowest:.2f} s"
    table(["malformed requests", "measured"], [["none is a 500, none hangs", said]])


def main() -> None:
    """Measure what is asked for and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    kinds = ("speed", "disconnects", "flood", "malformed")
    parser.add_argument("kind", nargs="?", default="speed", choices=kinds)
    parser.add_argument("--model", type=Path, help="GGUF (made if none is given)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    conditions()
    if asked.kind == "malformed":
        malformed(asked.count)
    elif asked.kind == "speed":
        speed(model_file(asked.model), asked.rounds, asked.tokens, asked.threads)
    elif asked.kind == "disconnects":
        disconnects(model_file(asked.model, "llama"), asked.count)
    else:
        flood(model_file(asked.model, "llama"), asked.seconds)


if __name__ == "__main__":
    main()
