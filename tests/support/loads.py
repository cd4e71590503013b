"""A child that loads GGUFs in the real llama.cpp and says of each what happened.

Reads paths from stdin, writes "ok" or "error" for each: a path without an answer ended it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path


def main() -> None:
    import xllamacpp

    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        for number, line in enumerate(sys.stdin):
            params = xllamacpp.CommonParams()
            params.model.path = line.rstrip("\n")
            params.n_ctx = 256
            params.n_parallel = 1
            params.n_batch = params.n_ubatch = 32
            params.warmup = False
            params.verbosity = -1
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
            params.hostnames = [str(Path(folder) / f"{number}.sock")]
            try:
                server = xllamacpp.Server(params)
                ask = {"prompt": list(range(40, 80)), "max_tokens": 4, "ignore_eos": True}
                reply = server.handle_completions(ask)
                print("error" if "error" in reply else "ok", flush=True)
                del server
            except RuntimeError:
                print("error", flush=True)


if __name__ == "__main__":
    main()
