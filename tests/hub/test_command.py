"""`palaver models` as a user runs it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from tests.support.gguf import make_tiny
from tests.support.hub import Hub

REPO = "org/tiny-GGUF"


def palaver(home: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "models", *args],
        capture_output=True, text=True, timeout=60,
        env={**os.environ, "PALAVER_HOME": str(home), "HF_HOME": str(home / "hf"), **env},
    )  # fmt: skip


def test_pull_list_inspect_remove(tmp_path: Path) -> None:
    data = make_tiny(tmp_path / "x.gguf", "hybrid").read_bytes()
    assert "palaver models pull" in palaver(tmp_path, "list").stdout
    with Hub({REPO: {"tiny-Q8_0.gguf": data}}) as hub:
        done = palaver(tmp_path, "pull", REPO, HF_ENDPOINT=hub.endpoint)
    assert done.returncode == 0, done.stderr
    assert "downloaded" in done.stderr
    assert "checked" in done.stderr
    assert f"{REPO}:Q8_0" in palaver(tmp_path, "list").stdout
    said = palaver(tmp_path, "inspect", "tiny").stdout
    for word in ("lfm2, 4 layers", "Q8_0", "40,960 tokens", "512 tokens, 7 special", "its own",
                 "state of fixed size", "fingerprint", "memory, at most"):  # fmt: skip
        assert word in said, word
    assert "Deleted" in palaver(tmp_path, "remove", "tiny", "-y").stdout
    assert "No models" in palaver(tmp_path, "list").stdout


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("inspect", "nothing-here"), 2, "no model"),
        (("remove", "nothing-here"), 2, "no model"),
        (("remove", "palaver-tiny", "-y"), 2, "ships with palaver"),
        (("remove", __file__, "-y"), 2, "delete the file yourself"),
        (("pull", "nonsense"), 2, "org/repo:quant"),
        (("pull", "org/m", "--endpoint", "http://127.0.0.1:9"), 1, "Pull it again"),
    ],
)
def test_errors_are_one_message(args: tuple, code: int, said: str, tmp_path: Path) -> None:
    done = palaver(tmp_path, *args)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_goes_to_the_configured_hub_alone(tmp_path: Path) -> None:
    data = make_tiny(tmp_path / "x.gguf").read_bytes()
    with Hub({REPO: {"tiny-Q8_0.gguf": data}}) as hub:
        palaver(tmp_path, "pull", REPO, "--endpoint", hub.endpoint, HF_TOKEN="hf_secret")
        assert hub.tokens == {None}
        hub.tokens.clear()
        palaver(tmp_path / "b", "pull", REPO, HF_ENDPOINT=hub.endpoint, HF_TOKEN="hf_secret")
        assert hub.tokens == {"Bearer hf_secret"}
        assert {path.rpartition("/")[2] for _, path, _ in hub.requests} == {
            "tiny-GGUF", "tiny-Q8_0.gguf"
        }  # fmt: skip


def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise ImportError('not here')")
    done = palaver(tmp_path, "pull", "org/m", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "[hub]'" in done.stderr


def test_metadata_can_not_reach_the_terminal(tmp_path: Path) -> None:
    path = make_tiny(tmp_path / "m.gguf", **{"general.name": "a\x1b[2Jb\u202ec\nd"})
    said = palaver(tmp_path, "inspect", str(path)).stdout
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert r"a\x1b[2Jb\u202ec\nd" in said


def test_a_terminal_gets_a_bar_and_ctrl_c_keeps_what_arrived(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5 << 20)
    with Hub({REPO: {"tiny-Q8_0.gguf": data}}) as hub:
        hub.stall["tiny-Q8_0.gguf"] = 3 << 20
        env = {**os.environ, "PALAVER_HOME": str(tmp_path), "TERM": "xterm-256color"}
        run = [sys.executable, "-m", "palaver.cli.main", "models", "pull", REPO]
        with pexpect_spawn([*run, "--endpoint", hub.endpoint], env) as child:
            child.expect(r"[23]\.1/5\.2 MB", timeout=60)
            child.sendintr()
            while child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=5):
                child.sendintr()  # Python drops one that comes within a callback
            child.close()
            assert child.exitstatus == 130
        hub.stall.clear()
        with pexpect_spawn([*run, "--endpoint", hub.endpoint], env) as child:
            child.expect("does not begin with the letters GGUF", timeout=60)
            child.expect(pexpect.EOF, timeout=20)
    assert hub.downloads()[1] in (f"bytes={2 << 20}-", f"bytes={3 << 20}-")


@contextmanager
def pexpect_spawn(argv: list[str], env: dict[str, str]) -> Iterator[pexpect.spawn]:
    child = pexpect.spawn(argv[0], argv[1:], env=env, dimensions=(24, 100), encoding="utf-8")
    try:
        yield child
    finally:
        child.close(force=True)
