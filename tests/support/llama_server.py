"""A program with llama-server's command line, over the llama.cpp of the xllamacpp wheel.

The wheel brings no `llama-server`, so this one has its flags (those that we use), its exit code
for unknown ones and its HTTP, which is llama.cpp's own. `wrap` writes an executable for tests;
what that passes before `--` makes this program behave as some real ones do.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

OURS = ("--old", "--slow", "--never", "--fail", "--note")


def wrap(path: Path, *behaviour: str) -> Path:
    """Write an executable script that runs this program."""
    line = [sys.executable, str(Path(__file__).resolve()), *behaviour, "--"]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n')
    path.chmod(0o755)
    return path


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(allow_abbrev=False)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--api-key-file")
    parser.add_argument("-c", "--ctx-size", type=int, default=0)
    for name, default in (("batch-size", 2048), ("ubatch-size", 512), ("parallel", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("-t", "--threads", type=int, default=-1)
    parser.add_argument("--threads-batch", type=int, default=-1)
    parser.add_argument("--cache-type-k", default="f16")
    parser.add_argument("--cache-type-v", default="f16")
    parser.add_argument("--slot-save-path", default="")
    parser.add_argument("--no-warmup", action="store_true")
    room = os.environ.get("LLAMA_ARG_CACHE_RAM", "8192")
    parser.add_argument("--cache-ram", type=int, default=int(room))
    parser.add_argument("--lora", action="append", default=[])
    return parser


def serve(asked: argparse.Namespace) -> object:
    """Run llama.cpp's server with these settings."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = asked.model
    params.hostnames = [asked.host]
    params.port = asked.port
    params.n_ctx = asked.ctx_size
    params.n_batch, params.n_ubatch = asked.batch_size, asked.ubatch_size
    params.n_parallel = asked.parallel
    params.cpuparams.n_threads = asked.threads
    params.cpuparams_batch.n_threads = asked.threads_batch
    params.cache_type_k = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{asked.cache_type_k.upper()}")
    params.cache_type_v = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{asked.cache_type_v.upper()}")
    if asked.cache_type_v in ("f16", "f32"):  # the numbers of the embedded engine
        off = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.flash_attn_type = off
    params.slot_save_path = asked.slot_save_path
    params.warmup = not asked.no_warmup
    params.cache_ram_mib = asked.cache_ram
    params.n_ctx_checkpoints = int(os.environ.get("LLAMA_ARG_CTX_CHECKPOINTS", "32"))
    params.verbosity = int(os.environ.get("LLAMA_LOG_VERBOSITY", "3"))
    params.fit_params = os.environ.get("LLAMA_ARG_FIT") != "off"
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in asked.lora]
    if asked.api_key_file:
        params.api_keys = Path(asked.api_key_file).read_text().split()
    return xllamacpp.Server(params)


def main() -> None:
    """Behave as the arguments before `--` say, then serve until the process is ended."""
    at = sys.argv.index("--")
    how, line = sys.argv[1:at], sys.argv[at + 1 :]
    asked = _parser().parse_args(line)
    if "--note" in how:
        Path(how[how.index("--note") + 1]).write_text(f"{os.getpid()}\n{shlex.join(line)}\n")
    if "--fail" in how:
        print("error: failed to load model", file=sys.stderr)
        sys.exit(1)
    if "--old" in how and asked.host.endswith(".sock"):
        print(f"couldn't bind HTTP server socket, hostname: {asked.host}", file=sys.stderr)
        sys.exit(1)
    if "--slow" in how:
        time.sleep(2.5)
    server = serve(asked) if "--never" not in how else None
    while True:
        time.sleep(3600)
        assert server is not None or "--never" in how


if __name__ == "__main__":
    main()
