"""The random models of the tests load in the real llama.cpp and generate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.gguf import KINDS, Kind, make_lora, make_tiny

from palaver.core.errors import UserError
from palaver.engines.llama_cpp.gguf import read

LOAD = """
import json, sys
import xllamacpp as x
p = x.CommonParams()
p.model.path = sys.argv[1]
p.n_ctx, p.n_parallel, p.n_batch, p.n_ubatch = 512, 1, 64, 64
p.warmup, p.verbosity = False, -1
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
p.hostnames = [f"{sys.argv[2]}/{len(sys.argv)}.sock"]  # one that is left behind is in the way
p.lora_adapters = [x.CommonAdapterLoraInfo(path, 1.0) for path in sys.argv[3:]]
s = x.Server(p)
ask = {"prompt": list(range(40, 140)), "max_tokens": 8, "temperature": 0.0, "logprobs": 1}
r = s.handle_completions({**ask, "ignore_eos": True})
print(json.dumps(r))
"""


def generate(*args: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, args)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_loads_and_generates(kind: Kind, tmp_path: Path) -> None:
    model = make_tiny(tmp_path / "m.gguf", kind)
    assert model.stat().st_size < 2_000_000
    reply = generate(model, tmp_path)
    assert reply["usage"]["prompt_tokens"] == 100
    assert reply["usage"]["completion_tokens"] == 8


def test_an_adapter_is_read_and_changes_what_is_said(tmp_path: Path) -> None:
    model, lora = make_tiny(tmp_path / "m.gguf"), make_lora(tmp_path / "lora.gguf")
    assert len(read(lora, adapter=True).tensors) == 4
    with pytest.raises(UserError, match="--lora"):
        read(lora)
    with pytest.raises(UserError, match="not a LoRA adapter"):
        read(model, adapter=True)
    said = [generate(model, tmp_path, *extra)["choices"][0]["logprobs"] for extra in ([], [lora])]
    assert said[0]["content"] != said[1]["content"]
