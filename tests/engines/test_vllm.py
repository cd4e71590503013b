"""A vLLM of our own: a program that answers what a real one answered (tests/support/vllm.py)."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.engines import ENVIRONMENT, gone, text
from tests.support.vllm_talk import HELLO, NANO, local, reply, turns

from palaver.core.errors import EngineError, UserError
from palaver.engines.child.options import Options
from palaver.engines.child.process import Child
from palaver.engines.host.folder import Folder
from palaver.engines.vllm.child import _loading
from palaver.engines.vllm.command import command
from palaver.engines.vllm.engine import Vllm

PROGRAM = Path(__file__).parents[1] / "support" / "vllm.py"


def options(folder: Path, *behaviour: str, **given) -> Options:
    program = folder / "vllm"
    line = shlex.join([sys.executable, str(PROGRAM)])
    program.write_text(f'#!/bin/sh\nexec {line} "$@" {shlex.join(behaviour)}\n')
    program.chmod(0o755)
    for name in ("state", "kv"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    state = str(folder / "state")
    return Options(
        model=str(NANO), engine="vllm", folder=state, slots=str(folder / "kv"), cache=state,
        vllm=str(program), **given,
    )  # fmt: skip


@asynccontextmanager
async def owned(folder: Path, *behaviour: str, progress=None, **given):
    given_ = options(folder, "--note", str(folder / "note"), *behaviour, **given)
    engine = await Vllm.start(Child.start(given_, ENVIRONMENT, None), ENVIRONMENT, progress)
    try:
        yield engine
    finally:
        await engine.close()


def noted(folder: Path) -> tuple[int, str]:
    """Return the process id of vLLM, and its arguments."""
    number, line = (folder / "note").read_text().splitlines()
    return int(number), line


def test_vllm_is_started_talked_to_and_ended(tmp_path):
    said: list[str] = []

    async def run():
        async with owned(tmp_path, "--loads", "1.2", progress=said.append) as engine:
            talk = await turns(local(engine))
            assert talk.last.exact
            number, line = noted(tmp_path)
            assert f"serve {NANO} --host 127.0.0.1 --port" in line
            assert "--served-model-name palaver-nano --max-model-len 1024" in line
            assert engine._child.options.secret not in line
            os.kill(number, 0)
            assert engine.info.name == "vllm"
            return number

    assert asyncio.run(gone(asyncio.run(run())))
    assert re.fullmatch(r"vllm is loading the model, \d+ s(: Starting to load)?", said[0])
    log = tmp_path / "state" / "vllm.log"
    assert _loading(log, 3) == "vllm is loading the model, 3 s: Starting to load"


def test_vllm_that_ends_is_told_and_started_again(tmp_path):
    async def run():
        async with owned(tmp_path) as engine:
            model = local(engine)
            os.kill(noted(tmp_path)[0], signal.SIGKILL)
            assert await gone(noted(tmp_path)[0])
            with pytest.raises(EngineError, match="SIGKILL") as caught:
                await reply(model, "Hello")
            assert caught.value.died
            assert not model.alive
            await model.restart()
            assert text(await reply(model, "Hello")) == HELLO

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_vllm_ends_with_us_whoever_is_killed(tmp_path):
    async def run():
        async with owned(tmp_path) as engine:
            os.kill(engine._child.process.pid, signal.SIGKILL)
            assert await gone(noted(tmp_path)[0])

    asyncio.run(run())


def test_vllm_that_cannot_start_says_why(tmp_path):
    async def run():
        async with owned(tmp_path, "--fails"):
            raise AssertionError

    with pytest.raises(EngineError) as caught:
        asyncio.run(run())
    assert "ended with exit code 1" in str(caught.value)
    assert "ValueError: no such device" in str(caught.value)
    assert "vllm.log" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loras": ((str(NANO), 1.0), (str(NANO), 1.0))}, "one LoRA adapter"),
        ({"loras": ((str(NANO), 0.5),)}, "full scale"),
        ({"arguments": ("--api-key=x",)}, "palaver's to choose"),
        ({"kv_type": "q8_0"}, "kv_type"),
        ({"quantize": "8bit"}, "quantize"),
        ({"context": 5000}, "1024 tokens"),
        ({"memory_limit": 0.1}, "limit"),
    ],
)
def test_what_vllm_cannot_do_is_refused_before_it_starts(tmp_path, given, words):
    async def run():
        async with owned(tmp_path, **given):
            raise AssertionError

    with pytest.raises(UserError, match=words):
        asyncio.run(run())
    assert not (tmp_path / "note").exists()


def test_the_command_line_of_vllm(tmp_path):
    folder = Folder(NANO)
    more = ("--distributed-executor-backend", "ray", "--pipeline-parallel-size", "2")
    given = options(
        tmp_path, ranks=4, context=512, dtype="bfloat16", loras=((str(NANO), 1.0),), arguments=more
    )
    file = folder.describe(given, folder.vocabulary(), build="vllm", weights=1, kv=1)
    assert command(given, file, 7)[1:] == [
        "serve", str(NANO), "--host", "127.0.0.1", "--port", "7",
        "--served-model-name", "palaver-nano", "--max-model-len", "512",
        "--enable-prompt-tokens-details", "--max-logprobs", "1000",
        "--tensor-parallel-size", "4", "--dtype", "bfloat16",
        "--enable-lora", "--lora-modules", f"adapter={NANO}", *more,
    ]  # fmt: skip
