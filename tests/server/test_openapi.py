"""The document of the API against the server: schemathesis asks what it allows and what not."""

import json
import subprocess
import sys
from pathlib import Path

from tests.server.serving import serving

ROOT = Path(__file__).parents[2]  # its settings stand here
RUN = (
    *(sys.executable, "-m", "schemathesis.cli", "run", "--no-color", "--max-examples", "10"),
    *("--generation-deterministic", "--request-timeout", "120"),
    *("--suppress-health-check", "all", "--warnings", "off"),
    *("--phases", "fuzzing"),  # all of them, with 300 examples: some minutes, by hand
)


def test_schemathesis_finds_nothing(tmp_path):
    args = ("--slots", "2", "--max-tokens", "2", "--embeddings")
    with serving(tmp_path, *args) as server:
        done = subprocess.run(
            [*RUN, f"{server.url}/openapi.json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert "14 passed" in done.stdout, done.stdout


def test_the_document_is_of_this_server(server):
    made = json.loads(server.ask("GET", "/openapi.json")[2])
    assert "/v1/embeddings" not in made["paths"]  # it was started without
    model = made["components"]["schemas"]["ChatRequest"]["properties"]["model"]
    assert model == {"enum": ["palaver-tiny", None]}
