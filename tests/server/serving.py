"""`palaver serve` as a process on a free port, and clients for it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import openai
from tests.support.terminal import environment

PATIENCE = 60.0


class Serving:
    """A server that runs. `lines` is what it printed."""

    def __init__(
        self,
        home: Path,
        *args: str,
        model: Path | None = None,
        cwd: Path | None = None,
        **env: str,
    ) -> None:
        given = ["--port", "0", *(["-m", str(model)] if model else [])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "palaver.cli.main", "serve", *given, *args],
            env=environment(home, **({"PALAVER_THREADS": "1"} | env)),
            cwd=cwd,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.lines: list[str] = []
        self._over = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.port = int(self.wait_for(r"listening on http://[^ ]*:(\d+)")[1])
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line."""

        def found() -> re.Match[str] | None:
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._over, PATIENCE)
            match = found()
        assert match, (pattern, self.lines, self.process.poll())
        return match

    @property
    def name(self) -> str:
        """What the model is called."""
        return str(json.loads(self.ask("GET", "/health")[2])["model"])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request; return status, headers (names in lower case) and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        data = json.dumps(body).encode() if body is not None else raw
        usual = {"content-type": "application/json"} if data is not None else {}
        try:
            connection.request(method, path, data, usual | (headers or {}))
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, named, answer.read()
        finally:
            connection.close()

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Send JSON; return what comes back as it should."""
        status, _, data = self.ask("POST", path, body)
        assert status == 200, data
        return dict(json.loads(data))

    def refused(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """Send JSON that is wrong; return the status and the error."""
        status, _, data = self.ask("POST", path, body)
        assert status >= 400, data
        return status, json.loads(data)["error"]

    def gauge(self, name: str) -> float:
        """Return a number that it counts."""
        text = self.ask("GET", "/metrics")[2].decode()
        found = re.search(rf"^palaver_{name} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

    def client(self) -> openai.OpenAI:
        """Return OpenAI's SDK for it."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="any", max_retries=0)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Kill it, if it runs, and let go of its pipe."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr
        self.process.stderr.close()


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def serving(
    home: Path, *args: str, model: Path | None = None, cwd: Path | None = None, **env: str
) -> Iterator[Serving]:
    """Start a server, wait until its model is loaded, and end it."""
    made = Serving(home, *args, model=model, cwd=cwd, **env)
    try:
        made.wait_for("palaver serves ")
        yield made
    finally:
        made.close()
