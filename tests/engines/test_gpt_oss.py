"""Our gpt-oss against transformers' on random weights, in every layout of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support import gpt_oss
from tests.support.gpt_oss import Shape

from palaver.engines.gpt_oss import kernels, mxfp4, weights
from palaver.engines.gpt_oss.checkpoint import Checkpoint
from palaver.engines.gpt_oss.folder import GptOssFolder
from palaver.engines.gpt_oss.network import Cache, Network

SHAPES = {
    "usual": (Shape(), 40),
    "past the window": (Shape(window=16, layers=3), 90),
    "one layer": (Shape(layers=1, window=4), 12),
    "many experts": (Shape(layers=4, experts=32, chosen=4, heads=8, kv_heads=1), 150),
    "narrow heads": (Shape(heads=2, kv_heads=2, head=64, width=96, inner=32), 140),
}
LAYOUTS = ("original", "packed", "plain")
CLOSE = 1e-4  # what float32 allows: transformers' own two ways of running differ by half of that


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(folder: Path, dtype: torch.dtype = torch.float32, *, unpack: bool = False) -> Network:
    read = GptOssFolder(folder)
    with Checkpoint(folder, read.headers) as checkpoint:
        loaded = weights.load(read.shape, checkpoint)
    room = weights.unpacked_size(loaded, dtype) if unpack else 0
    return Network(read.shape, weights.convert(loaded, dtype, "cpu", room=room))


def cache(of: Network, room: int, dtype: torch.dtype = torch.float32) -> Cache:
    return Cache(of.config, room, dtype, "cpu")


def some_ids(shape: Shape, count: int) -> list[int]:
    torch.manual_seed(count)
    ids: list[int] = torch.randint(0, shape.vocabulary, (count,)).tolist()
    return ids


def away(a: Any, b: Any) -> float:
    return float((a - b).abs().max())


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    shape, count = SHAPES[name]
    made = gpt_oss.random(shape)
    ids = some_ids(shape, count)
    with torch.inference_mode():
        expected = gpt_oss.reference(shape, made)(torch.tensor([ids])).logits[0]
    for layout in LAYOUTS:
        folder = gpt_oss.write(tmp_path / layout, shape, layout, made)
        for unpack in (False, True):
            ours = network(folder, unpack=unpack)
            assert away(ours.forward(ids, cache(ours, count)), expected[-1]) < CLOSE
        stepped = cache(ours, count)
        steps = [ours.forward([i], stepped) for i in ids]
        assert away(torch.stack(steps), expected) < CLOSE


def test_positions_beyond_the_first_thousand(tmp_path: Path) -> None:
    shape, count = Shape(layers=1, heads=2, kv_heads=1), 1100
    made = gpt_oss.random(shape)
    ids = some_ids(shape, count)
    with torch.inference_mode():
        expected = gpt_oss.reference(shape, made)(torch.tensor([ids])).logits[0]
    ours = network(gpt_oss.write(tmp_path, shape, "original", made))
    kept = cache(ours, count)
    ours.forward(ids[:1000], kept)
    for i in range(1000, count):
        assert away(ours.forward([ids[i]], kept), expected[i]) < CLOSE


def test_a_prompt_in_pieces_and_a_cache_that_was_cut(tmp_path: Path) -> None:
    shape, count = SHAPES["past the window"]
    ours = network(gpt_oss.write(tmp_path, shape, "original"))
    ids, other = some_ids(shape, count), some_ids(shape, count + 1)
    whole = ours.forward(ids, cache(ours, count))
    pieces = cache(ours, count)
    for start in range(0, count, 13):
        last = ours.forward(ids[start : start + 13], pieces)
    assert away(last, whole) < CLOSE
    # Something else after the first 20, far past the window, then back.
    pieces.length = 20
    ours.forward(other[:60], pieces)
    pieces.length = 20
    assert away(ours.forward(ids[20:], pieces), whole) < CLOSE


def test_attention_in_blocks_of_queries_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, count = SHAPES["past the window"]
    ours = network(gpt_oss.write(tmp_path, shape, "original"))
    ids = some_ids(shape, count)
    whole = ours.forward(ids, cache(ours, count))
    monkeypatch.setattr(kernels, "SCORES", shape.heads * count * 7)  # seven queries at once
    assert away(ours.forward(ids, cache(ours, count)), whole) < CLOSE


def test_bfloat16_is_near(tmp_path: Path) -> None:
    shape, count = SHAPES["usual"]
    made = gpt_oss.random(shape, dtype=torch.bfloat16)
    folder = gpt_oss.write(tmp_path, shape, "packed", made)
    exact, rough = network(folder), network(folder, torch.bfloat16)
    ids = some_ids(shape, count)
    a = exact.forward(ids, cache(exact, count))
    b = rough.forward(ids, cache(rough, count, torch.bfloat16))
    assert 0 < away(a, b) < 0.3 * float(a.std())


def test_every_value_of_mxfp4_and_every_scale() -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 254, 16, 16)
    scales = torch.arange(1, 255, dtype=torch.uint8).view(1, 254, 1).expand(1, 254, 16)
    for dtype in (torch.float32, torch.bfloat16):
        theirs = convert_moe_packed_tensors(blocks, scales, dtype=dtype)[0].T
        ours = mxfp4.unpack(blocks[0], scales[0], dtype)
        assert torch.equal(ours, theirs)
        assert torch.equal(torch.signbit(ours), torch.signbit(theirs))


def test_a_row_alone_has_the_bits_that_it_has_among_others() -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*size).bfloat16() for size in ((9, 96), (128, 96), (128,)))
    for add in (None, bias):
        whole = kernels.product(x, weight, add)
        for n in range(9):
            assert torch.equal(kernels.product(x[n : n + 1], weight, add)[0], whole[n])


def test_matrices_are_kept_unpacked_while_there_is_room() -> None:
    torch.manual_seed(0)
    blocks = torch.randint(0, 256, (3, 70, 4, 16), dtype=torch.uint8)
    scales = torch.randint(120, 128, (3, 70, 4), dtype=torch.uint8)
    bias, room = torch.randn(3, 70), mxfp4.Room(2 * 70 * 128 * 4 + 100)
    packed = mxfp4.Packed(blocks, scales, room)
    for count in (1, 5):
        for number in (2, 0, 1, 2, 0, 1):
            x = torch.randn(count, 128)
            expected = x @ mxfp4.unpack(blocks[number], scales[number], torch.float32).T
            made = kernels.linear(x, packed, number, bias)
            assert away(made, expected + bias[number]) < CLOSE
        assert room.left == 100


def test_forward_refuses_what_does_not_fit(tmp_path: Path) -> None:
    ours = network(gpt_oss.write(tmp_path, Shape(), "original"))
    small = cache(ours, 4)
    with pytest.raises(ValueError, match="5 tokens after 0 of 4"):
        ours.forward([1] * 5, small)
    with pytest.raises(ValueError, match="0 tokens"):
        ours.forward([], small)
    for wrong in (-1, 300):
        with pytest.raises(IndexError):
            ours.forward([wrong], small)
    assert small.length == 0
