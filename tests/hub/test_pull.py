"""Downloads from a hub on localhost: whole, resumed, cut off, wrong, forbidden."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gguf import make_tiny
from tests.support.hub import Hub

from palaver.core.errors import EngineError, UserError
from palaver.engines.hub import installed
from palaver.engines.pull import pull

MB = 1 << 20
BIG = random.Random(0).randbytes(6 * MB)
REPO = "org/tiny-GGUF"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    small = make_tiny(tmp_path / "small.gguf").read_bytes()
    files = {
        "tiny-Q4_K_M.gguf": small,
        "tiny-Q8_0.gguf": BIG,
        "tiny-Q2_K-00001-of-00002.gguf": BIG[:MB],
        "tiny-Q2_K-00002-of-00002.gguf": BIG[MB : 2 * MB],
        "README.md": b"hello",
    }
    with Hub({REPO: files, "org/empty": {"README.md": b""}}) as hub:
        yield hub


def test_takes_the_usual_quantisation_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = pull(REPO, tmp_path / "m", endpoint=hub.endpoint, progress=lambda *a: seen.append(a))
    assert path == tmp_path / "m" / REPO / "tiny-Q4_K_M.gguf"
    assert path.read_bytes() == hub.repos[REPO]["tiny-Q4_K_M.gguf"]
    assert len(hub.downloads()) == 1
    size = path.stat().st_size
    assert seen[0][0] == "download"
    assert seen[-1] == ("verify", size, size)
    assert [m.name for m in installed(tmp_path / "m")] == [f"{REPO}:Q4_K_M"]


def test_a_second_pull_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    for _ in range(2):
        pull(f"{REPO}:q8_0", tmp_path, endpoint=hub.endpoint)
    assert len(hub.downloads()) == 1


def test_all_parts_of_a_split_model(hub: Hub, tmp_path: Path) -> None:
    done = []
    path = pull(f"{REPO}:Q2_K", tmp_path, endpoint=hub.endpoint, progress=lambda *a: done.append(a))
    assert path.name == "tiny-Q2_K-00001-of-00002.gguf"
    parts = [path, path.with_name("tiny-Q2_K-00002-of-00002.gguf")]
    assert b"".join(p.read_bytes() for p in parts) == BIG[: 2 * MB]
    downloads = [n for what, n, total in done if what == "download"]
    assert downloads == sorted(downloads)
    assert downloads[-1] == 2 * MB


def test_a_connection_that_is_cut_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.cut["tiny-Q8_0.gguf"] = 4 * MB + 5
    hub.once = True
    path = pull(f"{REPO}:Q8_0", tmp_path, endpoint=hub.endpoint)
    assert path.read_bytes() == BIG
    assert hub.downloads() == [None, f"bytes={4 * MB}-"]


def test_a_killed_download_goes_on_in_the_next_process(hub: Hub, tmp_path: Path) -> None:
    hub.stall["tiny-Q8_0.gguf"] = 3 * MB
    child = subprocess.Popen(
        [sys.executable, "-m", "palaver.cli.main", "models", "pull", f"{REPO}:Q8_0",
         "--endpoint", hub.endpoint],
        env={**os.environ, "PALAVER_HOME": str(tmp_path)}, stderr=subprocess.PIPE,
    )  # fmt: skip
    folder = tmp_path / "data" / "models"
    assert hub.stalled.wait(60)
    try:
        assert child.stderr is not None
        for line in child.stderr:
            if b"2.10 MB" in line or b"3.15 MB" in line:
                break
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stderr.close()
    assert installed(folder) == []
    hub.stall.clear()
    path = pull(f"{REPO}:Q8_0", folder, endpoint=hub.endpoint)
    assert path.read_bytes() == BIG
    second = hub.downloads()[1]
    assert second is not None
    assert int(second.removeprefix("bytes=").rstrip("-")) >= MB


def test_wrong_content_is_deleted_and_said(hub: Hub, tmp_path: Path) -> None:
    hub.wrong.add("tiny-Q4_K_M.gguf")
    with pytest.raises(EngineError, match="other content"):
        pull(REPO, tmp_path, endpoint=hub.endpoint)
    assert not list(tmp_path.rglob("tiny-Q4_K_M*"))
    hub.wrong.clear()
    assert pull(REPO, tmp_path, endpoint=hub.endpoint).is_file()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("org/nothing", "no model org/nothing"),
        ("org/empty", "no GGUF"),
        (f"{REPO}:Q6_K", "no Q6_K"),
        ("not a name", "org/repo"),
        ("org/../x", "org/repo"),
    ],
)
def test_what_is_not_there_is_a_user_error(name: str, said: str, hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as caught:
        pull(name, tmp_path, endpoint=hub.endpoint)
    assert caught.value.fix
    assert hub.downloads() == []


def test_a_gated_model_says_where_to_ask(hub: Hub, tmp_path: Path) -> None:
    hub.gated.add(REPO)
    with pytest.raises(UserError, match=f"https://huggingface.co/{REPO}"):
        pull(REPO, tmp_path, endpoint=hub.endpoint)


def test_no_network_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="goes on where it stopped"):
        pull(REPO, tmp_path, endpoint="http://127.0.0.1:9")


def test_two_at_once_are_kept_apart(hub: Hub, tmp_path: Path) -> None:
    from palaver.engines import pull as module

    partial = (
        tmp_path
        / REPO
        / f"tiny-Q4_K_M.gguf.{hub.sha256('', hub.repos[REPO]['tiny-Q4_K_M.gguf'])[:12]}.partial"
    )
    partial.parent.mkdir(parents=True)
    with module._alone(partial), pytest.raises(UserError, match="another process"):
        pull(REPO, tmp_path, endpoint=hub.endpoint)


def test_a_file_that_changed_on_the_hub_is_downloaded_anew(hub: Hub, tmp_path: Path) -> None:
    path = pull(REPO, tmp_path, endpoint=hub.endpoint)
    newer = bytearray(path.read_bytes())
    newer[-1] ^= 1
    hub.repos[REPO]["tiny-Q4_K_M.gguf"] = bytes(newer)
    assert pull(REPO, tmp_path, endpoint=hub.endpoint).read_bytes() == newer


def test_too_little_room_is_said_before_the_first_byte(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Vast(bytes):
        def __len__(self) -> int:
            return 49 * 10**9

    free = 49 * 10**9 - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, free))
    hub.repos[REPO]["tiny-Q5_0.gguf"] = Vast(b"x")
    other = tmp_path / REPO / "tiny-Q8_0.gguf.0123456789ab.partial"
    other.parent.mkdir(parents=True)
    other.write_bytes(bytes(1000))  # of another file: no part of this one
    with pytest.raises(UserError, match="free in"):
        pull(f"{REPO}:Q5_0", tmp_path, endpoint=hub.endpoint)
    assert hub.downloads() == []
