"""Properties of what is pure: prefixes, what a cache serves, ids of chunks, ids of a chain."""

from __future__ import annotations

import asyncio
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.core.engine import Token
from palaver.core.generation import Generation
from palaver.core.log import Row
from palaver.core.messages import assistant
from palaver.models.ids import ReplyIds, Sampled
from palaver.models.kv import common_prefix, serves
from palaver.models.prompt import all_ids

few = st.lists(st.integers(0, 2), max_size=40)


@given(few, few)
def test_common_prefix_is_what_a_loop_would_count(a, b):
    wanted = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        wanted += 1
    assert common_prefix(a, b) == common_prefix(b, a) == wanted
    assert common_prefix(array("I", a), array("I", b)) == wanted
    assert common_prefix(tuple(a), tuple(b)) == wanted


@given(few, few, few)
def test_a_shared_beginning_only_adds(a, b, head):
    assert common_prefix([*head, *a], [*head, *b]) == len(head) + common_prefix(a, b)


@given(
    st.integers(0, 50), st.integers(0, 50), st.integers(0, 50),
    st.lists(st.integers(1, 50), max_size=4), st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_cache_serves_no_more_than_it_shares(wanted, common, held, marks, cut_back, whole):
    common = min(common, wanted, held)
    tokens = serves(wanted, common, held, marks, cut_back=cut_back, whole=whole)
    assert 0 <= tokens <= common
    if cut_back:
        assert tokens == common
    elif not (whole and common == held):
        assert tokens == 0 or tokens in marks
    assert tokens <= serves(wanted, common, held, marks, cut_back=True, whole=whole)


class Bytes:
    """A tokenizer of bytes with one end token, 256; tokens may split characters."""

    control = frozenset({"<end>"})
    eog = frozenset({"<end>"})
    bos = ""
    bos_id = None

    def __init__(self, wrong: bool = False) -> None:
        self._wrong = wrong

    async def encode(self, text: str, *, special: bool) -> list[int]:
        ids = list(text.encode())
        return [i ^ 1 for i in ids] if self._wrong else ids

    async def decode(self, ids) -> str:
        return "".join("<end>" if i == 256 else chr(i) if i < 128 else "�" for i in ids)


def stream(text: str, *, ended: bool) -> tuple[list[int], list[Token]]:
    """Say `text` a byte a token as llama.cpp does: incomplete characters are held back."""
    ids: list[int] = []
    tokens = []
    for letter in text:
        ids += letter.encode()
        tokens.append(Token(letter, tuple(ids[-1:]), len(ids)))
    if ended:
        ids.append(256)
        tokens.append(Token("", (256,), len(ids)))
    tokens.append(Token("", (), len(ids), stop="end" if ended else "length"))
    return ids, tokens


def resolve(tokens: list[Token], tokenizer: Bytes, cache: list[int] | None, **how) -> Sampled:
    found = ReplyIds()
    for token in tokens:
        found.add(token)

    async def cached() -> list[int] | None:
        return cache

    return asyncio.run(found.resolve([1, 2], tokenizer, cached, **how))


@given(st.text("aé日😀", max_size=12), st.booleans())
def test_held_back_ids_are_found_by_tokenising_again(text, ended):
    ids, tokens = stream(text, ended=ended)
    assert resolve(tokens, Bytes(), None) == Sampled(ids, True, ids[: max(len(ids) - 1, 0)])


@given(st.text("aé日😀", min_size=1, max_size=12), st.booleans())
def test_a_tokenizer_that_disagrees_is_overruled_by_the_cache(text, ended):
    ids, tokens = stream(text, ended=ended)
    split = any(len(letter.encode()) > 1 for letter in text)
    found = resolve(tokens, Bytes(wrong=True), [1, 2, *ids[:-1]])
    assert found == Sampled(ids, True, ids[:-1])
    without = resolve(tokens, Bytes(wrong=True), None)
    assert without.exact == (not split)
    other = resolve(tokens, Bytes(wrong=True), [1, 3, *ids[:-1]])
    assert other.exact == (not split)


@given(st.text("ab", max_size=5), st.integers(1, 3))
def test_a_character_cut_in_two_is_left_out(text, cut):
    ids, tokens = stream(text, ended=False)
    half = list("😀".encode()[:cut])
    tokens[-1] = Token("", (), len(ids) + cut, stop="length")
    found = resolve(tokens, Bytes(), [1, 2, *ids, *half][:-1])
    assert (found.ids, found.exact) == (ids, True)
    assert found.read == [*ids, *half][:-1]


@pytest.mark.parametrize(("last", "exact"), [("b", True), ("bX", False)])
def test_a_token_that_a_stop_string_cut_is_not_exact(last, exact):
    class Pairs(Bytes):
        async def decode(self, ids) -> str:
            return {(7,): "a", (8,): last, (9,): "stop"}[tuple(ids)]

    tokens = [Token("a", (7,), 1), Token("b", (8,), 2), Token("", (9,), 3), Token("", (), 3)]
    found = resolve(tokens, Pairs(), None, stops=True)
    assert found == Sampled([7, 8], exact, [7, 8])


@given(st.lists(st.tuples(st.integers(0, 30), few, st.booleans()), min_size=1, max_size=6))
def test_the_ids_of_a_chain_are_what_each_step_made_of_the_last(steps):
    rows: dict[int, Row] = {}
    wanted: list[int] = []
    for number, (kept, added, rooted) in enumerate(steps):
        grew_from = None if rooted or not number else number - 1
        kept = 0 if grew_from is None else min(kept, len(wanted))
        wanted = [*wanted[:kept], *added]
        made = Generation("e", "m", grew_from=grew_from, kept=kept, added=tuple(added))
        rows[number] = Row(number, 1, None, 0.0, assistant("x"), made)
    last = rows[len(steps) - 1]
    assert all_ids(last, rows) == tuple(wanted)
    if last.generation.grew_from is not None:
        with pytest.raises(KeyError):
            all_ids(last, {})
