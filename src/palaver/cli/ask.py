"""Ask one question and print the answer. Reads a pipe before the question."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from palaver.cli._options import ENGINE, flags, given, load_settings
from palaver.cli._piped import read_piped
from palaver.config.settings import SAMPLING
from palaver.core.errors import UserError


@click.command("ask")
@click.argument("text", nargs=-1)
@flags(
    *ENGINE,
    *SAMPLING,
    "system",
    "raw",
    "no_save",
    "tools",
    "max_tool_rounds",
    "consent",
    "no_sandbox",
)
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the last session.")
@click.option("--json", "as_json", is_flag=True, help="Print an event a line, as JSON.")
@click.option("--schema", type=click.Path(dir_okay=False), help="JSON Schema the answer must fit.")
def ask(text: tuple[str, ...], **values: Any) -> int:
    """Ask one question and print the answer.

    What comes through a pipe stands, fenced, before TEXT. Exit code 0: answered; 1: the model or
    its engine failed; 2: wrong usage; 130: interrupted.

    \b
    palaver ask "What is the capital of France?"
    git diff | palaver ask -m model.gguf "What does this change?"
    palaver ask -c "And in one sentence?"
    palaver ask --schema form.json --temperature 0 "Name three rivers."
    """
    question = compose(" ".join(text), read_piped())
    schema = _schema(values.pop("schema"))
    settings = load_settings({**values, "tools": values["tools"] or "off"})
    chosen = given(values)
    if chosen.pop("go_on", False):
        chosen["resume"] = "last"
    return asyncio.run(_ask(question, schema, settings, chosen))


def compose(text: str, piped: str) -> str:
    """Join what was piped, in a fence that it can't close, and the question.

    Raises UserError where both are empty.
    """
    if not text.strip() and not piped.strip():
        raise UserError("nothing was asked", fix='say it: palaver ask "..."')
    if not piped.strip():
        return text
    longest = max((len(run) for run in re.findall(r"`+", piped)), default=0)
    fence = "`" * max(3, longest + 1)
    fenced = f"{fence}\n{piped.rstrip(chr(10))}\n{fence}"
    return f"{fenced}\n\n{text}" if text.strip() else fenced


def _schema(name: str | None) -> str | None:
    if name is None:
        return None
    import msgspec

    try:
        text = Path(name).read_text(encoding="utf-8")
        found = msgspec.json.decode(text)
    except OSError as error:
        raise UserError(f"{name} can't be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{name} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{name} is no JSON Schema: it must be an object")
    return text


async def _ask(question: str, schema: str | None, settings: Any, chosen: dict[str, Any]) -> int:
    import msgspec

    from palaver.terminal.controller import Controller
    from palaver.terminal.oneshot import make_screen

    screen = make_screen(
        as_json=bool(chosen.pop("as_json", False)),
        raw="raw" in chosen,
        kept="no_save" not in chosen,
    )
    chat = Controller(settings, chosen, screen)
    chat.sampling = msgspec.structs.replace(chat.sampling, json_schema=schema)
    stopped = False

    main = asyncio.current_task()

    def interrupt() -> None:
        nonlocal stopped
        stopped = True
        if not chat.stop() and main:
            main.cancel()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupt)
    screen.waits.begin(lambda: "reading" if chat.model else chat.loading.state)
    try:
        await chat.open()
        await chat.ready()  # what is wrong with the model is said before anything is stored
        await chat.say(question)
        if stopped:
            return 130
        return _verdict(chat.conversation.rows[-1].entry, bound=schema is not None)
    except asyncio.CancelledError:
        return 130
    finally:
        screen.waits.end()
        with suppress(asyncio.CancelledError):
            await chat.close()


def _verdict(entry: Any, *, bound: bool) -> int:
    """Return the exit code of an answer.

    `bound`: it had to fit a schema, which a cut-off one does not.
    """
    stop = getattr(entry, "stop", None)
    if getattr(entry, "role", "") != "assistant" or stop == "error":
        return 1
    return 1 if stop == "length" and bound else 0


COMMAND = ask
