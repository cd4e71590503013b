"""Kill an engine at random moments of a turn; the chat has to go on each time.

    python -m benchmarks.kill_engine ENGINE MODEL [--kills 50] [--seed N]

MODEL is palaver-nano as ENGINE reads it. A turn is struck while it is read or answered, the engine
is started again, and the next turn has to be answered word for word.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.engines import pid
from tests.support.talk import Talk, load

from palaver.core.errors import EngineError
from palaver.core.generation import Sampling
from palaver.core.messages import user

LONG = Sampling(max_tokens=900, temperature=0.0, logit_bias=((0, -1e3), (2, -1e3)))


async def struck(talk: Talk, seconds: float) -> bool:
    """Answer a turn while the engine is killed after some time; say whether that was seen."""
    rows = [*talk.rows, talk.branch(len(talk.rows)).add(user("Tell a long story."))]

    async def strike() -> None:
        await asyncio.sleep(seconds)
        os.kill(pid(talk.model.engine), signal.SIGKILL)

    blow = asyncio.create_task(strike())
    try:
        async for _ in talk.model.respond(rows, (), LONG):
            pass
    except EngineError as error:
        return error.died
    finally:
        await blow
    return False


async def main() -> None:
    """Strike, start again and ask, as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("engine")
    parser.add_argument("model", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    went_on = seen = 0
    with tempfile.TemporaryDirectory() as name:
        model = await load(Path(name), model=asked.model, engine=asked.engine)
        try:
            talk = Talk(model)
            await talk.ask("Hello", max_tokens=200, temperature=0.0)
            began = time.perf_counter()
            await talk.branch(2).ask("Tell a long story.", max_tokens=200, temperature=0.0)
            turn = time.perf_counter() - began
            for _ in range(asked.kills):
                seen += await struck(talk.branch(2), chance.random() * turn)
                await model.restart()
                next_ = talk.branch(2)
                await next_.ask("Count to five.", max_tokens=200, temperature=0.0)
                went_on += next_.rows[-1].entry.text == "One, two, three, four, five."
        finally:
            await model.close()
    print(f"{asked.engine}: went on {went_on} of {asked.kills}; {seen} deaths in an answer")


if __name__ == "__main__":
    asyncio.run(main())
