"""The repository's own shape: file and function sizes, layers at run time, light imports."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("src", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
HEAVY = {"torch", "transformers", "mlx", "mcp", "openai", "xllamacpp", "starlette"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_and_no_function_outgrows_its_room(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "split the file: 400 lines are the most"
    tree = ast.parse(text)
    if "src" in path.relative_to(ROOT).parts:
        assert ast.get_docstring(tree), "a module says first what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines; 60 are the most"


def loaded_by(code):
    """Return the top-level modules that a fresh interpreter has after running `code`."""
    code += "\nimport sys, json; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_palaver_loads_nothing_heavy():
    assert not loaded_by("import palaver") & (HEAVY | {"prompt_toolkit", "msgspec", "click"})


def test_help_loads_nothing_heavy():
    code = "from palaver.cli.group import run\nassert run(['--help']) == 0"
    assert not loaded_by(code) & (HEAVY | {"prompt_toolkit", "jinja2", "apsw", "rich"})


def test_no_mock_is_used():
    for path in SOURCES:
        if path != Path(__file__):
            assert "unittest.mock" not in path.read_text(encoding="utf-8"), path
