"""A small model hub on localhost: the few routes that huggingface_hub asks for a download.

    with Hub({"org/repo": {"model-Q4_K_M.gguf": b"..."}}) as hub:
        hub.endpoint, hub.requests        # "http://127.0.0.1:PORT", [(method, path, range)]

Faults: `cut[file] = n` closes the connection after n bytes of each answer, `once` only of the
first; `stall[file] = n` says nothing more after n bytes; `wrong` names files whose SHA-256 is
said wrongly; `gated` names repositories.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        self.repos = repos
        self.cut: dict[str, int] = {}
        self.once = False
        self.stall: dict[str, int] = {}
        self.stalled = threading.Event()
        self.wrong: set[str] = set()
        self.gated: set[str] = set()
        self.requests: list[tuple[str, str, str | None]] = []
        self.tokens: set[str | None] = set()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sha256(self, file: str, data: bytes) -> str:
        return hashlib.sha256(b"other" if file in self.wrong else data).hexdigest()

    def downloads(self) -> list[str | None]:
        """The ranges that were asked for, download by download."""
        return [r for method, path, r in self.requests if method == "GET" and "/resolve/" in path]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = urlsplit(self.path).path
        self.hub.tokens.add(self.headers.get("Authorization"))
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) == 4:
            self._info("/".join(parts[2:]))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._file("/".join(parts[:2]), "/".join(parts[4:]), body=body)
        else:
            self._send(404, {"X-Error-Code": "EntryNotFound"}, b"no such route", body=body)

    def _send(
        self, status: int, headers: dict[str, str], data: bytes, *, body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _info(self, repo: str) -> None:
        files = self.hub.repos.get(repo)
        if files is None:
            said = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            self._send(404, said, b"{}")
            return
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "blobId": "0" * 40,
                "lfs": {
                    "sha256": self.hub.sha256(name, data),
                    "size": len(data),
                    "pointerSize": 134,
                },
            }
            for name, data in files.items()
        ]
        info = {"_id": "1", "id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings}
        said = {"Content-Type": "application/json"}
        self._send(200, said, json.dumps({**info, "tags": [], "downloads": 0}).encode())

    def _file(self, repo: str, name: str, *, body: bool) -> None:
        if repo in self.hub.gated:
            said = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}
            self._send(401, said, b"{}", body=body)
            return
        data = self.hub.repos.get(repo, {}).get(name)
        if data is None:
            self._send(404, {"X-Error-Code": "EntryNotFound"}, b"", body=body)
            return
        headers = {
            "ETag": f'"{self.hub.sha256(name, data)}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        status, start = 200, 0
        asked = self.headers.get("Range")
        if asked:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        rest = data[start:]
        if body and name in self.hub.stall:
            self._send(
                status, {**headers, "Content-Length": str(len(rest))}, rest[: self.hub.stall[name]]
            )
            self.hub.stalled.set()
            with contextlib.suppress(OSError):
                self.rfile.read(1)  # until the other side goes
            return
        cut = self.hub.cut.get(name) if body else None
        if cut is None or cut >= len(rest):
            self._send(status, headers, rest, body=body)
            return
        if self.hub.once:
            del self.hub.cut[name]
        self._send(status, {**headers, "Content-Length": str(len(rest))}, rest[:cut])
        self.wfile.flush()
        self.close_connection = True
