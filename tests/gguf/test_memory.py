"""The memory estimate is an upper bound of what a real child takes, and not far above it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.make_gguf import lfm2, mamba, transformer, write
from tests.support.gguf import make_tiny
from tests.support.shapes import experts, latent

from palaver.core.errors import UserError
from palaver.core.units import readable
from palaver.engines.llama_cpp import memory
from palaver.engines.llama_cpp.gguf import Gguf, read

MARGIN = 1.3  # the estimate is at most this times what was measured,
ROOM = 50_000_000  # and this many bytes for the process itself

CHILD = """
import json, sys, tempfile
import psutil, xllamacpp
path, context, batch, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
p = xllamacpp.CommonParams()
p.model.path = path
p.n_ctx, p.n_parallel = context, 1
p.n_batch = p.n_ubatch = batch
p.warmup, p.verbosity, p.fit_params, p.cache_ram_mib = False, -1, False, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
p.cache_type_k = p.cache_type_v = getattr(xllamacpp.ggml_type, "GGML_TYPE_" + kind.upper())
if kind == "f16":
    p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
with tempfile.TemporaryDirectory() as folder:
    p.hostnames = [folder + "/x.sock"]
    server = xllamacpp.Server(p)
    fill = context - 16 if sys.argv[5] == "full" else batch + 8
    prompt = [40 + i % 200 for i in range(fill)]
    reply = server.handle_completions({"prompt": prompt, "max_tokens": 2, "ignore_eos": True})
    assert "usage" in reply, reply
    print(json.dumps(psutil.Process().memory_info().rss))
"""


def resident(path: Path, context: int, batch: int, kv_type: str, fill: str = "") -> int:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(context), str(batch), kv_type, fill],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout.splitlines()[-1]))


SHAPES = {
    "dense": lambda: transformer(
        "qwen3", layers=6, embd=512, heads=8, kv=4, head=64, ffn=1536, vocab=8192
    ),
    "window": lambda: transformer(
        "gemma2", layers=6, embd=512, heads=8, kv=4, head=64, ffn=1536, vocab=8192
    ),
    "recurrent": lambda: mamba(layers=6, embd=512, vocab=8192, rank=32),
    "hybrid": lambda: lfm2(layers=6, embd=512, heads=8, kv=4, ffn=1536, vocab=8192),
    "experts": experts,
    "latent": latent,
}
CASES = [
    ("dense", "q8_0", 512, 64, "f16"),
    ("dense", "q4_0", 8192, 256, "f16"),
    ("dense", "q8_0", 32768, 256, "q8_0"),
    ("window", "q8_0", 16384, 256, "f16"),
    ("recurrent", "q8_0", 16384, 256, "f16"),
    ("hybrid", "q4_0", 16384, 256, "f16"),
    ("experts", "q8_0", 8192, 256, "f16"),
    ("latent", "q8_0", 16384, 256, "f16"),
]


@pytest.mark.parametrize(("shape", "quant", "context", "batch", "kv_type"), CASES)
def test_a_real_child_takes_less_than_estimated_and_not_much_less(
    shape: str, quant: str, context: int, batch: int, kv_type: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "m.gguf", SHAPES[shape](), quant)
    need = memory.estimate(read(path), context, kv_type=kv_type, batch=batch, checkpoints=0)
    taken = resident(path, context, batch, kv_type)
    print(f"{shape} {quant} {context} {kv_type}: {taken / 1e6:.0f} MB, said {need.total / 1e6:.0f}")
    assert taken <= need.total
    assert need.total - need.scores <= MARGIN * taken + ROOM


def test_a_full_context_takes_less_than_estimated_and_not_much_less(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", SHAPES["dense"]())
    need = memory.estimate(read(path), 2048, checkpoints=0)
    assert need.scores == 4 * 256 * 2048 * 8
    taken = resident(path, 2048, 256, "f16", "full")
    assert taken <= need.total <= MARGIN * taken + ROOM


@pytest.fixture
def model(tmp_path: Path) -> Gguf:
    return read(write(tmp_path / "m.gguf", SHAPES["dense"]()))


def test_what_does_not_fit_names_the_context_that_does(model: Gguf) -> None:
    limit = 0.2
    with pytest.raises(UserError) as caught:
        memory.check(limit, model, 32768)
    assert caught.value.message.endswith("; the limit is 200 MB")
    assert re.search(
        r"needs \d+ MB \(weights [\d.]+ [kM]B, cache [\d.]+ [kM]B", caught.value.message
    )
    fits = memory.largest_context(model, int(limit * 1e9), 32768)
    assert fits % 256 == 0
    assert 0 < fits < 32768
    assert f"--context {fits}" in (caught.value.fix or "")
    assert memory.check(limit, model, fits).total <= limit * 1e9
    assert memory.estimate(model, fits + 256).total > limit * 1e9


def test_sizes_are_written_in_units_that_fit() -> None:
    sizes = (0, 999, 1234, 56_000, 3_456_000, 78_900_000, 999_400_000, 1_234_000_000, 70 * 10**9)
    sizes += (9_996_000, 99_960, 999_600, 999_900_000)  # rounded to the next power
    assert [readable(size) for size in sizes] == [
        "0 bytes", "999 bytes", "1.23 kB", "56.0 kB", "3.46 MB", "78.9 MB", "999 MB", "1.23 GB",
        "70.0 GB", "10.0 MB", "100 kB", "1.00 MB", "1.00 GB",
    ]  # fmt: skip


def test_a_model_that_never_fits_says_so(model: Gguf) -> None:
    with pytest.raises(UserError, match="smaller quantisation"):
        memory.check(0.05, model, 4096)


def test_windows_states_and_checkpoints_are_counted(tmp_path: Path) -> None:
    swa = read(make_tiny(tmp_path / "a.gguf", "swa"))
    short, long = (memory.estimate(swa, n, batch=64).kv for n in (4096, 8192))
    row = 2 * 2 * 16 * 2  # keys and values, kv heads, size, bytes
    assert long - short == 2 * 4096 * row  # two of four layers see everything
    assert memory.estimate(swa, 8192).checkpoints == memory.CHECKPOINTS * 2 * 64 * row
    states = read(make_tiny(tmp_path / "b.gguf", "recurrent"))
    assert memory.estimate(states, 512).kv == memory.estimate(states, 8192).kv > 0


def test_cache_types_that_do_not_suit_are_refused_with_the_reason(tmp_path: Path) -> None:
    tiny = read(make_tiny(tmp_path / "m.gguf"))
    with pytest.raises(UserError, match="blocks of 32"):
        memory.estimate(tiny, 512, kv_type="q8_0")
    with pytest.raises(UserError, match="does not exist"):
        memory.estimate(tiny, 512, kv_type="q9")


def test_latent_attention_keeps_one_compressed_key(tmp_path: Path) -> None:
    kept = read(write(tmp_path / "m.gguf", latent())).kept()
    assert [(layer.k, layer.v) for layer in kept] == [(256 + 32, 0)] * 4
