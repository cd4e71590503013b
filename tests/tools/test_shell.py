"""The tool `shell`: what the model is told of a command's output and its end."""

import asyncio
import os
import time

import pytest
from tests.support.sandbox import available

from palaver.core.tool import ToolContext, ToolError
from palaver.tools.output import Output
from palaver.tools.sandbox.policy import Policy
from palaver.tools.sandbox.sandbox import open_sandbox
from palaver.tools.shell import TOOL, Shell


@pytest.fixture
def call(tmp_path):
    """Call the tool in a sandbox; what it showed meanwhile is in `call.shown`."""
    available("namespaces")

    async def go(command, tool):
        sandbox = open_sandbox(Policy(root=tmp_path), environment=dict(os.environ))
        try:
            context = ToolContext(tmp_path, run.shown.append, {}.__getitem__, sandbox)
            assert await tool.preview({"command": command}, context) == command
            return await tool.call({"command": command}, context)
        finally:
            await sandbox.close()

    def run(command, tool=TOOL):
        return asyncio.run(go(command, tool))

    run.shown = []
    return run


def test_output_is_shown_while_it_comes_and_returned(call):
    assert call("echo one; sleep 0.1; echo two >&2") == "one\ntwo\n"
    assert "".join(call.shown) == "one\ntwo\n"
    assert len(call.shown) > 1


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("true", "(no output)"),
        ("exit 4", "exit code 4"),
        ("printf no-newline; false", "no-newline\nexit code 1"),
        ("kill -ABRT $$", "killed by SIGABRT"),
    ],
)
def test_its_end_is_named(call, command, result):
    assert call(command) == result


def test_a_command_that_takes_too_long_is_ended_and_its_output_kept(call):
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"^before\ntimed out after 0.5 seconds$"):
        call("echo before; trap '' TERM; sleep 600", Shell(0.5))
    assert time.monotonic() - began < 60


def test_no_start_up_file_is_read(call, tmp_path, monkeypatch):
    (tmp_path / "rc").write_text("echo planted\n")
    monkeypatch.setenv("BASH_ENV", str(tmp_path / "rc"))
    monkeypatch.setenv("ENV", str(tmp_path / "rc"))
    assert call("echo clean") == "clean\n"


def test_much_output_is_cut_in_the_middle(call):
    text = call("yes 0123456789 | head -c 300000000; echo the end")
    assert len(text) < 1_100_000
    assert text.startswith("0123456789\n")
    assert text.endswith("the end\n")
    assert "bytes left out" in text
    assert sum(map(len, call.shown)) < 1_100_000


def test_output_keeps_both_ends_wherever_it_is_split():
    data = bytes(range(97, 123)) * 40
    for size in (1, 7, 64, 1000, len(data)):
        shown = []
        output = Output(shown.append, 100)
        for at in range(0, len(data), size):
            output.add(data[at : at + size])
        text = output.text()
        assert text.startswith(data[:50].decode() + "\n[940 bytes left out]\n")
        assert text.endswith("\n" + data[-50:].decode())
        assert "".join(shown).startswith(data[:100].decode())
        assert "".join(shown).count("more came") == 1
