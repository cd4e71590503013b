"""What the engine gpt-oss says of checkpoints and settings that it can't use; its memory."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from openai_harmony import load_harmony_encoding
from safetensors.torch import load_file, save_file
from tests.support import gpt_oss
from tests.support.gpt_oss import Shape

from palaver.core.errors import UserError
from palaver.demo.nano import vocabulary
from palaver.demo.nano_files import write_json
from palaver.engines import o200k
from palaver.engines.child.options import Options
from palaver.engines.gpt_oss import memory
from palaver.engines.gpt_oss.model import GptOssModel, open_model
from palaver.engines.gpt_oss.vocabulary import make
from palaver.engines.host.vocabulary import JsonVocabulary
from palaver.engines.registry import best, weights_of
from palaver.formats.harmony.format import MARKERS

SHARED = Path(__file__).parents[3] / "shared" / "data"
ROUTER = "model.layers.1.mlp.router.weight"
BLOCKS = "block.0.mlp.mlp1_weight.blocks"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def checkpoint(folder: Path, layout: str, dtype: torch.dtype = torch.float32) -> Path:
    gpt_oss.write(folder, Shape(), layout, gpt_oss.random(Shape(), dtype=dtype))
    write_json(folder / "tokenizer.json", vocabulary())
    return folder


def load(folder: Path, **settings: Any) -> GptOssModel:
    options = Options(model=str(folder), folder="/nowhere", slots="/nowhere", threads=1, **settings)
    return open_model(options, lambda _: None)


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "plain")
    change_tensors(folder, lambda tensors: tensors.pop(ROUTER))
    with pytest.raises(UserError, match=rf"{tmp_path} lacks the tensor {ROUTER}"):
        load(folder)


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "plain")
    change_tensors(folder, lambda tensors: tensors.update({ROUTER: torch.zeros(4, 63)}))
    with pytest.raises(UserError) as caught:
        load(folder)
    assert f"model.safetensors: {ROUTER} is F32 (4, 63), not" in caught.value.message
    assert caught.value.message.endswith("(4, 64)")


def test_a_wrong_type_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "original")
    change_tensors(folder, lambda tensors: tensors.update({BLOCKS: tensors[BLOCKS].float()}))
    with pytest.raises(UserError, match=rf"{BLOCKS} is F32 .*, not U8"):
        load(folder)


def test_rows_that_are_no_whole_blocks(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "original")
    change_config(folder, intermediate_size=40)

    def narrow(tensors: dict[str, torch.Tensor]) -> None:
        for name in tensors:
            if "mlp1" in name:
                tensors[name] = tensors[name][:, :80].contiguous()

    change_tensors(folder, narrow)
    with pytest.raises(UserError, match=r"mlp2_weight\. has 40 columns, no blocks of 32"):
        load(folder)


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "original")
    change_config(folder, num_hidden_layers=1)
    with pytest.raises(UserError, match=r"block\.1\.[a-z0-9_.]+ does not belong to the model"):
        load(folder)


def test_a_tensor_in_two_files(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "plain")
    save_file({ROUTER: torch.zeros(1)}, folder / "more.safetensors")
    with pytest.raises(UserError, match=rf"both hold {ROUTER}"):
        load(folder)


def test_a_missing_part_of_a_checkpoint(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "packed")
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(UserError, match="lacks the tensor"):
        load(folder)


def test_a_pickle_under_the_name_of_safetensors(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "original")
    torch.save({ROUTER: torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is a pickle"):
        load(folder)


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_a_cut_file(keep: int, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, "original")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="is damaged"):
        load(folder)


@pytest.mark.parametrize(
    ("layout", "values", "said"),
    [
        ("original", {"hidden_size": "64"}, "hidden_size is '64', not a number above 0"),
        ("original", {"hidden_size": None}, "hidden_size is None"),
        ("original", {"head_dim": -2}, "head_dim is -2"),
        ("original", {"num_experts": 1.5}, "num_experts is 1.5, not a whole number"),
        ("original", {"num_hidden_layers": 10**6}, "1,000,000 layers"),
        ("original", {"num_key_value_heads": 3}, "4 heads don't share 3 key heads evenly"),
        ("original", {"experts_per_token": 5}, "5 of 4 experts can't be chosen"),
        ("original", {"head_dim": 15}, "can't be rotated in pairs"),
        ("original", {"model_type": "llama"}, "is not of a gpt-oss model but of 'llama'"),
        ("packed", {"layer_types": ["full_attention"]}, "layer_types does not name 2 kinds"),
        ("packed", {"layer_types": ["full_attention", "other"]}, "does not name 2 kinds"),
        ("packed", {"rope_scaling": None}, "neither rope_parameters nor rope_scaling"),
        ("packed", {"rope_scaling": {"rope_type": "llama3"}}, "positions of the kind 'llama3'"),
        ("packed", {"rope_scaling": {"rope_type": "yarn"}}, "factor is None"),
        ("packed", {"quantization_config": {"quant_method": "fp8"}}, "weights quantised by 'fp8'"),
    ],
)
def test_a_config_that_can_not_be(
    layout: str, values: dict[str, object], said: str, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path, layout)
    change_config(folder, **values)
    with pytest.raises(UserError) as caught:
        load(folder)
    assert said in caught.value.message
    assert str(folder / "config.json") in caught.value.message


def test_newer_configs_hold_theta_with_the_rest(tmp_path: Path) -> None:
    old, new = (checkpoint(tmp_path / name, "plain") for name in ("old", "new"))
    said = json.loads((new / "config.json").read_text())
    scaling = said.pop("rope_scaling") | {"rope_theta": said.pop("rope_theta")}
    (new / "config.json").write_text(json.dumps(said | {"rope_parameters": scaling}))
    ids = list(range(40))
    assert (load(old).forward(ids) == load(new).forward(ids)).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loras": (("a", 1.0),)}, "can't load adapters"),
        ({"quantize": "4bit"}, "does not quantise"),
        ({"device": "auto"}, "runs on one device"),
        ({"ranks": 2}, "runs in one process"),
        ({"device": "tpu"}, "device = 'tpu'"),
        ({"kv_type": "q8_0"}, "kv_type = 'q8_0'"),
        ({"context": 1 << 20}, "was trained for 131072 tokens"),
        ({"memory_limit": 0.1}, "the limit is 0.1 GB"),
    ],
)
def test_settings_that_can_not_be(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(checkpoint(tmp_path, "original"), **settings)
    assert said in caught.value.message


def test_experts_are_unpacked_where_memory_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path, "original", torch.bfloat16)
    monkeypatch.setattr(memory, "free", lambda: None)  # as where it can't be known
    packed = load(folder)
    whole = load(folder, memory_limit=100.0)
    values = 2 * 4 * 3 * 64 * 96  # layers, experts, matrices of up and down
    assert whole.file.weights_bytes - packed.file.weights_bytes == 2 * values
    monkeypatch.setattr(memory, "free", lambda: 10**11)
    assert load(folder).file.weights_bytes == whole.file.weights_bytes
    ids = list(range(60))
    a, b = packed.forward(ids), whole.forward(ids)
    assert (a == b).all()


def test_free_memory_is_what_the_system_and_the_groups_leave(tmp_path: Path) -> None:
    inner = tmp_path / "sys/fs/cgroup/user/job"
    for folder in (tmp_path / "proc/self", inner):
        folder.mkdir(parents=True)
    assert memory.free(tmp_path) is None
    (tmp_path / "proc/meminfo").write_text("MemTotal: 90 kB\nMemAvailable:   50 kB\n")
    assert memory.free(tmp_path) == 50 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/user/job\n")
    for folder, most in ((inner, "max"), (inner.parent, "9000")):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text("2000\n")
    assert memory.free(tmp_path) == 7000


def test_a_state_is_saved_and_restored(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "packed", torch.bfloat16)
    first, second = load(folder, context=256), load(folder, context=200)
    ids = [7 * n % 300 for n in range(150)]
    first.forward(ids)
    first.save(tmp_path / "state", ids)
    expected = first.forward([5])
    second.forward([1, 2, 3])
    assert second.restore(tmp_path / "state") == ids
    assert (second.forward([5]) == expected).all()
    assert second.crop(100) == 100
    assert second.crop(120) == 100

    small = load(folder, context=100)
    with pytest.raises(RuntimeError):
        small.restore(tmp_path / "state")
    assert small.crop(100) == 0


def test_what_the_client_learns(tmp_path: Path) -> None:
    model = load(checkpoint(tmp_path, "original", torch.bfloat16))
    assert model.file.context == 8192
    assert model.file.cut_back
    assert model.file.kv_bytes_per_token == 2 * 2 * 2 * 16 * 2
    assert model.file.metadata["general.architecture"] == "gpt_oss"
    assert model.file.template is None
    assert model.tokens == 300
    other = load(checkpoint(tmp_path, "original", torch.float32))
    assert model.file.fingerprint != other.file.fingerprint


def test_the_vocabulary_of_a_checkpoint_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (SHARED / o200k.FILE).exists():
        pytest.skip("the vocabulary is not here")
    monkeypatch.setenv("TIKTOKEN_ENCODINGS_BASE", str(SHARED))
    oracle = load_harmony_encoding("HarmonyGptOss")
    words = JsonVocabulary(make(tmp_path))
    assert words.size == 201_088
    dice = random.Random(3)
    alphabet = "aAbBzZ  \n\t\r'sSdl0123=-_/.,日本語ñé😀\u0301\u00a0<|end|>"
    texts = ["".join(dice.choices(alphabet, k=dice.randint(1, 60))) for _ in range(300)]
    texts += [dice.choice(" =-\n\ta.#/0é日x") * dice.randint(1, 200) + "x" for _ in range(200)]
    texts.append(Path(__file__).read_text())
    for text in texts:
        ids = words.encode(text, special=False)
        assert ids == oracle.encode(text, disallowed_special=())
        assert words.decode(ids) == text
    markers = "<|start|><|end|><|message|><|channel|><|constrain|><|return|><|call|><|endoftext|>"
    ids = words.encode(markers, special=True)
    assert ids == oracle.encode(markers, allowed_special="all")
    assert set(MARKERS) <= words.control


@pytest.mark.parametrize("layout", ["original", "packed"])
def test_it_is_the_engine_of_both_layouts(layout: str, tmp_path: Path) -> None:
    found = weights_of(checkpoint(tmp_path, layout))
    assert found.architecture == "gpt_oss"
    assert best(found).name == "gpt-oss"
