"""The shared cases of OpenAI's API, where they are."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.server.serving import serving

CASES = Path(__file__).parents[3] / "shared" / "cases" / "openai_api"


@pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not there")
def test_the_shared_cases_pass(tmp_path):
    with serving(tmp_path, "--slots", "1") as server:
        run = [sys.executable, str(CASES / "run.py"), server.url, "--all"]
        done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 failed" in done.stdout
