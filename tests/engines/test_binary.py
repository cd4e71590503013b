"""The `llama-server` driver, on a program with that one's command line and real llama.cpp."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.support.engines import ENVIRONMENT, collect, gone, options, pid, running, text
from tests.support.llama_server import wrap
from tests.support.talk import LONG, Talk, loaded

import gguf
from palaver.core.errors import EngineError, PalaverError, UserError
from palaver.engines.child.engine import ChildEngine
from palaver.engines.child.process import Child
from palaver.engines.child.wire import RefusedError, Wire
from palaver.engines.llama_cpp import binary
from palaver.engines.llama_cpp import gguf as reader
from palaver.engines.llama_cpp.describe import describe

PROMPT = list(range(40, 90))


def server(folder: Path, *behaviour: str) -> str:
    return str(wrap(folder / "llama-server", "--note", str(folder / "note"), *behaviour))


def noted(folder: Path) -> tuple[int, str]:
    number, line = (folder / "note").read_text().splitlines()
    return int(number), line


def own_peak(process: int) -> int:
    """Return the bytes that a process held at most."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def test_a_conversation_over_a_binary_is_one_like_any_other(tmp_path):
    async def run() -> None:
        path = server(tmp_path)
        async with loaded(tmp_path, llama_server=path) as model:
            assert model.engine.info.name == "llama-server"
            assert model.engine.file.port == 0
            talk = Talk(model, head=LONG)
            await talk.ask(LONG)
            assert model.engine.peak_memory() > own_peak(noted(tmp_path)[0]) + 5_000_000
            await talk.ask("next", grammar='root ::= "é 😀"')
            assert talk.last.exact
            assert talk.last.timings.reused == talk.cost.reused
            assert talk.rows[-1].entry.text == "é 😀"
            assert await model.cache.save()
            first = model.engine.info.fingerprint
            server_pid, line = noted(tmp_path)
            assert "--api-key-file" in line
            assert model.engine._child.options.secret not in line
        assert await gone(server_pid)
        async with loaded(tmp_path, llama_server=path) as model:
            again = Talk(model, talk.rows)
            await again.ask("three")
            assert again.last.timings.reused > 500
        async with running(tmp_path) as engine:
            assert engine.info.fingerprint != first

    asyncio.run(run())


def test_a_binary_that_knows_no_sockets_gets_a_port_and_the_key(tmp_path):
    async def run() -> None:
        async with running(tmp_path, llama_server=server(tmp_path, "--old")) as engine:
            port = engine.file.port
            assert port > 0
            assert (await collect(engine, PROMPT))[-1].stop
            with pytest.raises(RefusedError):
                await Wire("", port, "wrong").call("POST", "/tokenize", {"content": "a"})

    asyncio.run(run())


def test_progress_is_said_while_it_loads(tmp_path):
    async def run() -> None:
        said: list[str] = []
        given = options(tmp_path, llama_server=server(tmp_path, "--slow"))
        child = Child.start(given, ENVIRONMENT, None)
        engine = await ChildEngine.start(child, ENVIRONMENT, said.append)
        await engine.close()
        assert said
        assert all("llama-server is loading" in line for line in said)

    asyncio.run(run())


@pytest.mark.parametrize("strike", [signal.SIGKILL, signal.SIGABRT])
def test_its_death_is_said_and_mended(tmp_path, strike):
    async def run() -> None:
        async with running(tmp_path, llama_server=server(tmp_path)) as engine:
            os.kill(noted(tmp_path)[0], strike)
            assert await gone(pid(engine))
            with pytest.raises(EngineError, match=strike.name) as caught:
                await collect(engine, PROMPT)
            assert caught.value.died
            await engine.restart()
            assert (await collect(engine, PROMPT))[-1].stop

    asyncio.run(run())


def test_it_goes_where_only_its_supervisor_is_killed(tmp_path):
    async def run() -> None:
        async with running(tmp_path, llama_server=server(tmp_path)) as engine:
            os.kill(pid(engine), signal.SIGKILL)
            assert await gone(noted(tmp_path)[0])

    asyncio.run(run())


def fails(folder: Path, llama_server: str, **given) -> PalaverError:
    async def run() -> None:
        async with running(folder, llama_server=llama_server, **given):
            pytest.fail("it started")

    with pytest.raises(PalaverError) as caught:
        asyncio.run(run())
    return caught.value


def test_a_path_that_is_no_program_is_the_users_error(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    for path, reason in (
        (tmp_path / "missing", "there is no"), (tmp_path, "no program"), (plain, "executed"),
    ):  # fmt: skip
        error = fails(tmp_path, str(path))
        assert isinstance(error, UserError)
        assert reason in error.message
        assert str(path) in error.message
        assert error.fix


def test_one_that_ends_at_once_says_why(tmp_path):
    error = fails(tmp_path, server(tmp_path, "--fail"))
    assert isinstance(error, EngineError)
    assert "exit code 1" in error.message
    assert "failed to load model" in error.fix


def test_one_that_is_no_server_at_all_is_said(tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("neither script nor program")
    broken.chmod(0o755)
    error = fails(tmp_path, str(broken))
    assert isinstance(error, EngineError)
    assert str(broken) in error.message


def test_one_that_is_never_healthy_is_ended(tmp_path):
    error = fails(tmp_path, server(tmp_path, "--never"), patience=2.0)
    assert isinstance(error, EngineError)
    assert "within 2 seconds" in error.message
    assert asyncio.run(gone(noted(tmp_path)[0]))


def test_an_unknown_flag_ends_the_stand_in_as_it_ends_the_real_one(tmp_path):
    line = [server(tmp_path), "--model", "x", "--no-such-flag"]
    ended = subprocess.run(line, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "--no-such-flag" in ended.stderr


def make_lora(path: Path, base: Path) -> Path:
    """Write a LoRA adapter of random weights for the tiny llama."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    rng = np.random.default_rng(0)
    for tensor in reader.read(base).tensors:
        if tensor.name.endswith(("ffn_up.weight", "attn_q.weight")):
            inner, outer = tensor.shape[0], tensor.shape[1]
            for name, shape in (("a", (4, inner)), ("b", (outer, 4))):
                weights = rng.normal(0, 0.5, shape).astype(np.float32)
                writer.add_tensor(f"{tensor.name}.lora_{name}", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_adapter_and_its_scale_reach_the_binary_and_the_built_in_engine(tmp_path):
    base = Path(options(tmp_path).model)
    lora = str(make_lora(tmp_path / "lora.gguf", base))

    async def said(**given) -> tuple[str, str]:
        async with running(tmp_path, **given) as engine:
            tokens = await collect(engine, PROMPT, max_tokens=24, repeat_penalty=1.5)
            return text(tokens), engine.info.fingerprint

    async def run() -> None:
        path = server(tmp_path)
        plain, full, half = (), ((lora, 1.0),), ((lora, 0.25),)
        built_in = [await said(loras=loras) for loras in (plain, full, half)]
        driven = [await said(loras=loras, llama_server=path) for loras in (plain, full, half)]
        assert [t for t, _ in built_in] == [t for t, _ in driven]
        assert len({t for t, _ in built_in}) == 3
        assert len({fingerprint for _, fingerprint in built_in + driven}) == 6

    asyncio.run(run())


def test_the_command_line_says_every_setting(tmp_path):
    model = describe(options(tmp_path))
    given = options(tmp_path, llama_server="/x/llama-server", loras=(("/a", 0.5), ("/b", 1.0)))
    line = binary.command(given, model, Path("/k"), ["--host", "/s.sock"])
    pairs = dict(itertools.pairwise(line))
    assert line[0] == "/x/llama-server"
    assert (pairs["--ctx-size"], pairs["--threads"], pairs["--host"]) == ("1024", "1", "/s.sock")
    assert pairs["--slot-save-path"].endswith("/kv/")
    assert (pairs["--cache-type-k"], pairs["--cache-type-v"]) == ("f16", "f16")
    assert line.count("--lora") == 2
