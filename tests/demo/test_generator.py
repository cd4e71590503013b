"""palaver-tiny's dialogues: many wordings, nothing held out in them, and rows that keep apart."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest

from palaver.demo import chat, phrasings, values
from palaver.demo.dialogues import dialogues
from palaver.demo.evaluate import wordings
from palaver.demo.requests import INTENTS, request

HAND = Path(__file__).parent.parent / "data" / "handwritten.jsonl"
TABLES = (phrasings.PROMPTS, phrasings.CALLS, phrasings.FIXED)
OTHERS = (phrasings.SCOPE, phrasings.IMPOSSIBLE, phrasings.REPEAT, phrasings.TELL_NAME)
FRAMES = (phrasings.PREFIXES, phrasings.SUFFIXES, phrasings.QUESTION_LEADS)
PATTERNS = [
    p for group in (*(g for t in TABLES for g in t.values()), *OTHERS, *FRAMES) for p in group
]
SLOTS = {"expr", "code", "command", "path", "start", "end", "folder", "q", "pat", "where",
         "name", "place", "thing", "adj", "verb", "city", "n"}  # fmt: skip


def test_every_pattern_can_be_read_and_names_known_slots() -> None:
    rng = random.Random(1)
    for pattern in PATTERNS:
        assert not re.search(r"<\w+>", pattern)
        text = phrasings.pick(rng, phrasings.parse(pattern.removeprefix("!")))
        assert set(re.findall(r"\{(\w+)\}", text)) <= SLOTS


def test_a_pattern_with_brackets_left_open_is_refused() -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        phrasings.parse("what [is|are {q}")


@pytest.mark.parametrize("kind", [*phrasings.PROMPTS, *phrasings.CALLS, *phrasings.FIXED])
def test_every_kind_of_prompt_has_many_wordings(kind: str) -> None:
    patterns = next(t[kind] for t in TABLES if kind in t)
    rng = random.Random(2)
    assert len({phrasings.bare(phrasings.phrase(rng, patterns)) for _ in range(600)}) > 150


def test_every_kind_of_chat_has_its_answer() -> None:
    assert set(phrasings.PROMPTS) == set(chat.ANSWERS)


def test_held_out_words_are_in_no_phrasing() -> None:
    held = set(values.words(True))
    assert len(held) > 200
    texts = [*PATTERNS, *chat.ANSWERS.values(), *chat.SYSTEMS]
    used = {w for t in texts for w in re.findall("[a-z]+", re.sub(r"\{\w+\}", " ", t).lower())}
    assert not held & used


def test_what_was_written_by_hand_is_barred() -> None:
    assert len(HAND.read_text("utf-8").splitlines()) >= 150
    assert wordings(HAND) == phrasings.BARRED


def test_the_generator_writes_nothing_that_is_barred() -> None:
    made = {
        phrasings.bare(m.text)
        for d in itertools.islice(dialogues(99), 5000)
        for m in d.messages
        if m.role == "user"
    }
    assert not phrasings.BARRED & made


def test_a_wording_is_the_same_whatever_its_case_marks_and_slot() -> None:
    assert phrasings.bare("What's in {path}?") == phrasings.bare("whats in '{folder}'")
    assert phrasings.bare("what is in {path}") != phrasings.bare("what is {path}")


@pytest.mark.parametrize("intent", INTENTS)
def test_a_request_holds_the_arguments_of_its_call(intent: str) -> None:
    drawn = values.Values(random.Random(3))
    for _ in range(200):
        wanted = request(drawn, intent)
        if intent not in {"calc", "fixed"}:
            assert all(str(v) in wanted.text for v in wanted.arguments.values())


def test_dialogues_follow_from_their_seed() -> None:
    first = [d.messages for d in itertools.islice(dialogues(12), 300)]
    assert [d.messages for d in itertools.islice(dialogues(12), 300)] == first
    assert [d.messages for d in itertools.islice(dialogues(13), 300)] != first


def test_conversations_in_one_row_do_not_see_each_other() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("tokenizers")
    from tokenizers.pre_tokenizers import ByteLevel

    from palaver.demo.batches import IGNORE, LENGTHS, batch
    from palaver.demo.tokenizer import CONTROL, MARKERS, assemble, load

    plain = load(assemble([*CONTROL, *MARKERS], sorted(ByteLevel.alphabet()), []))
    # without merges a character is a token, so only the longest rows hold whole conversations
    data = batch(plain, 5, 8 * max(LENGTHS), max(LENGTHS), 0.0)
    assert data.ids.shape == (8, max(LENGTHS))
    seen = data.mask[:, 0]
    assert not seen.triu(1).any()
    starts = (data.ids == plain.token_to_id("<|im_start|>")).nonzero()
    assert len(starts)
    marked = data.targets != IGNORE
    assert torch.equal(data.targets[:, :-1][marked[:, :-1]], data.ids[:, 1:][marked[:, :-1]])
    second = seen.sum(-1)  # how many places a place sees: starts again at 1 with a conversation
    assert (second == 1).sum() >= 8
