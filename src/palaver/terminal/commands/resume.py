"""Go on with another session."""

from __future__ import annotations

from palaver.conversation import Conversation
from palaver.terminal.command import Command
from palaver.terminal.controller import Controller
from palaver.terminal.sessions import number_of


async def run(chat: Controller, argument: str) -> None:
    """Open another session; the present one stays as it is."""
    store = chat.conversation.store
    number = await number_of(store, argument or "last", other_than=chat.conversation.session)
    conversation, _ = await Conversation.resume(store, number)
    await chat.switch(conversation)
    await chat.tooling.forget()
    chat.show_resumed()


COMMAND = Command(
    "/resume [number]", "Go on with a session: its number (/sessions), or the last one.", run
)
