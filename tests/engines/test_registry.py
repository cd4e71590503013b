"""Which engine runs a model: by its name, or by what suits the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from palaver.assemble import check_model
from palaver.config.settings import Settings
from palaver.core import install
from palaver.core.errors import UserError
from palaver.engines import checkpoints
from palaver.engines.registry import Kind, Weights, best, find, kinds, weights_of
from palaver.launch import engine_options, kind_of

NANO = Path(__file__).parents[1] / "data" / "palaver-nano"
HEAVY = {"torch", "transformers", "numpy", "tokenizers", "safetensors", "mlx", "xllamacpp"}


def test_engines_are_listed_by_name():
    names = [kind.name for kind in kinds()]
    assert names == sorted(names)
    assert {"llama-cpp", "llama-server", "transformers"} <= set(names)
    assert all(find(name).name == name for name in names)
    assert find("LLAMA_CPP").name == "llama-cpp"


@pytest.mark.parametrize(
    ("typed", "fix"),
    [
        ("transformer", "did you mean 'transformers'?"),
        ("LLama_cp", "did you mean 'llama-cpp'?"),
        ("olama", "did you mean 'ollama'?"),
        ("llama", "did you mean 'llama-cpp'?"),
    ],
)
def test_a_wrong_name_is_answered_with_one_that_is_near(typed, fix):
    with pytest.raises(UserError, match=f"no engine '{typed}'") as caught:
        find(typed)
    assert caught.value.fix == fix


@pytest.mark.parametrize("typed", ["torch", "openai", "server", "x"])
def test_a_name_that_is_near_to_none_is_answered_with_all(typed):
    with pytest.raises(UserError, match="no engine") as caught:
        find(typed)
    assert caught.value.fix.startswith("there are chat-endpoint, completions, gpt-oss, llama-cpp")


def test_what_the_guide_says_of_engines_is_what_they_say():
    guide = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in guide.splitlines() if line.startswith("| `")]
    assert {row[0].strip("`") for row in rows} == {kind.name for kind in kinds() if kind.program}
    for name, _, ids, states, adapters, grammars, batches in rows:
        can = find(name.strip("`")).can
        assert "log-probabilities" in can
        assert (ids == "yes") == ("exact ids" in can)
        assert states.startswith("yes") == ("saved states" in can), name
        assert (adapters == "no") == ("LoRA" not in can), name
        assert grammars.startswith("yes") == ("grammars" in can), name
        assert ("calls too" in grammars) == ("held calls" in can), name
        assert (batches == "side by side") == ("batches" in can), name


@pytest.mark.parametrize("odd", ["", "..", "os", "kinds/transformers", "palaver.engines"])
def test_no_other_module_is_an_engine(odd):
    with pytest.raises(UserError, match="no engine"):
        find(odd)


def test_what_an_engine_lacks_is_said_with_the_command_that_brings_it():
    kind = Kind("x", "", ("m",), lambda _: 1, needs=("json", "no_such_module"), extra="torch")
    with pytest.raises(UserError, match="not installed: no_such_module") as caught:
        kind.check()
    assert caught.value.fix == install.palaver("torch")
    kind = Kind("x", "", ("m",), lambda _: 1, hindered=lambda: "it is no Mac")
    with pytest.raises(UserError, match="not available on this hardware: it is no Mac"):
        kind.check()


@pytest.mark.parametrize(
    ("weights", "engine"),
    [
        (Weights("gguf"), "llama-cpp"),
        (Weights("safetensors", "qwen3"), "transformers"),
    ],
)
def test_a_model_without_an_engine_gets_what_suits_it(weights, engine):
    assert best(weights).name == engine


def test_the_model_decides_where_no_engine_is_named():
    assert weights_of(NANO) == Weights("safetensors", "llama")
    assert kind_of(Settings()).name == "llama-cpp"
    assert kind_of(Settings(model=str(NANO))).name == "transformers"
    assert kind_of(Settings(model=f"{NANO}.gguf")).name == "llama-cpp"
    assert kind_of(Settings(llama_server="/x/llama-server")).name == "llama-server"
    assert engine_options(Settings(model=str(NANO))).engine == "transformers"


@pytest.mark.parametrize(
    ("engine", "model", "what"),
    [
        ("transformers", f"{NANO}.gguf", "a GGUF file"),
        ("llama-cpp", str(NANO), "safetensors of the kind 'llama'"),
    ],
)
def test_an_engine_that_can_not_run_the_model_says_which_can(engine, model, what):
    with pytest.raises(UserError, match=f"can't run palaver-nano.*that is {what}") as caught:
        engine_options(Settings(engine=engine, model=model))
    assert "-e " in caught.value.fix


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"tensor_parallel": 2}, "--tensor-parallel"),
        ({"device": "cuda:1"}, "--device"),
        ({"dtype": "bfloat16"}, "--dtype"),
        ({"quantize": "4bit"}, "--quantize"),
    ],
)
@pytest.mark.parametrize("engine", ["llama-cpp", "llama-server"])
def test_what_llama_cpp_has_not_is_refused_by_name(given, flag, engine):
    settings = Settings(engine=engine, model=f"{NANO}.gguf", llama_server=sys.executable, **given)
    with pytest.raises(UserError, match=f"the engine {engine} has no {flag}") as caught:
        check_model(settings)
    assert caught.value.fix


def test_a_named_binary_is_not_used_by_another_engine():
    given = {"model": f"{NANO}.gguf", "llama_server": "/x/llama-server"}
    assert engine_options(Settings(engine="llama-cpp", **given)).llama_server is None
    assert engine_options(Settings(**given)).llama_server == "/x/llama-server"


def test_a_folder_in_the_models_folder_or_the_hubs_cache_is_found_by_its_name(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PALAVER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    from palaver.config import paths
    from palaver.launch import model_path

    repo = tmp_path / "hub" / "models--org--cached"
    snapshot = repo / "snapshots" / ("a" * 40)
    for folder in (paths.models_dir() / "org" / "own", snapshot):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("a" * 40)
    assert model_path(Settings(model="org/own")) == paths.models_dir() / "org" / "own"
    assert model_path(Settings(model="org/cached")) == snapshot
    found = checkpoints.installed(paths.models_dir(), tmp_path / "hub")
    assert found == [("org/cached", 0), ("org/own", 0)]
    (repo / "refs" / "main").write_text("../../../../etc")
    with pytest.raises(UserError, match="was not downloaded"):
        model_path(Settings(model="org/cached"))


def test_choosing_an_engine_loads_none():
    code = (
        "import sys, json; from palaver.engines import registry\n"
        "from palaver.config.settings import Settings; from palaver.launch import engine_options\n"
        f"registry.kinds(); engine_options(Settings(model={str(NANO)!r}))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not HEAVY & set(json.loads(done.stdout))
