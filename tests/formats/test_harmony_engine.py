"""Harmony on a gpt-oss file: exact ids, nothing read twice, calls that the model ends itself."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.engines import start
from tests.support.talk import Talk

from palaver.assemble import make_format
from palaver.core.messages import Message, Reasoning, Text, ToolCall, ToolResult
from palaver.engines.child.engine import ChildEngine
from palaver.formats.template import TemplateFormat
from palaver.models.kv import States
from palaver.models.local import LocalModel

DAY = datetime.date(2026, 11, 20)
TEMPLATE = Path(__file__).parents[3] / "shared/cases/templates/openai-gpt-oss-120b.jinja"
LETTERS = "[a-z]{2,5}"


@asynccontextmanager
async def loaded(folder: Path) -> AsyncIterator[LocalModel]:
    engine: ChildEngine = await start(folder, "gpt-oss")
    fmt = make_format(engine.file, DAY)
    model = LocalModel(engine, fmt, States(folder / "kv", engine.info.fingerprint, 1 << 30))
    try:
        yield model
    finally:
        await model.close()


async def grammar(model: LocalModel, *parts: str) -> str:
    """Write a grammar: `<|x|>` is that token, a text in quotes is that text."""
    made = []
    for part in parts:
        ids = await model.engine.tokenizer.encode(part, special=True)
        made.append(f"<[{ids[0]}]>" if part.startswith("<|") else part)
    return "root ::= " + " ".join(made)


async def thinking(model: LocalModel) -> str:
    return await grammar(
        model,
        *("<|channel|>", '"analysis"', "<|message|>", LETTERS, "<|end|>"),
        *("<|start|>", '"assistant"', "<|channel|>", '"final"', "<|message|>", LETTERS),
    )


async def calling(model: LocalModel, recipient: str, text: str) -> str:
    return await grammar(
        model,
        *("<|channel|>", '"analysis"', "<|message|>", LETTERS, "<|end|>"),
        *("<|start|>", '"assistant"', "<|channel|>", f'"commentary to={recipient}"'),
        *("<|message|>", text),
    )


def parts(talk: Talk) -> tuple[type, ...]:
    entry = talk.rows[-1].entry
    assert isinstance(entry, Message)
    return tuple(type(part) for part in entry.parts)


def test_turns_are_exact_and_only_the_new_is_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(tmp_path) as model:
            assert model.format.name == "harmony"
            talk = Talk(model, head="Be brief.")
            said = await thinking(model)
            for count in range(3):
                asked = f"a question of some words, <|end|> number {count}"
                await talk.ask(asked, grammar=said, max_tokens=60)
                assert parts(talk) == (Reasoning, Text)
                assert talk.as_said()
                assert talk.last.exact
                assert talk.last.raw.startswith("<|channel|>analysis<|message|>")
                assert talk.last.ended_by in ("<|return|>", "<|call|>", "<|endoftext|>")
                if not count:  # of system, developer, user and reasoning; what was typed is text
                    (end,) = await model.engine.tokenizer.encode("<|end|>", special=True)
                    assert talk.last.added.count(end) == 4
                if count:  # all but the last answer, which now stands without its reasoning
                    assert "earlier reasoning" in talk.cost.broke
                    assert talk.last.kept > 200

    asyncio.run(run())


def test_a_tool_loop_keeps_the_reasoning_and_reads_only_the_result(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model)
            said = await calling(model, "functions.f", r'"{\"a\": \"" ' + LETTERS + r' "\"}"')
            await talk.ask("what?", grammar=said, max_tokens=60)
            assert parts(talk) == (Reasoning, ToolCall)
            entry = talk.rows[-1].entry
            (call,) = entry.calls
            assert (call.name, call.error) == ("f", None)
            whole = len(talk.last.added)
            talk.add(Message("tool", (ToolResult(call.id, "f", "four"),)))
            await talk.answer(grammar=await thinking(model), max_tokens=60)
            made = talk.last
            assert made.exact
            assert made.grew_from == talk.rows[-3].id
            assert made.kept >= whole - 1  # the end token may not be the one that is written
            result = await model.engine.tokenizer.encode(
                "<|call|><|start|>functions.f to=assistant<|channel|>commentary<|message|>four"
                "<|end|><|start|>assistant",
                special=True,
            )
            assert tuple(result[1:]) == made.added[-made.sampled - len(result) + 1 : -made.sampled]
            await talk.ask("and?", max_tokens=4)  # now both answers lose their reasoning
            assert talk.cost.broke == "the template drops earlier reasoning"
            assert talk.last.exact

    asyncio.run(run())


@pytest.mark.parametrize("tool", ["python", "f"])
def test_a_call_is_whole_where_the_model_ended_it(tmp_path: Path, tool: str) -> None:
    """`<|call|>` ends the reply, so its text never comes: the parser is shown it all the same."""

    async def run() -> None:
        async with loaded(tmp_path) as model:
            said = await calling(model, tool, LETTERS)
            ended: dict[str, str | None] = {}
            for seed in range(12):
                talk = Talk(model)
                await talk.ask("what?", grammar=said, seed=seed, max_tokens=40)
                (call,) = talk.rows[-1].entry.calls
                ended[talk.last.ended_by] = call.error
                if {"<|call|>", "<|endoftext|>"} <= set(ended):
                    break
            if tool == "python":
                assert ended["<|call|>"] is None
                assert ended["<|endoftext|>"] == "the call was cut off"
            else:
                assert "not JSON" in str(ended["<|call|>"])

    asyncio.run(run())


def test_going_on_with_a_cut_off_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(tmp_path) as model:
            talk = Talk(model)
            said = await thinking(model)
            await talk.ask("what?", grammar=said, max_tokens=10)
            first = talk.rows[-1].entry
            assert first.stop == "length"
            await talk.carry_on(max_tokens=20, temperature=1.0)
            assert talk.rows[-1].entry.reasoning.startswith(first.reasoning)
            assert talk.last.timings.prefilled <= 8
            assert talk.last.exact

    asyncio.run(run())


def test_which_models_speak_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(tmp_path) as model:
            file = model.engine.file
            from msgspec.structs import replace

            chatml = "{{ '<|im_start|>' }}{{ messages[0].content }}"
            assert make_format(replace(file, template=chatml)).name == "template"
            assert make_format(file, dialect="plain").name == "plain"
            if TEMPLATE.exists():
                text = TEMPLATE.read_text("utf-8")
                assert make_format(replace(file, template=text)).name == "harmony"
                assert TemplateFormat(text).dialect == "harmony"

    asyncio.run(run())
