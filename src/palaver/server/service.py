"""The model that is served: loaded in the background, answering in lanes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

from msgspec import Struct

from palaver.core.errors import PalaverError
from palaver.core.events import Event
from palaver.core.generation import Sampling
from palaver.core.log import Row
from palaver.core.tool import ToolSpec
from palaver.models.local import LocalModel
from palaver.server.errors import ApiError, as_api_error
from palaver.server.lanes import Lanes

State = Literal["loading", "ready", "draining"]


class Limits(Struct, frozen=True):
    """What a server allows: requests that wait, tokens of an answer, messages of a chat."""

    queue: int = 64
    max_tokens: int | None = None
    max_context: int | None = None


class Service:
    """One model and its lanes."""

    def __init__(self, name: str, limits: Limits, usual: Sampling) -> None:
        """`name` is what clients call the model; `usual` what holds where they set nothing."""
        self.name = name
        self.limits = limits
        self.usual = usual
        self.state: State = "loading"
        self.created = int(time.time())
        self._model: LocalModel | None = None
        self._lanes: Lanes | None = None

    def opened(self, model: LocalModel) -> None:
        """Serve a model that was loaded."""
        self._model = model
        self._lanes = Lanes([model.cache], self.limits.queue)
        self.state = "ready"

    @property
    def model(self) -> LocalModel:
        """The model. Raises ApiError while it loads, and once the server ends."""
        if self._model is None:
            raise ApiError("the model is loading", status=503, code="loading", retry_after=1)
        if self.state == "draining":
            raise ApiError("the server is ending", status=503, code="draining", retry_after=5)
        return self._model

    @property
    def lanes(self) -> Lanes:
        """The lanes; as `model`."""
        if self._lanes is None:
            raise ApiError("the model is loading", status=503, code="loading", retry_after=1)
        return self._lanes

    def check_name(self, name: str | None) -> None:
        """Raise ApiError where a client asks for another model than is served."""
        if name is not None and name != self.name:
            raise ApiError(
                f"there is no model {name[:200]!r} here; {self.name!r} is served",
                status=404,
                param="model",
                code="model_not_found",
            )

    async def answer(
        self, client: str, rows: Sequence[Row], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncGenerator[Event]:
        """Answer a log, once it is the client's turn. Raises ApiError."""
        model = self.model
        try:
            prompt = await model.prompt(rows, tools)
            room = model.engine.info.context - len(prompt.ids)
            if room < 1:
                raise ApiError(
                    f"the messages take {len(prompt.ids)} tokens, the context holds"
                    f" {model.engine.info.context}",
                    param="messages",
                    code="context_length_exceeded",
                )
            async with (
                self.lanes.take(client, prompt.ids),
                aclosing(model.answer(prompt, tools, sampling)) as events,
            ):
                async for event in events:
                    yield event
        except PalaverError as error:
            raise as_api_error(error) from error

    async def close(self) -> None:
        """End the engine."""
        if self._model:
            await asyncio.shield(self._model.close())
