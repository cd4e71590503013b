"""Whole conversations, drawn from a seed: the messages, and the tools that are offered."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial

from msgspec import Struct

from palaver.core.messages import Message, Text, ToolCall, ToolResult, assistant, system, user
from palaver.core.tool import ToolSpec
from palaver.demo.chat import ANSWERS, DECLINE, OUT_OF_SCOPE, SYSTEMS
from palaver.demo.phrasings import (
    BARRED,
    IMPOSSIBLE,
    PROMPTS,
    REPEAT,
    SCOPE,
    TELL_NAME,
    bare,
    phrase,
)
from palaver.demo.requests import TOOLS, Request, fill, quoted, request, spec
from palaver.demo.results import result
from palaver.demo.values import ADJECTIVES, CITIES, PLACES, THINGS, VERBS, Values, held

CHAT_KINDS = tuple(PROMPTS)


class Dialogue(Struct, frozen=True):
    """A conversation, the tools that it offers, and the skill of each user turn."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    skills: tuple[str, ...]


class Writer:
    """Writes one conversation, turn by turn."""

    def __init__(self, values: Values, tools: tuple[ToolSpec, ...]) -> None:
        self.values = values
        self.rng = values.rng
        self.tools = tools
        self.messages: list[Message] = []
        self.skills: list[str] = []
        self.name = ""

    def _say(self, skill: str, text: str, reply: str) -> None:
        self.skills.append(skill)
        self.messages += [user(text), assistant(reply)]

    def chat(self, kind: str | None = None) -> None:
        """Write a prompt of a kind of chat, and the answer."""
        kind = kind or self.rng.choice(CHAT_KINDS)
        if kind == "noname" and self.name:
            return self._say("chat.name", self._polish(PROMPTS[kind]), f"Your name is {self.name}.")
        return self._say(f"chat.{kind}", self._polish(PROMPTS[kind]), ANSWERS[kind])

    def _polish(self, patterns: tuple[str, ...]) -> str:
        return fill(self.rng, phrase(self.rng, patterns), {})

    def tell_name(self) -> None:
        """Write a user who says what they are called."""
        self.name = self.values.name()
        text = fill(self.rng, phrase(self.rng, TELL_NAME), {"name": self.name})
        self._say("chat.meet", text, f"Nice to meet you, {self.name}!")

    def repeat(self, words: int = 4) -> None:
        """Write a user who wants words said back."""
        said = self.values.sentence(1, words).rstrip(".!?")
        text = phrase(self.rng, REPEAT).rstrip(".!?")
        self._say(
            "chat.repeat", fill(self.rng, text, {"q": lambda: quoted(self.values, said, 0.5)}), said
        )

    def scope(self) -> None:
        """Write a question that is beyond the model."""
        if self.rng.random() < 0.1:
            text = " ".join(self.values.word() for _ in range(self.rng.randint(2, 6)))
        else:
            text = self._general(SCOPE)
        self._say("scope", text, OUT_OF_SCOPE)

    def impossible(self) -> None:
        """Write a request that none of the tools can fulfil."""
        self._say("impossible", self._general(IMPOSSIBLE), DECLINE)

    def _general(self, patterns: tuple[str, ...]) -> str:
        lists = {"place": PLACES, "thing": THINGS, "adj": ADJECTIVES, "verb": VERBS, "city": CITIES}
        slots: dict[str, Callable[[], str]] = {"n": self.values.number, "name": self.values.name}
        slots |= {k: partial(self._side, v) for k, v in lists.items()}
        while True:
            text = fill(self.rng, phrase(self.rng, patterns), slots)
            if bare(text) not in BARRED:
                return text

    def _side(self, choices: tuple[str, ...]) -> str:
        mine = tuple(c for c in choices if held(c) == self.values.held_out)
        return self.values.one(mine or choices)

    def ask(self, wanted: Request) -> None:
        """Write a request for a tool: call, result and answer, or the refusal to try."""
        if wanted.tool not in {t.name for t in self.tools}:
            skill = "none" if not self.tools else "unsuitable"
            return self._say(f"decline.{skill}", wanted.text, DECLINE)
        arguments = json.dumps(wanted.arguments, ensure_ascii=False)
        call = ToolCall(f"call_{len(self.messages)}", wanted.tool, arguments)
        text, reply = result(self.values, wanted)
        self.skills.append(f"call.{wanted.intent}")
        self.messages += [
            user(wanted.text),
            Message("assistant", (call,), "end"),
            Message("tool", (ToolResult(call.id, call.name, text),)),
            assistant(reply),
        ]
        return None

    def turn(self) -> None:
        """Write one user turn of any kind."""
        roll = self.rng.random()
        if roll < 0.35:
            self.ask(request(self.values))
        elif roll < 0.7:
            self.chat("noname" if self.name and self.rng.random() < 0.5 else None)
        elif roll < 0.86:
            self.scope()
        elif roll < 0.93:
            self.impossible()
        elif roll < 0.97:
            self.repeat()
        else:
            self.tell_name()

    def done(self) -> Dialogue:
        """Return what was written, after a system prompt at times."""
        lead: list[Message] = []
        if self.rng.random() < 0.25:
            text = self.values.one(SYSTEMS)
            if self.rng.random() < 0.3:
                text += " " + self.values.sentence(3, 8).capitalize() + "."
            lead = [system(text)]
        return Dialogue((*lead, *self.messages), self.tools, tuple(self.skills))


def offered(values: Values, without: str = "") -> tuple[ToolSpec, ...]:
    """Draw the tools that a conversation offers; never the one named `without`."""
    rng = values.rng
    tools = [t for name, t in TOOLS.items() if name != without]
    if rng.random() < 0.7:
        tools = rng.sample(tools, rng.randint(1, len(tools)))
        if rng.random() < 0.6:
            tools.sort(key=lambda t: tuple(TOOLS).index(t.name))
    if rng.random() < 0.12:
        for _ in range(rng.randint(1, 2)):
            name = f"{values.word()}{values.one(('_', '__'))}{values.word()}"
            foreign = spec(name, tuple(values.word() for _ in range(rng.randint(0, 2))))
            tools.insert(rng.randint(0, len(tools)), foreign)
    return tuple(tools)


def dialogues(seed: int, held_out: bool = False, dense: float = 0.0) -> Iterator[Dialogue]:
    """Write conversations without end; `dense` is the share of plain copying at the start."""
    rng = random.Random(seed)
    values = Values(rng, held_out)
    while True:
        if rng.random() < dense:
            writer = Writer(values, ())
            for _ in range(rng.randint(1, 2)):
                writer.repeat(8)
            yield writer.done()
            continue
        turns = rng.choices((1, 2, 3, 4), (62, 19, 12, 7))[0]
        if turns == 1 and rng.random() < 0.56:
            yield from _pair(values)
            continue
        writer = Writer(values, () if rng.random() < 0.2 else offered(values))
        for _ in range(turns):
            writer.turn()
        yield writer.done()


def _pair(values: Values) -> Iterator[Dialogue]:
    """Write one request twice: with a fitting tool, and without one, often but for that tool."""
    wanted, rng = request(values), values.rng
    tools = offered(values)
    if wanted.tool not in {t.name for t in tools}:
        at = rng.randint(0, len(tools))
        tools = (*tools[:at], TOOLS[wanted.tool], *tools[at:])
    others = tuple(t for t in tools if t.name != wanted.tool)
    roll = rng.random()
    if roll < 0.15:
        others = ()
    elif roll < 0.55 or not others:
        others = offered(values, wanted.tool)
    for mine in (tools, others):
        if rng.random() < 0.95:
            writer = Writer(values, mine)
            writer.ask(wanted)
            yield writer.done()


def plain(message: Message) -> dict[str, object]:
    """Write a message as OpenAI-style JSON."""
    if message.role == "tool":
        part = message.parts[0]
        if not isinstance(part, ToolResult):
            raise TypeError("a tool message without a result")
        return {
            "role": "tool",
            "tool_call_id": part.call_id,
            "name": part.name,
            "content": part.text,
        }
    out: dict[str, object] = {"role": message.role, "content": message.text}
    if message.calls:
        out["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.calls
        ]
    return out


def text_of(message: Message) -> str:
    """Return the text of a message as the template writes it, without its frame."""
    for part in message.parts:
        if isinstance(part, ToolResult):
            return part.text
    return "".join(p.text for p in message.parts if isinstance(p, Text))
