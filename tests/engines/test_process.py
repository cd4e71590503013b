"""The engine's process: private, keyed, gone with its parent, replaced when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import msgspec
import pytest
from tests.support.engines import (
    ENVIRONMENT,
    collect,
    folder_of,
    gone,
    options,
    pid,
    running,
    start,
)

from palaver.core.errors import EngineError
from palaver.core.generation import Sampling
from palaver.engines.child import folders
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.prespawn import Prespawned
from palaver.engines.child.process import Child
from palaver.engines.child.wire import RefusedError, Wire

PROMPT = list(range(40, 90))
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_its_folder_is_private_and_its_socket_needs_the_key(engine):
    folder = folder_of(engine)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    path = str(folder / folders.SOCKET)
    for secret in ("", "wrong"):
        with pytest.raises(RefusedError) as caught:
            asyncio.run(Wire(path, 0, secret).call("POST", "/tokenize", {"content": "a"}))
        assert caught.value.status == 401


@linux
def test_it_listens_on_no_port(engine):
    number = pid(engine)
    inodes = set()
    for fd in Path(f"/proc/{number}/fd").iterdir():
        target = str(fd.readlink()) if fd.is_symlink() else ""
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    assert inodes  # the unix socket at least
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{number}/net/{table}").read_text().splitlines()[1:]
        assert not inodes & {line.split()[9] for line in lines}


@linux
def test_its_environment_and_command_line_hold_no_secret(tmp_path):
    env = ENVIRONMENT | {"HOME": "/nowhere"}
    code = (
        "import os, sys, asyncio; from palaver.config.environment import engine_environment as e;"
        "print(sorted(e()))"
    )
    secret = {"HF_TOKEN": "s3cret", "OPENAI_API_KEY": "s3cret", "PALAVER_HUB_TOKEN": "s3cret"}
    names = subprocess.run(
        [sys.executable, "-c", code], env=env | secret, capture_output=True, text=True
    ).stdout
    assert "PATH" in names
    assert "TOKEN" not in names
    assert "KEY" not in names

    async def look() -> None:
        async with running(tmp_path) as engine:
            key = engine._child.options.secret
            assert len(key) >= 24
            for what in ("environ", "cmdline"):
                assert key not in Path(f"/proc/{pid(engine)}/{what}").read_text()

    asyncio.run(look())


@linux
def test_it_writes_no_core_file_and_is_killed_before_the_chat(engine):
    limits = Path(f"/proc/{pid(engine)}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core"))
    assert core.split()[4:6] == ["0", "0"]
    ours = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(Path(f"/proc/{pid(engine)}/oom_score_adj").read_text()) >= max(ours, 500)


def test_modules_in_the_current_folder_are_not_run(tmp_path):
    (tmp_path / "msgspec.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "palaver").mkdir()
    (tmp_path / "palaver" / "__init__.py").write_text("raise SystemExit('hijacked')")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        engine = asyncio.run(start(tmp_path))
    finally:
        os.chdir(before)
    asyncio.run(engine.close())


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.support.engines import start, pid, collect
async def main():
    engine = await start(Path(sys.argv[1]))
    print(pid(engine), engine._child.options.folder, flush=True)
    if sys.argv[2] == "busy":
        await collect(engine, [5] * 900, max_tokens=120, grammar='root ::= "a"{900}')
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_it_ends_when_its_parent_is_killed_and_the_next_start_cleans_up(tmp_path_factory, state):
    # A short path: with a long one the socket stands in a place that every start cleans up.
    tmp_path = tmp_path_factory.mktemp("p")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), state], stdout=subprocess.PIPE, text=True
    )
    number, folder = parent.stdout.readline().split()
    assert Path(folder).is_relative_to(tmp_path)
    parent.kill()
    parent.communicate()
    assert asyncio.run(gone(int(number)))
    assert Path(folder).is_dir()  # nobody was left to remove it

    async def next_start() -> bool:
        async with running(tmp_path) as engine:
            assert folder_of(engine).is_dir()
        assert not folder_of(engine).exists()
        return Path(folder).exists()

    # The lock goes with the process's last thread, a moment after its first.
    assert not asyncio.run(next_start()) or not asyncio.run(next_start())


def test_it_outlives_the_thread_that_started_it(tmp_path):
    made = []
    thread = threading.Thread(target=lambda: made.append(asyncio.run(start(tmp_path))))
    thread.start()
    thread.join()
    assert asyncio.run(collect(made[0], PROMPT))[-1].stop
    asyncio.run(made[0].close())


def test_nothing_is_left_after_close_and_close_may_come_twice(tmp_path):
    engine = asyncio.run(start(tmp_path))
    number = pid(engine)
    asyncio.run(engine.close())
    asyncio.run(engine.close())
    assert asyncio.run(gone(number))
    assert list((tmp_path / "state").iterdir()) == []


def test_sweep_leaves_the_living_and_what_is_not_ours(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f"engine-{dead.pid}-1", f"engine-{os.getpid()}-1", "engine-x", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log").touch()
    (tmp_path / f"engine-{dead.pid}-2").symlink_to(tmp_path / "other")
    # A dead parent whose engine still runs: it holds the log's lock.
    orphan = tmp_path / f"engine-{dead.pid}-3"
    orphan.mkdir()
    with (orphan / "log").open("wb") as log:
        folders.hold(log)
        assert folders.sweep(tmp_path) >= 1
        assert orphan.is_dir()
    assert not (tmp_path / f"engine-{dead.pid}-1").exists()
    assert (tmp_path / f"engine-{os.getpid()}-1").is_dir()
    assert (tmp_path / "other" / "log").exists()
    assert (tmp_path / "engine-x").is_dir()
    folders.sweep(tmp_path)
    assert not orphan.exists()


def test_a_long_path_falls_back_to_a_short_private_folder(tmp_path, monkeypatch):
    short = Path(tempfile.mkdtemp(prefix="t"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)

    async def run() -> None:
        async with running(deep) as engine:
            folder = folder_of(engine)
            assert folder.parent == short
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert (await collect(engine, PROMPT))[-1].stop
        assert not folder.exists()

    asyncio.run(run())
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    made = folders.make(deep)
    assert made.parent == Path("/tmp")
    made.rmdir()
    short.rmdir()


def test_a_state_folder_that_can_not_be_written_is_said():
    with pytest.raises(EngineError, match="can't be started") as refused:
        Prespawned.start(Path("/proc/nowhere"), ENVIRONMENT)
    assert "PALAVER_HOME" in str(refused.value)


@linux
def test_threads_of_a_shared_engine_look_longer_for_work(tmp_path):
    looks = []
    for slots in (1, 4):
        child = Child.start(options(tmp_path, parallel=slots), ENVIRONMENT, None)
        environ = Path(f"/proc/{child.process.pid}/environ").read_bytes().decode()
        child.kill()
        looks.append(int(environ.partition("GOMP_SPINCOUNT=")[2].partition("\0")[0]))
    assert 0 < looks[0] < looks[1]


def test_an_unused_prespawned_process_goes_quietly(tmp_path):
    waiting = Prespawned.start(tmp_path, ENVIRONMENT)
    waiting.kill()
    waiting.kill()
    assert list(tmp_path.iterdir()) == []


def test_a_waiting_process_that_died_is_said(tmp_path):
    waiting = Prespawned.start(tmp_path, ENVIRONMENT)
    waiting.process.kill()
    waiting.process.wait()
    child = Child.start(options(tmp_path), ENVIRONMENT, waiting)
    with pytest.raises(EngineError, match="ended while loading") as caught:
        asyncio.run(child.ready())
    assert caught.value.died


def test_loading_that_takes_too_long_is_ended(tmp_path):
    child = Child.start(options(tmp_path, patience=0.001), ENVIRONMENT, None)
    with pytest.raises(EngineError, match="within 0 seconds"):
        asyncio.run(child.ready())
    assert asyncio.run(gone(child.process.pid))


async def _struck(engine: ChildEngine, where: str, strike: int) -> None:
    prompt = [9 + i % 300 for i in range(950 if where == "prefill" else 20)]
    sampling = Sampling(max_tokens=None, temperature=0.0, grammar='root ::= "a"{900}')
    if where == "idle":
        os.kill(pid(engine), strike)
        await gone(pid(engine))
    async for token in engine.generate(prompt, sampling):
        if token.prefill if where == "prefill" else token.count >= 2:
            os.kill(pid(engine), strike)


@pytest.mark.parametrize("strike", [signal.SIGKILL, signal.SIGABRT])
@pytest.mark.parametrize("where", ["prefill", "decode", "idle"])
def test_a_death_is_an_error_that_says_how_and_a_restart_mends_it(tmp_path, where, strike):
    async def run() -> None:
        async with running(tmp_path) as engine:
            with pytest.raises(EngineError, match=strike.name) as death:
                await _struck(engine, where, strike)
            assert death.value.died
            assert not engine.alive
            with pytest.raises(EngineError) as caught:
                await engine.tokenizer.encode("a", special=False)
            assert caught.value.died
            await engine.restart()
            assert engine.alive
            assert (await collect(engine, PROMPT))[-1].stop
        assert list((tmp_path / "state").iterdir()) == []

    asyncio.run(run())


def test_a_death_during_a_call_is_said_as_one(tmp_path):
    async def run() -> None:
        async with running(tmp_path) as engine:
            long = "hello there " * 400_000
            call = asyncio.create_task(engine.tokenizer.encode(long, special=False))
            await asyncio.sleep(0.2)
            assert not call.done()
            os.kill(pid(engine), signal.SIGKILL)
            with pytest.raises(EngineError) as caught:
                await call
            assert caught.value.died

    asyncio.run(run())


def test_a_server_that_talks_nonsense_is_an_engine_error(tmp_path):
    """A fake peer, because the real server can't be made to break its own protocol."""
    path = tmp_path / "s.sock"

    def answer(with_: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen(1)
            ready.set()
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(with_)
        path.unlink()

    for nonsense in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", b"SSH-2.0\r\n\r\n"):
        ready = threading.Event()
        peer = threading.Thread(target=answer, args=(nonsense,))
        peer.start()
        ready.wait()
        with pytest.raises((OSError, msgspec.DecodeError)):
            asyncio.run(Wire(str(path), 0, "").call("POST", "/tokenize", {"content": "a"}))
        peer.join()
