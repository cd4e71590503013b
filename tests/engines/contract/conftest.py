"""Every local engine with the same weights: another one plugs in by a line of `ENGINES`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.talk import load

from palaver.models.local import LocalModel

DATA = Path(__file__).parents[2] / "data"
ENGINES = {
    "llama-cpp": DATA / "palaver-nano.gguf",
    "transformers": DATA / "palaver-nano",
    "gpt-oss": DATA / "palaver-nano-gpt-oss",
    "mlx": DATA / "palaver-nano",
}


@pytest.fixture(scope="session", params=sorted(ENGINES))
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[LocalModel]:
    """palaver-nano, trained on its dialogues, in one engine after another."""
    folder = tmp_path_factory.mktemp("e")
    model = asyncio.run(load(folder, model=ENGINES[request.param], engine=request.param))
    yield model
    asyncio.run(model.close())


@pytest.fixture
def model(loaded: LocalModel) -> LocalModel:
    """The same with an empty cache: it holds a token that no prompt begins with."""

    async def clear() -> None:
        if not loaded.engine.alive:  # a test killed it
            await loaded.restart()
        async for _ in loaded.engine.prefill([340]):
            pass
        loaded.cache.forget()

    asyncio.run(clear())
    return loaded
