"""The vocabulary: byte-level BPE whose merges keep values in the same pieces everywhere.

Copying is what this model does, so a path must have the same tokens in the user's message,
inside JSON quotes and in the answer. The merges are learned on text cut so that none crosses
from letters to anything else; by hand are added numbers of up to three digits, file extensions,
the joints of JSON, and "space + word" for words of the phrasings, which are seldom values.
The result is an ordinary BPE of the type that llama.cpp calls `llama-bpe` (Llama 3's split).
"""
# ruff: noqa: E501  (tables are easier to keep in long lines)

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from palaver.demo import chat, phrasings
from palaver.demo.dialogues import dialogues
from palaver.demo.render import segments
from palaver.demo.values import EXTENSIONS, words

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>")  # fmt: skip
END = 2  # <|im_end|>
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
STRICT = r"\p{L}+|\p{N}|[^\p{L}\p{N}]"
JOINTS = (
    ('"', "}"), ("}", "}"), ('"}', "}"), ('"}}', "Ċ"), ("}}", "Ċ"), ("{", '"'), ('"', ":"), ('"', ","),
    ("Ġ", '"'), ("Ġ", '{"'), ("Ġ", "{"), ("Ġ{", "}}Ċ"), ("Ġ", "-"), ("Ġ", "("), ("(", ")"), ("'", ")"), ("(", "'"),
    ("?", ")"), ("?", ","), ("Ċ", "Ċ"), (")", "Ċ"), ("()", "Ċ"), ("?)", "Ċ"),
)  # fmt: skip


def phrase_words() -> Counter[str]:
    """Count the words of prompts and answers, which are written with their space as one token."""
    texts: list[str] = [*chat.ANSWERS.values(), chat.DECLINE, chat.OUT_OF_SCOPE, *chat.SYSTEMS] * 2
    for table in (phrasings.PROMPTS, phrasings.CALLS, phrasings.FIXED):
        for patterns in table.values():
            texts += patterns
    texts += [*phrasings.TELL_NAME, *phrasings.REPEAT, *phrasings.SCOPE, *phrasings.IMPOSSIBLE]
    texts += [*phrasings.PREFIXES, *phrasings.SUFFIXES]
    texts += [
        "The result is The output begins with The file says The first match is in That failed"
    ] * 9
    found: Counter[str] = Counter()
    for text in texts:
        found.update(re.findall(r"(?<![\w/{])[A-Za-z]+(?![\w}])", re.sub(r"\{\w+\}", "{}", text)))
    values = set(words(False)) | set(words(True))
    return Counter({w: n for w, n in found.items() if w not in values})


def build(learned: int, spaced: int, sample: int = 40_000) -> dict[str, Any]:
    """Learn the vocabulary; return it as the content of a `tokenizer.json`."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(STRICT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=256 + learned, initial_alphabet=alphabet, show_progress=False, min_frequency=8
    )
    raw.train_from_iterator(_corpus(sample), trainer)
    merges: list[tuple[str, str]] = [tuple(m) for m in json.loads(raw.to_str())["model"]["merges"]]
    known = set(alphabet) | {a + b for a, b in merges}

    def add(left: str, right: str) -> None:
        if left in known and right in known and left + right not in known:
            merges.append((left, right))
            known.add(left + right)

    for a, b in itertools.product("0123456789", repeat=2):
        add(a, b)
    for a, b, c in itertools.product("0123456789", repeat=3):
        add(a + b, c)
    for left, right in JOINTS:
        add(left, right)
    whole = [*EXTENSIONS, *("Ġ" + w for w, _ in phrase_words().most_common(spaced))]
    return assemble([*CONTROL, *MARKERS], alphabet, merges, [w for w in whole if w not in known])


def assemble(
    special: Sequence[str],
    alphabet: Sequence[str],
    merges: Sequence[tuple[str, str]],
    whole: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the content of a `tokenizer.json` from its parts.

    `whole` tokens have no merge: they stand only where a piece of the split is just that.
    """
    tokens = [*special, *alphabet, *dict.fromkeys(a + b for a, b in merges), *whole]
    added = [
        {"id": i, "content": s, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": s in CONTROL}
        for i, s in enumerate(special)
    ]  # fmt: skip
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}, level]},
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [list(m) for m in merges]},
    }  # fmt: skip


def _corpus(sample: int) -> Iterable[str]:
    for dialogue in itertools.islice(dialogues(7), sample):
        yield "".join(text for text, _ in segments(dialogue.messages, dialogue.tools))


def load(content: dict[str, Any]) -> Any:
    """Make a `tokenizers.Tokenizer` from the content of a `tokenizer.json`."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps(content))
