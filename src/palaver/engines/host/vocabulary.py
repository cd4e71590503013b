"""The tokenizer of a model's folder: its tokenizer.json, as the library `tokenizers` reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from palaver.core.errors import UserError


class JsonVocabulary:
    """A `palaver.engines.host.model.Vocabulary` over a tokenizer.json.

    `control` are texts that become one token, `free` those of them that are found even in plain
    text: whoever asks has to cut them apart.
    """

    def __init__(self, path: Path, *, adds_bos: bool = False) -> None:
        """Read the file; raises UserError where that fails.

        `adds_bos`: prompts begin with BOS even if the file does not say so.
        """
        from tokenizers import Tokenizer

        if not path.is_file():
            raise UserError(
                f"{path.parent} has no tokenizer.json",
                fix="get it with the model; older models have it in newer revisions",
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001  (the library raises bare Exceptions)
            raise UserError(f"{path} can't be used: {error}") from None
        added = self._tokenizer.get_added_tokens_decoder()
        self.file = path
        texts = {i: token for i, token in added.items() if token.content.strip()}
        self._control = {i: token.content for i, token in texts.items()}
        self.control = frozenset(self._control.values())
        self.free = frozenset(token.content for token in texts.values() if not token.special)
        self._begins = self._tokenizer.encode("").ids[:1]
        self._adds_bos = adds_bos
        self.bos_id: int | None = None
        first = self._tokenizer.encode("x", add_special_tokens=False).tokens[:1]
        self.prefix_space = bool(first and first[0].startswith("\u2581"))

    @property
    def size(self) -> int:
        """How many ids there are."""
        return int(self._tokenizer.get_vocab_size())

    def id_of(self, text: str) -> int | None:
        """Return the id of a token's text, None where there is no such token."""
        found: int | None = self._tokenizer.token_to_id(text)
        return found

    def encode(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        """Return the ids of `text`; see `Vocabulary.encode`.

        Raises UserError for a text that would become a control token and must not.
        """
        start = self._beginning() if begin else []
        self._tokenizer.encode_special_tokens = not special
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        if not special:
            for i in ids:
                if i in self._control and self._control[i] not in self.free:
                    said = self._control[i]
                    raise UserError(
                        f"this model can't read {said!r} as plain text", fix="leave it out"
                    )
        return start + ids

    def _beginning(self) -> list[int]:
        if self._adds_bos and self.bos_id is not None:
            return [self.bos_id]
        return list(self._begins)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, control tokens included."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def stream(self, before: Sequence[int]) -> Callable[[int], str]:
        """Return what turns the ids that come after `before` into text, one by one."""
        from tokenizers.decoders import DecodeStream

        # Some decoders drop a text's first blank: a few ids before it keep this from being first.
        stream: Any = DecodeStream(list(before[-4:]), skip_special_tokens=False)
        tokenizer = self._tokenizer

        def step(token: int) -> str:
            return stream.step(tokenizer, token) or ""

        return step
