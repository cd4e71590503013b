"""mlx-lm on the processor: the cache cut and saved, windows, adapters, limits, refusals."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

from palaver.core.errors import UserError
from palaver.engines.child.options import Options
from palaver.engines.mlx import cache
from palaver.engines.mlx.model import MlxModel, open_model
from palaver.engines.registry import best, find, weights_of

DATA = Path(__file__).parents[1] / "data"
NANO, WINDOWED = DATA / "palaver-nano", DATA / "palaver-nano-gpt-oss"
IDS = [7 * n % 340 for n in range(90)]
LORA = {"rank": 4, "scale": 8.0, "dropout": 0.0, "keys": ["self_attn.q_proj"]}


def load(folder: Path = NANO, **settings: Any) -> MlxModel:
    options = Options(model=str(folder), folder="/nowhere", slots="/nowhere", **settings)
    return open_model(options, lambda _: None)


def copy(folder: Path, source: Path = NANO) -> Path:
    shutil.copytree(source, folder)
    return folder


@pytest.fixture(scope="module")
def windowed() -> MlxModel:
    return load(WINDOWED)


@pytest.mark.parametrize("folder", [NANO, WINDOWED])
def test_pieces_and_cuts_are_the_same_as_one_go(folder: Path) -> None:
    model = load(folder, dtype="float32")
    whole = model.forward(IDS)
    assert whole.dtype == np.float32
    assert whole.shape == (model.tokens,)
    assert model.crop(0) == 0
    for start in range(0, len(IDS), 13):
        last = model.forward(IDS[start : start + 13])
    assert np.abs(last - whole).max() < 1e-3
    assert model.crop(20) == 20
    model.forward(IDS[:50])  # something else, past the window
    assert model.crop(20) == 20
    assert model.crop(30) == 20
    assert np.abs(model.forward(IDS[20:]) - whole).max() < 1e-3
    assert model.file.cut_back


def test_a_window_masks_what_mlx_lm_forgets(windowed: MlxModel) -> None:
    theirs, _ = load_model(WINDOWED)
    held = theirs.make_cache()
    assert any(layer.__class__.__name__ == "RotatingKVCache" for layer in held)
    windowed.crop(0)
    for start in range(0, len(IDS), 9):  # pieces, then single tokens
        expected = theirs(mx.array([IDS[start : start + 9]]), cache=held)[0, -1]
        ours = windowed.forward(IDS[start : start + 9])
        assert np.abs(np.array(expected.astype(mx.float32)) - ours).max() < 0.1
    for i in IDS[:40]:
        expected = theirs(mx.array([[i]]), cache=held)[0, -1]
        assert np.abs(np.array(expected.astype(mx.float32)) - windowed.forward([i])).max() < 0.1


def test_a_state_is_saved_and_restored(windowed: MlxModel, tmp_path: Path) -> None:
    windowed.crop(0)
    windowed.forward(IDS)
    windowed.save(tmp_path / "state", IDS)
    expected = windowed.forward([5])
    other = load(WINDOWED)
    other.forward([1, 2, 3])
    assert other.restore(tmp_path / "state") == IDS
    assert np.array_equal(other.forward([5]), expected)
    assert other.crop(40) == 40

    nano = load()
    with pytest.raises(ValueError, match="another model"):
        nano.restore(tmp_path / "state")
    assert nano.crop(100) == 0


def test_a_running_state_begins_anew_and_is_not_saved(tmp_path: Path) -> None:
    recurrent = [mx_lm_arrays()]
    assert not cache.can_cut(recurrent)
    assert not cache.cut(recurrent, 1)
    with pytest.raises(UserError, match="can't be saved"):
        cache.save(tmp_path / "state", recurrent, [1])


def mx_lm_arrays() -> Any:
    from mlx_lm.models.cache import ArraysCache

    return ArraysCache(2)


@pytest.fixture
def limits() -> Iterator[None]:
    memory, kept = mx.set_memory_limit(1 << 40), mx.set_cache_limit(1 << 40)
    yield
    mx.set_memory_limit(memory)
    mx.set_cache_limit(kept)


@pytest.mark.usefixtures("limits")
def test_the_memory_limit_is_given_to_mlx() -> None:
    load(memory_limit=2.0)
    assert mx.set_memory_limit(1 << 40) == 2_000_000_000
    assert mx.set_cache_limit(1 << 40) == 500_000_000


def test_a_limit_that_is_too_small_says_what_is_needed() -> None:
    with pytest.raises(UserError, match=r"needs about .* the limit is 0\.1 GB"):
        load(memory_limit=0.1)


def adapter(folder: Path, scale: float = 1.0) -> Path:
    """Write an adapter as mlx_lm.lora does, of numbers that change what is said."""
    model, _ = load_model(NANO)
    linear_to_lora_layers(model, 3, LORA)
    mx.random.seed(3)
    weights = {
        name: scale * mx.random.normal(part.shape)
        for name, part in tree_flatten(model.parameters())
        if name.endswith(("lora_a", "lora_b"))
    }
    folder.mkdir()
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    said = {"fine_tune_type": "lora", "num_layers": 3, "lora_parameters": LORA}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    return folder


def test_an_adapter_changes_what_is_said_by_its_scale(tmp_path: Path) -> None:
    path = str(adapter(tmp_path / "a"))
    plain, adapted, off = load(), load(loras=((path, 1.0),)), load(loras=((path, 0.0),))
    base, changed = plain.forward(IDS), adapted.forward(IDS)
    assert np.abs(base - changed).max() > 0.1
    assert np.abs(base - off.forward(IDS)).max() < 1e-3
    prints = {model.file.fingerprint for model in (plain, adapted, off)}
    assert len(prints) == 3  # their caches are never mixed


def test_adapters_that_can_not_be(tmp_path: Path) -> None:
    path = adapter(tmp_path / "a")
    (path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(UserError, match="can't be used as an adapter of palaver-nano"):
        load(loras=((str(path), 1.0),))
    with pytest.raises(UserError, match="takes one adapter"):
        load(loras=((str(path), 1.0), (str(path), 1.0)))
    with pytest.raises(UserError, match="there is no folder"):
        load(loras=((str(tmp_path / "nothing"), 1.0),))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "cuda"}, "MLX takes the GPU"),
        ({"quantize": "4bit"}, "does not quantise"),
        ({"ranks": 2}, "runs in one process"),
        ({"kv_type": "q8_0"}, "kv_type = 'q8_0'"),
        ({"context": 1 << 20}, "was trained for 1024 tokens"),
    ],
)
def test_settings_that_can_not_be(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        load(**settings)
    assert said in caught.value.message


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "no_such"}, "no_such"),
        ({"model_file": "evil.py"}, "custom module"),
        ({"num_hidden_layers": 4}, "mlx-lm can't use"),
        ({"hidden_size": 64}, "mlx-lm can't use"),
    ],
)
def test_models_that_mlx_lm_can_not_use(
    values: dict[str, object], said: str, tmp_path: Path
) -> None:
    folder = copy(tmp_path / "model")
    (folder / "evil.py").write_text("raise SystemExit('it was run')")
    change_config(folder, **values)
    with pytest.raises(UserError) as caught:
        load(folder)
    assert said in caught.value.message


@pytest.mark.parametrize("keep", [0, 9, 2000, -1])
def test_a_cut_file_is_refused_before_mlx_reads_it(keep: int, tmp_path: Path) -> None:
    folder = copy(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="is damaged"):
        load(folder)


def test_elsewhere_than_on_apple_silicon_it_is_taken_by_name() -> None:
    apple = (platform.system(), platform.machine()) == ("Darwin", "arm64")
    find("mlx").check()
    assert (best(weights_of(NANO)).name == "mlx") == apple
