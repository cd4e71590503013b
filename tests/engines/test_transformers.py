"""The engine transformers: what it refuses, cuts back, keeps, and makes of adapters."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import safetensors.torch
import torch
import transformers
from tests.support.engines import collect, gone, options, pid, running, start
from tests.support.talk import Talk, loaded

from palaver.core.errors import UserError
from palaver.engines.host.folder import Folder
from palaver.engines.host.slot import Chunk, Slot, Stop, read_request
from palaver.engines.transformers.model import open_model
from palaver.engines.transformers.part import TransformersModel

NANO = Path(__file__).parents[1] / "data" / "palaver-nano"
LENGTH = 40
SHAPE = {
    "vocab_size": 363, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
KINDS = {
    "qwen3": lambda: transformers.Qwen3Config(**SHAPE),
    "qwen3 sliding": lambda: transformers.Qwen3Config(
        **SHAPE, use_sliding_window=True, sliding_window=8, max_window_layers=1
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SHAPE, sliding_window=8),
    "gpt-oss": lambda: transformers.GptOssConfig(
        **SHAPE, sliding_window=8, num_local_experts=4, num_experts_per_tok=2
    ),
    "llama": lambda: transformers.LlamaConfig(**SHAPE),
}


def write(folder: Path, config: Any) -> Path:
    """Write a random model of an architecture, with palaver-nano's tokenizer."""
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(NANO / name, folder)
    return folder


def opened(folder: Path, home: Path, **given: Any) -> TransformersModel:
    home.mkdir(exist_ok=True)
    given = {"context": 512, "model": folder, "engine": "transformers"} | given
    return open_model(options(home, **given), lambda _: None)


IDS = [7 + (5 * i) % 300 for i in range(LENGTH)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_that_is_cut_says_what_a_fresh_one_says(tmp_path, kind):
    folder = write(tmp_path / "m", KINDS[kind]())
    model = opened(folder, tmp_path / "home")
    assert model.file.cut_back
    for at in range(0, LENGTH, 8):  # in chunks, as the host gives them
        fresh = model.forward(IDS[at : at + 8])
    for keep in (LENGTH - 1, 17, 9, 3):  # behind, at and within the window
        assert model.crop(keep) == keep
        again = model.forward(IDS[keep:])
        assert np.abs(again - fresh).max() < 1e-4
    assert model.crop(LENGTH + 5) == LENGTH
    assert model.crop(0) == 0
    one_by_one = [model.forward([i]) for i in IDS][-1]
    assert np.abs(one_by_one - fresh).max() < 1e-4
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        wanted = theirs(torch.tensor([IDS])).logits[0, -1].numpy()
    assert np.abs(wanted - fresh).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_rows_side_by_side_are_what_each_is_alone(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("palaver.engines.transformers.rows._STEP", 64)  # in several columns
    model = opened(write(tmp_path / "m", KINDS[kind]()), tmp_path / "home")
    prompts = [IDS[:3], IDS, IDS[5:30]]

    def alone(ids: list[int]) -> Any:
        model.crop(0)
        return model.forward(ids)

    rows = model.read(prompts)
    for row, prompt in enumerate(prompts):
        assert np.abs(rows.logits[row] - alone(prompt)).max() < 1e-4
    rows.step([11, 12, 13], [0, 1, 2])
    rows.step([21, 23], [0, 2])  # the one in the middle is over
    for row, ids in enumerate(([*IDS[:3], 11, 21], [*IDS[5:30], 13, 23])):
        assert np.abs(rows.logits[row] - alone(ids)).max() < 1e-4


def test_a_cache_that_can_not_be_cut_is_read_again_and_that_is_said(tmp_path):
    config = transformers.Lfm2Config(
        **SHAPE, layer_types=["conv", "full_attention", "conv", "full_attention"]
    )
    model = opened(write(tmp_path / "m", config), tmp_path / "home")
    assert not model.file.cut_back
    fresh = model.forward(IDS)
    assert model.crop(LENGTH) == LENGTH
    assert model.crop(10) == 0
    assert np.abs(model.forward(IDS) - fresh).max() < 1e-4
    with pytest.raises(UserError, match="can't be saved"):
        model.save(tmp_path / "state", IDS)


def test_what_a_model_that_can_not_go_back_will_read_again_is_told(tmp_path):
    config = transformers.Lfm2Config(
        **SHAPE, layer_types=["conv", "full_attention", "conv", "full_attention"]
    )
    given = {"model": write(tmp_path / "m", config), "engine": "transformers", "context": 512}

    async def run() -> None:
        async with loaded(tmp_path, **given) as model:
            talk = Talk(model)
            for text in ("one two three", "and four"):
                await talk.ask(text, max_tokens=8, logit_bias=((0, -1e3), (2, -1e3)))
                assert talk.as_said()
            back = talk.branch(2)
            await back.ask("instead", max_tokens=4)
            assert (back.cost.reused, back.last.timings.reused) == (0, 0)
            assert "can't go back" in back.cost.broke

    asyncio.run(run())


def test_a_state_goes_to_a_file_and_back_and_no_other_model_takes_it(tmp_path):
    model = opened(write(tmp_path / "m", KINDS["gpt-oss"]()), tmp_path / "home")
    model.forward(IDS[:30])
    model.save(tmp_path / "state", IDS[:30])
    wanted = model.forward(IDS[30:])
    model.crop(5)
    assert model.restore(tmp_path / "state") == IDS[:30]
    assert np.abs(model.forward(IDS[30:]) - wanted).max() < 1e-5
    shallow = write(tmp_path / "n", transformers.LlamaConfig(**SHAPE | {"num_hidden_layers": 2}))
    other = opened(shallow, tmp_path / "home")
    with pytest.raises(ValueError, match="layers that the model lacks"):
        other.restore(tmp_path / "state")
    assert other.crop(100) == 0
    assert len(other.forward(IDS)) == 363


# -- what is refused ---------------------------------------------------------------------


def nano(folder: Path) -> Path:
    shutil.copytree(NANO, folder)
    return folder


def _torch_zip(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"w": torch.zeros(2)}, folder / "model.safetensors")


def _old_pickle(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x02}q\x00.")


def _bin_alone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as file:
        file.writestr("data.pkl", b"\x80\x02}q\x00.")


def _cut_off(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 300_000)


def _cut_header(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 100)


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def _foreign(folder: Path, **more: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nobody"} | more))


def _own_code(folder: Path) -> None:
    _foreign(folder, auto_map={"AutoModelForCausalLM": "evil.Model"})
    (folder / "evil.py").write_text("raise SystemExit(99)")


def _lacking(folder: Path) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    safetensors.torch.save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_torch_zip, "model.safetensors is a pickle"),
        (_old_pickle, "model.safetensors is a pickle"),
        (_bin_alone, "pytorch_model.bin is a pickle"),
        (_cut_off, "does not lie within it"),
        (_cut_header, "its header does not fit"),
        (_no_weights, "holds no safetensors"),
        (_no_tokenizer, "has no tokenizer.json"),
        (_broken_tokenizer, "tokenizer.json can't be used"),
        (_no_config, "has no config.json"),
        (_broken_config, "is no JSON object"),
        (_foreign, "transformers can't use m"),
        (_own_code, "program code of its own"),
        (_lacking, "lacks 1 of the model's weights, such as model.layers.1.mlp.up_proj.weight"),
    ],
)
def test_a_folder_that_can_not_be_used_is_refused_by_name(
    tmp_path, spoil: Callable[[Path], None], reason: str
):
    folder = nano(tmp_path / "m")
    spoil(folder)
    with pytest.raises(UserError, match=reason):
        opened(folder, tmp_path / "home")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"device": "gpu"}, "must be cpu, cuda"),
        ({"context": 4096}, "was trained for 1024"),
        ({"quantize": "4bit"}, "needs bitsandbytes"),
        ({"memory_limit": 0.5}, "needs about 70. MB"),
        ({"kv_type": "q8_0"}, "the model's own type"),
        ({"loras": (("/nowhere", 1.0),)}, "no LoRA adapter"),
    ],
)
def test_a_setting_that_can_not_be_met_is_refused_by_name(tmp_path, given, reason):
    with pytest.raises(UserError, match=reason):
        opened(NANO, tmp_path / "home", **given)


def test_the_reason_reaches_whoever_started_the_process(tmp_path):
    folder = nano(tmp_path / "m")
    _torch_zip(folder)
    with pytest.raises(UserError, match="is a pickle"):
        asyncio.run(start(tmp_path, model=folder, engine="transformers"))


# -- what is loaded ----------------------------------------------------------------------


def test_the_memory_estimate_counts_what_will_be_loaded(tmp_path):
    from palaver.engines.transformers import load

    folder = Folder(NANO)
    numbers = sum(tensor.values for tensor in folder.tensors)
    assert load.dtype(None, folder, "cpu") is torch.float32  # its own is float16
    assert load.dtype(None, folder, "cuda") is torch.float16
    assert load.dtype("bfloat16", folder, "cpu") is torch.bfloat16
    assert load.weights_bytes(folder, torch.float32, None) == 4 * numbers
    assert load.weights_bytes(folder, torch.float32, "4bit") < numbers
    model = opened(NANO, tmp_path / "home")
    loaded = sum(p.numel() * p.element_size() for p in model._model.parameters())
    assert loaded == model.file.weights_bytes == 4 * numbers
    model.forward(IDS)
    cache = sum(x.keys.nbytes + x.values.nbytes for x in model._cache.layers)
    assert cache == model.file.kv_bytes_per_token * LENGTH


def adapter(folder: Path, **config: Any) -> Path:
    """Write a LoRA adapter for palaver-nano's first query projection."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(3)
    at = "base_model.model.model.layers.0.self_attn.q_proj"
    pair = {f"{at}.lora_A.weight": torch.randn(4, 96), f"{at}.lora_B.weight": torch.randn(96, 4)}
    safetensors.torch.save_file(pair, folder / "adapter_model.safetensors")
    given = {"peft_type": "LORA", "r": 4, "lora_alpha": 8} | config
    (folder / "adapter_config.json").write_text(json.dumps(given))
    return folder


def test_an_adapter_is_added_at_its_scale_and_its_states_are_its_own(tmp_path):
    made = adapter(tmp_path / "a")
    plain = opened(NANO, tmp_path / "home")
    half = opened(NANO, tmp_path / "home", loras=((str(made), 0.5),))
    none = opened(NANO, tmp_path / "home", loras=((str(made), 0.0),))
    at = "model.layers.0.self_attn.q_proj.weight"
    pair = safetensors.torch.load_file(made / "adapter_model.safetensors")
    a, b = (pair[f"base_model.model.{at[:-7]}.lora_{x}.weight"] for x in "AB")
    changed = half._model.get_parameter(at) - plain._model.get_parameter(at)
    assert torch.allclose(changed, 0.5 * 8 / 4 * b @ a, atol=1e-5)
    assert np.array_equal(none.forward(IDS), plain.forward(IDS))
    assert len({m.file.fingerprint for m in (plain, half, none)}) == 3


@pytest.mark.parametrize("odd", ["use_dora", "rank_pattern", "modules_to_save"])
def test_an_adapter_of_another_make_is_refused(tmp_path, odd):
    made = adapter(tmp_path / "a", **{odd: ["lm_head"]})
    with pytest.raises(UserError, match=odd):
        opened(NANO, tmp_path / "home", loras=((str(made), 1.0),))


def test_an_adapter_for_another_model_is_refused(tmp_path):
    folder = write(tmp_path / "m", KINDS["llama"]())
    with pytest.raises(UserError, match="is not for this model"):
        opened(folder, tmp_path / "home", loras=((str(adapter(tmp_path / "a")), 1.0),))


# -- several processes -------------------------------------------------------------------


def test_two_processes_share_a_model_and_say_what_one_says(tmp_path):
    shape = SHAPE | {"hidden_size": 64, "head_dim": 16}
    folder = write(tmp_path / "m", transformers.LlamaConfig(**shape))
    slot = Slot(opened(folder, tmp_path / "home"), batch=64)

    def alone(prompt: list[int]) -> list[Chunk]:
        body = {"prompt": prompt, "n_predict": 16, "temperature": 0.0, "n_probs": 1}
        chunks: list[Chunk] = []
        slot.reply(read_request(body, slot.model), chunks.append, Stop())
        return chunks

    async def run() -> None:
        given = {"engine": "transformers", "context": 512, "ranks": 2}
        async with running(tmp_path, model=folder, **given) as engine:
            (other,) = psutil.Process(pid(engine)).children()
            for prompt in (IDS, IDS[:20]):  # the second is cut back
                found = await collect(engine, prompt, logprobs=1)
                wanted = alone(prompt)
                ids = [i for chunk in wanted for i in chunk.tokens]
                assert [i for token in found for i in token.ids] == ids
                these = [one["logprob"] for t in found for one in t.logprobs]
                those = [one["logprob"] for c in wanted for one in c.completion_probabilities]
                assert len(those) > 10
                assert np.allclose(these, those, atol=1e-3)
            assert found[-1].timings.reused == 19
        assert await gone(other.pid)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ranks": 2}, "3 key-value heads"),
        ({"ranks": 3, "quantize": "4bit"}, "--quantize can't be used with --tensor-parallel"),
        ({"ranks": 3, "device": "auto"}, "--device auto can't be used"),
    ],
)
def test_a_model_that_can_not_be_shared_is_refused(tmp_path, given, reason):
    with pytest.raises(UserError, match=reason):
        opened(NANO, tmp_path / "home", **given)
