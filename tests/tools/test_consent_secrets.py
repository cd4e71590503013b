"""Reading what holds keys and passwords is asked about, also in the folder itself."""

from __future__ import annotations

import json

import pytest

from palaver.core.messages import ToolCall
from palaver.core.tool import Allow, Ask
from palaver.tools import consent
from palaver.tools.toolbox import load

STATE = consent.State("/home/me")


def judged(name: str, rules: consent.Rules | None = None, **arguments: str):
    (tool,) = load([name])
    call = ToolCall("1", name, json.dumps(arguments))
    return consent.decide(call, tool.spec, rules or consent.Rules(), STATE)


@pytest.mark.parametrize(
    "path",
    [".ssh/id_rsa", "/home/me/.SSH/config", ".env", "app/.env.local", ".aws", "certs/server.key",
     "id_ed25519", "x/../.netrc", "deploy/secrets.yaml"],
)  # fmt: skip
def test_secrets_are_asked_about_by_every_way_of_reading(path):
    for verdict in (
        judged("read_file", path=path),
        judged("list_files", path=path),
        judged("search_files", pattern="KEY", path=path),
        judged("shell", command=f"cat {path}"),
    ):
        assert isinstance(verdict, Ask), verdict
    assert "may hold keys or passwords" in judged("read_file", path=path).reason


@pytest.mark.parametrize(
    "path", ["notes.txt", ".env.example", "keys.txt", "id_rsa.pub", ".github/x"]
)
def test_others_are_not(path):
    assert isinstance(judged("read_file", path=path), Allow)


def test_a_folder_that_the_user_chose_is_no_secret():
    call = ToolCall("1", "read_file", '{"path": "a.txt"}')
    (tool,) = load(["read_file"])
    inside = consent.State("/home/me/.docker/app")
    assert isinstance(consent.decide(call, tool.spec, consent.Rules(), inside), Allow)


def test_an_answer_that_lasts_allows_just_that():
    call = ToolCall("1", "read_file", '{"path": ".env"}')
    (tool,) = load(["read_file"])
    rule = consent.rule_for(call, tool.spec, STATE, judged("read_file", path=".env"))
    assert rule is not None
    rules = consent.Rules().adding(rule)
    assert isinstance(judged("read_file", rules, path=".env"), Allow)
    assert isinstance(judged("read_file", rules, path=".ssh/id_rsa"), Ask)
