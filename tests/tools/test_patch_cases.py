"""The recorded patches of codex and of OpenAI's agents library."""

import json
import shutil
from pathlib import Path

import pytest

from palaver.tools.patch import PatchError, apply, plan

CASES = Path(__file__).parents[3] / "shared" / "cases" / "apply_patch"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases/apply_patch")

SCENARIOS = sorted(CASES.glob("scenarios/*/")) if CASES.is_dir() else []
# codex leaves what it did before the failure; here a patch that fails changes nothing.
ALL_OR_NOTHING = {"015_failure_after_partial_success_leaves_changes"}

DIFFS = CASES / "agents_apply_diff.jsonl"
RECORDED = [json.loads(line) for line in DIFFS.read_text().splitlines()] if DIFFS.exists() else []
# There a last bare + says that the text before it ends in a newline. As codex reads an added
# file, each line ends in one, so that this is an empty last line.
LAST_PLUS = {"agents-diff-04", "agents-diff-18"}


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", SCENARIOS, ids=lambda path: path.name)
def test_codex_scenario(case, tmp_path):
    if (case / "input").exists():
        shutil.copytree(case / "input", tmp_path, dirs_exist_ok=True)
    before, wanted = tree(tmp_path), tree(case / "expected")
    text = (case / "patch.txt").read_bytes().decode()
    if wanted == before or case.name in ALL_OR_NOTHING:
        with pytest.raises(PatchError):
            plan(tmp_path, text)
        assert tree(tmp_path) == before
    else:
        apply(plan(tmp_path, text))
        assert tree(tmp_path) == wanted


def test_there_are_as_many_scenarios_as_were_recorded():
    assert len(SCENARIOS) == 25
    assert len(RECORDED) == 18


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["id"])
def test_recorded_diff(case, tmp_path):
    file = tmp_path / "file"
    header = "Add" if case["mode"] == "create" else "Update"
    if header == "Update":
        file.write_bytes(case["input"].encode())
    text = f"*** Begin Patch\n*** {header} File: file\n{case['diff']}\n*** End Patch"
    if case["error"]:
        with pytest.raises(PatchError):
            plan(tmp_path, text)
        return
    apply(plan(tmp_path, text))
    wanted = case["expected"]
    if case["id"] in LAST_PLUS:
        wanted += "\r\n" if "\r\n" in wanted else "\n"
    assert file.read_bytes().decode() == wanted
