"""A terminal client that is not ours: `llm` (llm.datasette.io), told of a server by its config."""

import json
import os
import subprocess
import sys

import pytest
from tests.server.serving import until
from tests.server.test_chat import LAMP

LLM = [sys.executable, "-m", "llm"]
HELLO = "Hello! Who are you?"
MODEL = """\
- model_id: tiny
  model_name: palaver-tiny
  api_base: {}/v1
  supports_schema: true
  supports_tools: true
"""
PYTHON = """
def python(code: str) -> str:
    "Run a Python program."
    return {"print(12*34)": "408"}[code]
"""


@pytest.fixture
def own(server, tmp_path):
    """The client's settings, with nothing of the user's or of other plugins in them."""
    (tmp_path / "extra-openai-models.yaml").write_text(MODEL.format(server.url))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": "", "OPENAI_API_KEY": "any"}


def run(own, *args, typed="", code=0):
    """Run the client; return what it printed."""
    done = subprocess.run([*LLM, *args], env=own, input=typed, capture_output=True, text=True)
    assert done.returncode == code, done
    return done.stdout if code == 0 else done.stderr


def test_an_answer_streamed_and_whole(own):
    streamed = run(own, "-m", "tiny", HELLO)
    assert "palaver-tiny" in streamed
    assert run(own, "-m", "tiny", "--no-stream", HELLO) == streamed
    # It keeps what it is told: both were answered by the model that is served, and cost the same.
    logged = json.loads(run(own, "logs", "--json"))
    assert len({(one["input_tokens"], one["output_tokens"]) for one in logged}) == 1
    assert logged[0]["output_tokens"] > 1


def test_who_ends_it_ends_the_work(own, server):
    endless = [*LLM, "-m", "tiny", "-o", "logit_bias", '{"2": -100}', HELLO]
    with subprocess.Popen(endless, env=own, stdout=subprocess.PIPE) as client:
        assert client.stdout.read(20)
        client.kill()
    until(lambda: server.gauge("slots_busy") == 0)


def test_a_chat_goes_on(own):
    said = run(own, "chat", "-m", "tiny", typed=f"{HELLO}\nThanks!\nexit\n")
    assert "palaver-tiny" in said
    first, second = json.loads(run(own, "logs", "--json"))
    assert first["conversation_id"] == second["conversation_id"]
    assert second["input_tokens"] > first["input_tokens"] + first["output_tokens"]


@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_tools_run_at_the_client(own, how):
    asked = ("-m", "tiny", *how, "--functions", PYTHON, "What is 12*34?")
    assert "408" in run(own, *asked)


def test_a_form(own):
    schema = json.dumps(LAMP["function"]["parameters"])
    assert isinstance(json.loads(run(own, "-m", "tiny", "--schema", schema, HELLO))["on"], bool)


def test_an_error_is_told(own):
    told = run(own, "-m", "tiny", "--no-stream", "-o", "max_tokens", "-1", HELLO, code=1)
    assert "max_tokens" in told
