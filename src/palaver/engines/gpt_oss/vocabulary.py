"""gpt-oss's tokenizer, made of the vocabulary file, for checkpoints that bring none.

The file has tokens by rank and no merges. Byte-pair encoding by ranks joins the two neighbours
whose union has the lowest rank; the same comes out with a merge for every pair of tokens whose
union is a token, ordered by that token's rank.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from palaver.config import environment
from palaver.engines import o200k

# What o200k_base calls a word, and Harmony's control tokens:
# https://github.com/openai/harmony (`src/tiktoken_ext/public_encodings.rs`)
_END = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_WORDS = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_END}",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_END}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_NAMED = {
    199998: "startoftext", 199999: "endoftext", 200002: "return", 200003: "constrain",
    200005: "channel", 200006: "start", 200007: "end", 200008: "message", 200012: "call",
    200018: "endofprompt",
}  # fmt: skip
_SIZE = 201_088  # with control tokens


def make(folder: Path) -> Path:
    """Return `folder`/tokenizer.json; it is made where it is not there, which takes seconds.

    The vocabulary file is looked for, and downloaded if need be, by `palaver.engines.o200k`.
    """
    path = folder / "tokenizer.json"
    if not path.exists():
        source = o200k.find(folder, base=environment.encodings_base()) / o200k.FILE
        lines = source.read_bytes().splitlines()
        text = json.dumps(tokenizer([base64.b64decode(line.split()[0]) for line in lines]))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = folder / f"tokenizer.{os.getpid()}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    return path


def tokenizer(tokens: list[bytes]) -> dict[str, object]:
    """Return what a tokenizer.json says, of the tokens by rank."""
    stand_ins = o200k.stand_ins()
    written = ["".join(stand_ins[byte] for byte in token) for token in tokens]
    ranks = {text: rank for rank, text in enumerate(written)}
    merges = [
        (text[:cut], text[cut:])
        for text in written
        for cut in range(1, len(text))
        if text[:cut] in ranks and text[cut:] in ranks
    ]
    control = [
        {"id": n, "content": f"<|{_NAMED.get(n, f'reserved_{n}')}|>", "special": True,
         "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        for n in range(len(tokens), _SIZE)
    ]  # fmt: skip
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    words = {"type": "Split", "pattern": {"Regex": _WORDS}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "added_tokens": control,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [words, {**bytes_only, "use_regex": False}],
        },
        "post_processor": None,
        "decoder": {**bytes_only, "use_regex": False},
        "model": {"type": "BPE", "vocab": ranks, "merges": merges, "ignore_merges": True},
    }
