"""The random models of the tests load in the real llama.cpp and generate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.gguf import KINDS, Kind, make_tiny

LOAD = """
import json, sys
import xllamacpp as x
p = x.CommonParams()
p.model.path = sys.argv[1]
p.n_ctx, p.n_parallel, p.n_batch, p.n_ubatch = 512, 1, 64, 64
p.warmup, p.verbosity = False, -1
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
p.hostnames = [sys.argv[2] + "/x.sock"]
s = x.Server(p)
ask = {"prompt": list(range(40, 140)), "max_tokens": 8, "temperature": 0.0}
r = s.handle_completions({**ask, "ignore_eos": True})
print(json.dumps(r))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_loads_and_generates(kind: Kind, tmp_path: Path) -> None:
    model = make_tiny(tmp_path / "m.gguf", kind)
    assert model.stat().st_size < 2_000_000
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(model), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert reply["usage"]["prompt_tokens"] == 100
    assert reply["usage"]["completion_tokens"] == 8
