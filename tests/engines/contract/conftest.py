"""Every local engine with the same weights: another one plugs in by a line of `ENGINES`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.endpoint import llama_cpp
from tests.support.llama_server import wrap
from tests.support.talk import load, local

from palaver.engines.completions.open import attach
from palaver.models.local import LocalModel
from palaver.remote.server import Server

DATA = Path(__file__).parents[2] / "data"
ENGINES = {
    "llama-cpp": DATA / "palaver-nano.gguf",
    "llama-server": DATA / "palaver-nano.gguf",  # owned by us
    "transformers": DATA / "palaver-nano",
    "gpt-oss": DATA / "palaver-nano-gpt-oss",
    "mlx": DATA / "palaver-nano",
}
ATTACHED = "attached"  # a llama-server that runs: its process and its files are its own
owned = pytest.mark.parametrize("loaded", sorted(ENGINES), indirect=True)


async def opened(folder: Path, engine: str) -> LocalModel:
    """Load palaver-nano in an engine of ours."""
    given = {"llama_server": str(wrap(folder / "llama-server"))} if "server" in engine else {}
    return await load(folder, model=ENGINES[engine], engine=engine, **given)


@pytest.fixture(scope="session", params=sorted([*ENGINES, ATTACHED]))
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[LocalModel]:
    """palaver-nano, trained on its dialogues, in one engine after another."""
    folder = tmp_path_factory.mktemp("e")
    if request.param == ATTACHED:
        file = ENGINES["llama-cpp"]
        line = ("--batch-size", "64", "--ubatch-size", "64", "--cache-ram", "0")
        with llama_cpp(folder, *line, model=file) as real:
            server = Server(real.url, real.key)
            model = local(asyncio.run(attach(server, None, None, None)), folder)
            yield model
            asyncio.run(model.close())
        return
    model = asyncio.run(opened(folder, request.param))
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
