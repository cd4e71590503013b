"""What a model has to do for the host: everything else is done once, for all engines.

An engine's module has a function `open_model(options, say) -> HostedModel`. It checks the files
and the settings first (UserError: what is wrong and what to do, before anything large is read),
then loads. `say(text)` is a line for the user while that takes long. A kind in
`palaver.engines.kinds` names the module; the host imports it, nobody else does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from palaver.engines.child.options import ModelFile

Say = Callable[[str], None]


class Vocabulary(Protocol):
    """The model's tokenizer; `palaver.engines.host.vocabulary` reads a tokenizer.json."""

    file: Path  # that tokenizer.json

    @property
    def size(self) -> int:
        """How many ids it has; the model may have more."""

    def encode(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        """Return the ids of `text`.

        With `special` texts of control tokens become their token, without it never. `begin`
        puts the token before it that the tokenizer begins every prompt with, if it does.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, control tokens included."""

    def stream(self, before: Sequence[int]) -> Callable[[int], str]:
        """Return what turns the ids that come after `before` into text, one by one.

        It returns "" while a character is incomplete; the pieces together are the text.
        """


class HostedModel(Protocol):
    """A blocking model with its KV cache, used by one thread of the host process.

    The host keeps book of the ids in the cache: it crops to what a prompt shares with them and
    gives only the rest, in chunks. Any exception of a call is reported as the engine's failure.
    """

    file: ModelFile  # what the engine's client learns; its `socket` and `port` are the host's
    vocabulary: Vocabulary
    tokens: int  # ids are below this: the rows of the embedding
    ends: frozenset[int]  # ids that end a reply

    def forward(self, ids: Sequence[int]) -> Any:
        """Run `ids` after what the cache holds; return the last position's logits.

        They are a numpy array of float32, as long as the vocabulary, that the caller may change.
        """

    def crop(self, length: int) -> int:
        """Cut the cache back to at most `length` tokens; return how many are left.

        That is fewer, down to 0, where the cache can't be cut at that place.
        """

    def save(self, path: Path, ids: Sequence[int]) -> None:
        """Write the cache and the `ids` that it holds to a file.

        The file is safetensors with a tensor "ids" (U32) first, so that others can read the ids
        without the engine (`palaver.models.kv.ids_of`).
        """

    def restore(self, path: Path) -> list[int]:
        """Replace the cache by a file's; return the ids that it holds now.

        The caller has checked that the file is whole and of this engine's fingerprint. Raises
        any error where it does not fit; the cache is empty then.
        """
