"""A chat in which an answer stands still while its last block, a table, is still open.

python -m tests.terminal.open_table
"""

import asyncio

from palaver.config import settings
from palaver.core.events import TextDelta
from palaver.terminal import app
from palaver.terminal.controller import Controller

FLAGS = {"no_save": True}
ROW = "| row {} | says something that is long enough to be broken in two |\n"


class Open(app.App):
    async def _work(self) -> None:
        await self._drawn()
        self.stage.load()
        self.chat = Controller(self.settings, FLAGS, self.stage)
        self.stage.note("a row that is finished")
        self.stage.begin("reading")
        table = "| name | what |\n|---|---|\n" + "".join(ROW.format(n) for n in range(3))
        self.stage.show([TextDelta("above\n\n" + table)])


asyncio.run(Open(settings.load(), FLAGS, None).main())
