"""Who gets which lane, and who waits; connections that say nothing."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
import uvicorn
from uvicorn.server import ServerState

from palaver.server import run
from palaver.server.errors import ApiError
from palaver.server.lanes import Lanes


class Holding:
    """As much of a cache as lanes look at."""

    def __init__(self, *held):
        self.held = list(held)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_lane_that_holds_most_of_a_prompt_is_taken():
    async def go():
        lanes = Lanes([Holding(1, 2, 3, 4), Holding(1, 2), Holding()], 9)
        for ids, number in (([1, 2, 3, 4, 5], 0), ([1, 2, 9], 1), ([7], 2), ([8], 0)):
            async with lanes.take("a", ids) as lane:
                assert lane.number == number, ids

    asyncio.run(go())


def test_a_shared_beginning_does_not_cost_a_long_conversation():
    async def go():
        lanes = Lanes([Holding(*range(100)), Holding()], 9)
        async with lanes.take("a", [*range(20), 500]) as lane:
            assert lane.number == 1

    asyncio.run(go())


def test_clients_take_turns():
    async def go():
        lanes = Lanes([Holding()], 20)
        order = []

        async def ask(client, number):
            async with lanes.take(client, [number]):
                order.append(f"{client}{number}")

        async with lanes.take("x", [0]):
            tasks = [asyncio.create_task(ask("a", n)) for n in range(4)]
            await settle()
            tasks += [asyncio.create_task(ask("b", n)) for n in range(2)]
            tasks.append(asyncio.create_task(ask("c", 0)))
            await settle()
            assert lanes.waiting == 7
        await asyncio.gather(*tasks)
        assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]
        assert (lanes.busy, lanes.waiting) == (0, 0)

    asyncio.run(go())


def test_a_full_queue_turns_away_who_has_most_waiting():
    async def go():
        lanes = Lanes([Holding()], 3)

        async def ask(client):
            async with lanes.take(client, [1]):
                return client

        async with lanes.take("x", [0]):
            greedy = [asyncio.create_task(ask("a")) for _ in range(3)]
            await settle()
            modest = asyncio.create_task(ask("b"))
            await settle()
            with pytest.raises(ApiError, match="3 requests") as refused:
                await ask("a")
            assert (refused.value.status, refused.value.retry_after) == (429, 4)
        assert await modest == "b"
        ended = await asyncio.gather(*greedy, return_exceptions=True)
        assert [type(one) for one in ended] == [str, str, ApiError]
        assert (lanes.busy, lanes.waiting) == (0, 0)

    asyncio.run(go())


def test_who_goes_away_while_waiting_leaves_nothing_behind():
    async def go():
        lanes = Lanes([Holding()], 3)

        async def ask():
            async with lanes.take("a", [1]):
                await asyncio.sleep(3600)

        async with AsyncExitStack() as stack:
            await stack.enter_async_context(lanes.take("x", [0]))
            waiting = asyncio.create_task(ask())
            given = asyncio.create_task(ask())
            await settle()
            waiting.cancel()
            await settle()
            assert lanes.waiting == 1
        given.cancel()  # in the moment in which it was given the lane
        await asyncio.gather(waiting, given, return_exceptions=True)
        assert (lanes.busy, lanes.waiting) == (0, 0)
        lanes.refuse(ApiError("over"))

    asyncio.run(go())


async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_connections_that_say_nothing_are_closed(monkeypatch):
    async def go():
        config: uvicorn.Config = run._config(answer, 1)
        config.load()
        state = ServerState()
        listening = await asyncio.get_running_loop().create_server(
            lambda: run._Protocol(config, state, {}), "127.0.0.1", 0
        )
        port = listening.sockets[0].getsockname()[1]
        async with listening:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: local")
            assert await reader.read() == b""
            writer.close()
            monkeypatch.setattr(run, "_HEAD_SECONDS", 60.0)
            monkeypatch.setattr(run, "_CONNECTIONS", 1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 204")
            second, other = await asyncio.open_connection("127.0.0.1", port)
            with suppress(ConnectionResetError):
                assert await second.read() == b""
            for one in (writer, other):
                one.close()

    monkeypatch.setattr(run, "_HEAD_SECONDS", 0.2)
    asyncio.run(go())
