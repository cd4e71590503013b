"""Streams of events: errors before and within them, silence, and clients that go or don't read."""

import asyncio
import json

import pytest

from palaver.server import replies
from palaver.server.errors import ApiError
from palaver.server.replies import Stream, Whole


class Client:
    """What an ASGI server gives an application, for a client that goes away when it is told to."""

    def __init__(self, *, reads=True):
        self.sent = []
        self.gone = asyncio.Event()
        self._reads = reads

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if not self._reads and message["type"] == "http.response.body":
            await asyncio.Event().wait()
        self.sent.append(message)

    async def get(self, reply):
        await reply({"type": "http", "path": "/"}, self.receive, self.send)
        return b"".join(message.get("body", b"") for message in self.sent[1:]).decode()

    @property
    def status(self):
        return self.sent[0]["status"]


async def events(*, fails=None, pause=0.0, over=None):
    try:
        yield {"n": 1}
        await asyncio.sleep(pause)
        if fails:
            raise fails
        yield {"n": 2}
    finally:
        if over:
            over.set()


def test_events_and_their_end():
    async def go():
        client = Client()
        assert await client.get(Stream(events())) == (
            'data: {"n":1}\n\ndata: {"n":2}\n\ndata: [DONE]\n\n'
        )
        assert client.status == 200

    asyncio.run(go())


def test_an_error_within_is_the_last_event():
    async def go():
        said = await Client().get(Stream(events(fails=ApiError("oh", status=503))))
        first, last, rest = said.split("\n\n")
        assert (first, rest) == ('data: {"n":1}', "")
        assert json.loads(last[6:])["error"]["message"] == "oh"

    asyncio.run(go())


def test_an_error_before_has_its_own_status():
    async def nothing():
        raise ApiError("full", status=429, retry_after=3)
        yield

    async def go():
        client = Client()
        assert json.loads(await client.get(Stream(nothing())))["error"]["message"] == "full"
        assert client.status == 429
        assert (b"retry-after", b"3") in client.sent[0]["headers"]

    asyncio.run(go())


def test_a_fault_of_ours_is_said_and_raised():
    async def go():
        client = Client()
        with pytest.raises(ZeroDivisionError):
            await client.get(Stream(events(fails=ZeroDivisionError())))
        said = b"".join(message.get("body", b"") for message in client.sent[1:])
        assert b"palaver failed" in said
        assert b"[DONE]" not in said

    asyncio.run(go())


def test_silence_is_broken_by_comments(monkeypatch):
    monkeypatch.setattr(replies, "_SILENCE", 0.01)

    async def go():
        said = await Client().get(Stream(events(pause=0.1)))
        assert ": palaver works\n\n" in said
        assert said.endswith("data: [DONE]\n\n")

    asyncio.run(go())


def test_who_goes_away_ends_the_work():
    async def go():
        for kind in (Stream, Whole):
            client, over = Client(), asyncio.Event()

            async def work(over=over):
                try:
                    await asyncio.sleep(3600)
                finally:
                    over.set()

            made = work() if kind is Whole else events(pause=3600, over=over)
            getting = asyncio.create_task(client.get(kind(made)))
            for _ in range(50):  # until the work has begun
                await asyncio.sleep(0)
            client.gone.set()
            await getting
            assert over.is_set()

    asyncio.run(go())


def test_who_does_not_read_is_left(monkeypatch):
    monkeypatch.setattr(replies, "_PATIENCE", 0.01)

    async def go():
        over = asyncio.Event()
        await Client(reads=False).get(Stream(events(over=over)))
        assert over.is_set()

    asyncio.run(go())
