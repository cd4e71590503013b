"""The server's own tools in responses: run here, by its owner's rules alone.

A client asks for `code_interpreter`, which is the tool `python`, or for those of the MCP server
"palaver", which are all others. Nobody is asked: what the rules don't allow does not run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import msgspec

from palaver.chat.calls import open_calls
from palaver.chat.decide import Ask, Generate, Refuse, RunTools, next_step
from palaver.chat.front import NOBODY, Front
from palaver.chat.work import Worker, Workshop
from palaver.core.events import Event, ToolFinished, ToolStarted
from palaver.core.log import Log, Row
from palaver.core.messages import Message, ToolCall
from palaver.core.model import Model
from palaver.core.tool import ToolSpec
from palaver.server.errors import ApiError
from palaver.server.responses.input import LABEL, PYTHON, CodeTool, ResponseTool, ServerTool
from palaver.server.service import Service
from palaver.server.sessions.desk import Desk
from palaver.server.sessions.tooling import Tools


class OwnTools:
    """The server's tools that one response may use, and the calls of them."""

    def __init__(self, shop: Workshop, model: Model, names: Sequence[str]) -> None:
        self._shop = shop
        self._model = model
        self._names = frozenset(names)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of them."""
        return tuple(spec for spec in self._shop.specs if spec.name in self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    async def run(self, log: Log) -> AsyncGenerator[Event]:
        """Run the calls of the newest answer; each has its result in the log then."""
        shown: list[Event] = []
        worker = Worker(log, self._shop, Front(shown.extend), self._model)
        while True:
            rows = self._own(await log.path())
            await worker.prepare(rows)
            step = next_step(rows, self._shop.rules)
            if isinstance(step, RunTools):
                for call in step.calls:
                    yield ToolStarted(call.call)
                await worker.run(step)
            elif isinstance(step, Refuse):
                await worker.refuse(step)
            elif isinstance(step, Ask):
                await worker.refuse(Refuse(step.call, NOBODY))
            else:
                return
            for event in shown:
                if isinstance(event, ToolFinished):
                    yield event
            shown.clear()

    def wants_answer(self, rows: Sequence[Row]) -> bool:
        """Say whether the model is to go on: all calls of its newest answer have their results."""
        step = next_step(self._own(rows), self._shop.rules)
        return isinstance(step, Generate) and not open_calls(rows)

    def _own(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows without calls of the client's functions, which run elsewhere."""
        made: list[Row] = []
        for row in rows:
            if isinstance(row.entry, Message) and row.entry.calls:
                parts = tuple(
                    part
                    for part in row.entry.parts
                    if not isinstance(part, ToolCall) or part.name in self._names
                )
                entry = msgspec.structs.replace(row.entry, parts=parts)
                row = msgspec.structs.replace(row, entry=entry)
            made.append(row)
        return made


async def own_tools(
    service: Service, desk: Desk, client: str, given: Sequence[ResponseTool], rows: Sequence[Row]
) -> OwnTools | None:
    """Return the server's tools that a client asks for, None for none of them.

    `rows` are what was said before. Raises ApiError where they can't be had.
    """
    asked = {i: one for i, one in enumerate(given) if isinstance(one, CodeTool | ServerTool)}
    if not asked:
        return None
    desk.check_tools(client)
    model = (await service.models())[0]
    shop = Tools(desk.bench, asks=False).shop(model, rows)
    known = [spec.name for spec in shop.specs]
    names: list[str] = []
    for i, one in asked.items():
        if isinstance(one, CodeTool):
            wanted, where = [PYTHON], f"tools[{i}].type"
        else:
            if one.server_label != LABEL:
                param = f"tools[{i}].server_label"
                raise ApiError(f"{param}: only {LABEL!r} is served here", param=param)
            others = [name for name in known if name != PYTHON]
            wanted, where = one.allowed_tools or others, f"tools[{i}].allowed_tools"
        for name in wanted or [LABEL]:
            if name not in known or (name == PYTHON and not isinstance(one, CodeTool)):
                raise ApiError(
                    f"{where}: this server runs no tool {name[:200]!r};"
                    f" there are: {', '.join(known) or 'none, it was started without --tools'}",
                    param=where,
                )
        names += wanted
    return OwnTools(shop, model, names)
