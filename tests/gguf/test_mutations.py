"""Damaged model files: the reader refuses them, and none ends the process that reads.

CI runs 304 of them; PALAVER_FULL=1 runs 5,000.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.gguf import KINDS, make_tiny
from tests.support.mutate import STRUCTURE, mutants

from palaver.core.errors import UserError
from palaver.engines.llama_cpp.gguf import read

NUMBER = 5000 if os.environ.get("PALAVER_FULL") else 304
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Counter, Counter, list[Path]]:
    """Read all mutants; return how many of each kind were refused, accepted, and the accepted."""
    folder = tmp_path_factory.mktemp("mutants")
    refused: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    kept = []
    for number, kind_of_model in enumerate(KINDS):
        good = make_tiny(folder / f"{kind_of_model}.gguf", kind_of_model)
        read(good)
        for i, (kind, what, data) in enumerate(mutants(good.read_bytes(), NUMBER // 4, number)):
            path = folder / f"{kind_of_model}-{i}.gguf"
            path.write_bytes(data)
            error = _refusal(path)
            if error is not None:
                assert str(path) in error.message, what
                assert error.fix, what
                refused[kind] += 1
                path.unlink()
                continue
            if kind in STRUCTURE:
                print(f"accepted: {kind_of_model}, {what}")
            accepted[kind] += 1
            kept.append(path)
    return refused, accepted, kept


def _refusal(path: Path) -> UserError | None:
    try:
        model = read(path)
        model.control_tokens(), model.kept(), model.fingerprint(None)
    except UserError as error:
        return error
    return None


@pytest.mark.timeout(600)
def test_nearly_all_wrong_structure_is_refused(outcome: tuple) -> None:
    refused, accepted, _ = outcome
    for kind in (*STRUCTURE, "value", "flip", "insert"):
        print(f"{kind}: {refused[kind]} refused, {accepted[kind]} accepted")
    wrong = sum(refused[k] + accepted[k] for k in STRUCTURE)
    assert wrong > NUMBER / 2
    assert sum(refused[k] for k in STRUCTURE) >= 0.99 * wrong


@pytest.mark.timeout(1800)
def test_what_is_accepted_does_not_end_the_engine(outcome: tuple) -> None:
    """A child's death is no lost chat, but it should be rare: at most 1 % of what was accepted."""
    waiting = list(outcome[2])
    answers: Counter[str] = Counter()
    deaths = []
    while waiting:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.loads"],
            input="".join(f"{path}\n" for path in waiting),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=900, cwd=ROOT,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},  # else it starts gdb
        )  # fmt: skip
        said = [line for line in done.stdout.splitlines() if line in ("ok", "error")]
        answers.update(said)
        if len(said) < len(waiting):
            deaths.append((waiting[len(said)], done.returncode))
            said.append("died")
        waiting = waiting[len(said) :]
    print(f"loaded {answers['ok']}, error {answers['error']}, the child died {deaths}")
    assert len(deaths) <= max(1, 0.01 * len(outcome[2])), deaths
    assert answers["ok"] > 0
