"""What a model's files say of sampling holds where the user says nothing, and is shown."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.endpoint import KEY, llama_cpp
from tests.support.gguf import make_tiny
from tests.support.talk import Talk, loaded
from tests.support.terminal import PALAVER, PATIENCE, environment

from palaver import TextModel
from palaver.engines.own_sampling import of_generation_config, of_gguf

NANO = Path(__file__).parents[1] / "data" / "palaver-nano-gpt-oss"
OWN = {"general.sampling.temp": 0.61, "general.sampling.top_k": 7, "general.sampling.top_p": 0.77}
UNSET = {"temperature": None, "seed": None, "max_tokens": 2}


def test_names_of_both_kinds_of_files_are_ours():
    config = {"temperature": 0.6, "top_k": 20, "repetition_penalty": 1.05, "do_sample": True}
    assert of_generation_config(config) == {"temperature": 0.6, "top_k": 20, "repeat_penalty": 1.05}
    metadata = {"general.sampling.penalty_repeat": 1.05, "general.sampling.min_p": 0.0, "x": 1}
    assert of_gguf(metadata) == {"min_p": 0.0, "repeat_penalty": 1.05}


@pytest.mark.parametrize("odd", [True, "0.7", None, [1], math.nan, math.inf, -1])
def test_what_can_not_be_meant_is_as_if_it_were_not_there(odd):
    assert of_generation_config({"temperature": odd, "top_p": 1.5}) == {}


def test_a_ggufs_own_sampling_completes_what_is_unset(tmp_path):
    model = make_tiny(tmp_path / "own.gguf", **OWN)

    async def run() -> None:
        async with loaded(tmp_path, model=model) as own:
            talk = Talk(own)
            used = (await talk.ask("one", **UNSET)).sampling
            assert (used.temperature, used.top_k, used.top_p, used.min_p) == (0.61, 7, 0.77, None)
            used = (await talk.ask("two", temperature=0.0, top_k=0, max_tokens=2)).sampling
            assert (used.temperature, used.top_k, used.top_p) == (0.0, 0, 0.77)
        async with loaded(tmp_path) as plain:
            used = (await Talk(plain).ask("one", **UNSET)).sampling
            assert (used.temperature, used.top_k) == (0.4, None)

    asyncio.run(run())


def test_a_folders_generation_config_holds_in_a_hosted_engine(tmp_path):
    folder = tmp_path / "nano"
    shutil.copytree(NANO, folder)
    config = json.loads((folder / "generation_config.json").read_text())
    asked = config | {"do_sample": True, "temperature": 3.0, "top_k": 1}
    (folder / "generation_config.json").write_text(json.dumps(asked))
    with TextModel(str(folder), threads=1, context=256) as model:
        assert model.info.sampling == {"temperature": 3.0, "top_k": 1}
        greedy = model.generate("x and y", temperature=0.0, max_tokens=12)
        assert {model.generate("x and y", max_tokens=12) for _ in range(3)} == {greedy}
        wild = {model.generate("x and y", top_k=0, top_p=1.0, min_p=0.0, max_tokens=12, seed=s)
                for s in (1, 2)}  # fmt: skip
        assert greedy not in wild


def test_where_a_setting_comes_from_is_said(tmp_path):
    model = make_tiny(tmp_path / "own.gguf", **OWN)
    env = environment(tmp_path / "home")
    env.pop("PALAVER_TEMPERATURE")
    done = subprocess.run(
        [*PALAVER, "-m", str(model), "--threads", "1", "--context", "256", "--top-p", "0.9"],
        input="/model\n/set\n", env=env, capture_output=True, text=True, timeout=PATIENCE,
        check=True,
    )  # fmt: skip
    assert "its own sampling: temperature 0.61, top_k 7, top_p 0.77" in done.stdout
    assert "temperature = unset (0.61, the model's own)" in done.stdout
    assert "top_p = 0.9\n" in done.stdout
    assert "min_p = unset\n" in done.stdout
    assert "seed = unset\n" in done.stdout


def test_what_a_server_decides_is_said(tmp_path):
    env = environment(tmp_path / "home", PALAVER_ENDPOINT_KEY=KEY)
    env.pop("PALAVER_TEMPERATURE")
    with llama_cpp(tmp_path) as real:
        done = subprocess.run(
            [*PALAVER, "-e", "llama-server", "--endpoint", real.url, "--plain"],
            input="/model\n/set\n", env=env, capture_output=True, text=True, timeout=PATIENCE,
            check=True,
        )  # fmt: skip
    assert "palaver-tiny on llama-server, 2048 tokens" in done.stdout
    assert "temperature = unset (the server's choice)" in done.stdout
    assert "seed = unset\n" in done.stdout
