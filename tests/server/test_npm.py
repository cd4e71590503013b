"""OpenAI's npm package, run by node: chats, tools, forms, responses, errors."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.server.serving import until

OLDEST = 20  # of node
HERE = Path(__file__).parent / "npm"
NPM = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Install the package into a folder of its own, where there is a registry."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node or npm is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    if int(version[1:].partition(".")[0]) < OLDEST:
        pytest.skip(f"node is older than {OLDEST}, which the package needs: {version}")
    made = shutil.copytree(HERE, tmp_path_factory.mktemp("npm") / "ask")
    run = [*NPM, "--fetch-retries=1", "--fetch-timeout=20000"]
    try:
        done = subprocess.run(run, cwd=made, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if done.returncode:
        pytest.skip(f"npm can't install the package: {done.stderr[-300:]}")
    return made


@pytest.fixture(scope="module")
def came(folder, server):
    """Return what came of each case."""
    run = ["node", "ask.mjs", server.url]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_chats(came):
    whole, streamed = came["chat"], came["stream"]["final"]
    said = whole["choices"][0]["message"]["content"]
    assert "palaver-tiny" in said
    assert "".join(came["stream"]["deltas"]) == streamed["choices"][0]["message"]["content"] == said
    assert len(came["stream"]["deltas"]) > 1
    assert streamed["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert came["models"] == ["palaver-tiny"]
    assert came["completions"]["usage"]["completion_tokens"] == 4


def test_tools_are_run_until_an_answer(came):
    for messages in came["tools"]:
        assert [one["role"] for one in messages] == ["user", "assistant", "tool", "assistant"]
        assert messages[2]["tool_call_id"] == messages[1]["tool_calls"][0]["id"]
        assert messages[3]["content"] == "The file says: milk"


def test_forms(came):
    assert isinstance(came["form"]["choices"][0]["message"]["parsed"]["sunny"], bool)
    assert isinstance(came["response_form"]["output_parsed"]["sunny"], bool)


def test_responses(came):
    streamed = came["response_stream"]
    assert streamed["final"]["output_text"] == came["responses"]["output_text"]
    assert "palaver-tiny" in streamed["final"]["output_text"]
    assert streamed["kinds"][0] == "response.created"
    assert streamed["kinds"][-1] == "response.completed"
    first, second = came["response_goes_on"]
    assert second["previous_response_id"] == first["id"]
    assert second["usage"]["input_tokens"] > first["usage"]["total_tokens"]


def test_errors(came):
    wrong = ["BadRequestError", "invalid_request_error", "temperature", None]
    assert came["errors"] == {
        "value": wrong,
        "stream": wrong,
        "model": ["NotFoundError", "invalid_request_error", "model", "model_not_found"],
        "response": [
            "NotFoundError",
            "invalid_request_error",
            "previous_response_id",
            "previous_response_not_found",
        ],
        "embeddings": ["BadRequestError", "invalid_request_error", None, None],
    }


def test_who_leaves_a_stream_frees_the_lane(came, server):
    assert came["left"]
    until(lambda: server.gauge("slots_busy") == 0)
