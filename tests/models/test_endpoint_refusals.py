"""What an endpoint refuses and what it is, told so that the user can mend it; its key is not."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.endpoint import FINE, ask, collect, opened, rows
from tests.support.replay import (
    answer,
    listing,
    replaying,
)

from palaver.core.errors import EngineError, UserError
from palaver.remote.errors import UnreachableError
from palaver.remote.server import Server


def test_a_redirect_is_not_followed_and_the_key_stays_here():
    async def work():
        async with replaying(FINE) as other:
            there = f"{other.url}/chat/completions?token=abc"
            async with (
                replaying(answer(307, "", Location=there)) as told,
                opened(told.url, key="sk-own") as model,
            ):
                _, error = await collect(model, rows("hi"))
            assert isinstance(error, UserError)
            assert other.url in str(error)
            assert "token=abc" not in str(error)
            assert not other.asked

    asyncio.run(work())


def test_a_key_that_the_server_repeats_is_hidden():
    said_ = {"error": {"message": "Incorrect API key provided: sk-very-secret. Mind it."}}
    _, error, told = ask(answer(401, said_), key="sk-very-secret")
    assert told.chats[0].headers["authorization"] == "Bearer sk-very-secret"
    assert isinstance(error, UserError)
    assert "refused the key: Incorrect API key provided: ********. Mind it." in str(error)
    assert "sk-very" not in repr(error)


def test_a_web_page_is_no_answer():
    async def page(_asked, writer):
        body = b"<html>Please log in</html>"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body)
        await writer.drain()

    _, error, told = ask(page)
    assert "web page" in str(error)
    assert len(told.chats) == 1


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "SSL_CERT_FILE"])
def test_an_environment_that_cannot_be_used_is_told(monkeypatch, name):
    monkeypatch.setenv(name, "gopher://nowhere/")

    async def work():
        await Server("https://nowhere.invalid/v1").get("/models", limit=10)

    with pytest.raises(UserError, match=f"environment.*\n.*{name}"):
        asyncio.run(work())


def test_a_key_with_blanks_is_refused_without_being_shown():
    with pytest.raises(UserError) as caught:
        Server("http://127.0.0.1/v1", "sk\nX: y")
    assert "sk" not in str(caught.value)


def test_a_wrong_model_is_told_with_those_that_there_are():
    _, error, _ = ask(answer(404, {"error": {"message": "gone"}}), models=listing("a", "b"))
    assert isinstance(error, UserError)
    assert "'a'" in str(error)
    assert "it has a, b" in str(error)


def test_nobody_there_says_what_was_tried():
    async def work():
        async with replaying(FINE) as told:
            pass
        async with opened(told.url):
            raise AssertionError

    with pytest.raises(UnreachableError) as caught:
        asyncio.run(work())
    assert "/v1/models: Connection refused" in str(caught.value)
    assert "is the server running?" in str(caught.value)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (answer(200, "<html>login</html>"), "no JSON"),
        (answer(200, {"data": 7}), "lists no models"),
        (answer(200, {"data": []}), "has no models"),
        (answer(401, {"error": "who?"}), "wants a key: who?"),
        (answer(404, {"error": "not here"}), "not here"),
    ],
)
def test_a_server_that_is_none_is_told(models, words):
    async def work():
        async with replaying(FINE, models=models) as told, opened(told.url):
            raise AssertionError

    with pytest.raises((UserError, EngineError), match=words.replace("?", r"\?")):
        asyncio.run(work())


def test_a_server_without_a_list_is_taken_at_the_users_word():
    found, error, told = ask(FINE, models=answer(404, "what?"), model="mine")
    assert error is None
    assert told.chats[0].json["model"] == "mine"
    assert found[-1].generation.model == "mine"
