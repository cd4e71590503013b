"""A model file, read and checked in Python before native code is given it.

    model = read(Path("model.gguf"))      # UserError: file, reason and what to do
    model.metadata["general.name"], model.tensors, model.control_tokens(), model.fingerprint(dir)

Reading a header with 150,000 tokens takes some tens of milliseconds; the lists of tokens and
merges are only stepped over until somebody asks for them.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from palaver.core.errors import UserError
from palaver.engines.fingerprint import fingerprint
from palaver.engines.llama_cpp import gguf_check, gguf_kinds, gguf_layers, gguf_parse
from palaver.engines.llama_cpp.gguf_parse import Array, Bad, TensorInfo
from palaver.engines.llama_cpp.gguf_types import FILE_TYPES, KV_TYPES

__all__ = ["Array", "Gguf", "TensorInfo", "read"]

_SPLIT = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4  # token types


def read(path: Path, *, adapter: bool = False) -> Gguf:
    """Read and check a model; with `adapter` a LoRA adapter. A split model is named by part 1.

    Raises UserError naming the file, the reason and what to do.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise Bad("is a folder", "Name a .gguf file in it.")
        gguf_kinds.look(path)
        heads = _heads(path)
        tensors = tuple(t for _, head in heads for t in head.tensors)
        gguf_check.check(heads[0][1], tensors, adapter=adapter)
    except Bad as bad:
        raise UserError(f"{path}: {bad.reason}", fix=bad.fix) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: {reason}", fix="Check the path and its rights.") from None
    return Gguf(heads, tensors)


class Gguf:
    """A checked model: metadata, tensors and what follows from them.

    `metadata` maps keys to str, int, float, bool or `Array`. `files` are the model's parts.
    """

    def __init__(
        self, heads: list[tuple[Path, gguf_parse.Header]], tensors: tuple[TensorInfo, ...]
    ) -> None:
        self.path = heads[0][0]
        self.files = tuple(path for path, _ in heads)
        self.size = sum(head.size for _, head in heads)
        self.version = heads[0][1].version
        self.metadata: dict[str, Any] = heads[0][1].metadata
        self.tensors = tensors
        self.architecture: str = self.metadata["general.architecture"]
        self._headers = [(path, head.data_start) for path, head in heads]

    def key(self, name: str, default: Any = None) -> Any:
        """Return the value of `name` after the architecture's prefix."""
        return self.metadata.get(f"{self.architecture}.{name}", default)

    @property
    def name(self) -> str:
        """What the file calls its model, or the file's own name."""
        return str(self.metadata.get("general.name") or self.path.stem)

    @property
    def layers(self) -> int:
        """The number of layers."""
        return int(self.key("block_count"))

    @property
    def context_length(self) -> int:
        """The number of tokens that the model was trained on."""
        return int(self.key("context_length"))

    @property
    def vocabulary(self) -> int:
        """The number of tokens it knows."""
        return len(self.metadata["tokenizer.ggml.tokens"])

    @property
    def chat_template(self) -> str | None:
        """The Jinja template of its conversations, if it has one."""
        template = self.metadata.get("tokenizer.chat_template")
        return template if isinstance(template, str) and template else None

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(t.values for t in self.tensors)

    @property
    def quantisation(self) -> str:
        """The name of the quantisation, from the metadata or from what most weights have."""
        named = FILE_TYPES.get(self.metadata.get("general.file_type", -1))
        if named:
            return named
        by_type: Counter[str] = Counter()
        for tensor in self.tensors:
            by_type[tensor.type] += tensor.values
        return by_type.most_common(1)[0][0]

    def tokens(self) -> list[str]:
        """Return the tokens' texts, by id, as the tokenizer has them (GPT-2's stand-ins)."""
        return list(self.metadata["tokenizer.ggml.tokens"])

    def token_types(self) -> list[int]:
        """Return token types by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 6 byte."""
        types = self.metadata.get("tokenizer.ggml.token_type")
        return list(types) if types is not None else [1] * self.vocabulary

    def control_tokens(self) -> frozenset[str]:
        """Return the texts that stand for one token of the template: control, user-defined.

        Those of the type "unknown" are among them where they are written as such tokens are.
        """
        found = set()
        for text, kind in zip(self.tokens(), self.token_types(), strict=True):
            marked = kind == UNKNOWN and text.startswith("<") and text.endswith(">")
            if text and (marked or kind in (CONTROL, USER_DEFINED)):
                found.add(text)
        return frozenset(found)

    def kept(self) -> list[gguf_layers.Layer]:
        """Return what each layer keeps for a conversation."""
        return gguf_layers.layers(self.metadata, self.architecture)

    @property
    def can_cut_back(self) -> bool:
        """Whether a cache can be cut at any place: no window and no recurrent state."""
        return all(not layer.window and not layer.state for layer in self.kept())

    def kv_bytes_per_token(self, kv_type: str = "f16") -> int:
        """Return the bytes of the cache that one more token takes in all layers that keep it."""
        width = KV_TYPES[kv_type]
        return round(sum((layer.k + layer.v) * width for layer in self.kept()))

    def fingerprint(self, folder: Path | None) -> str:
        """Return a name for the content; remembered in a small file in `folder`, if given."""
        return fingerprint(self._headers, folder)


def _heads(path: Path) -> list[tuple[Path, gguf_parse.Header]]:
    """Read the header of the file, and those of its other parts if it is split."""
    first = gguf_parse.parse(path)
    count = first.metadata.get("split.count", 0)
    if not isinstance(count, int) or count < 2:
        return [(path, first)]
    named = _SPLIT.fullmatch(path.name)
    if not named or int(named[3]) != count:
        wanted = f"name-00001-of-{count:05}.gguf"
        raise Bad(f"it is one of {count} parts, which must be called {wanted}", "Rename the parts.")
    parts = [path.with_name(f"{named[1]}-{i:05}-of-{named[3]}.gguf") for i in range(1, count + 1)]
    if first.metadata.get("split.no") != 0 or path != parts[0]:
        raise Bad(f"is a later part of {count}", f"Name the first one: {parts[0].name}")
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise Bad(f"its parts {', '.join(missing)} are missing", "Download them beside it.")
    heads = [(path, first)]
    for i, part in enumerate(parts[1:], 1):
        gguf_kinds.look(part)
        head = gguf_parse.parse(part)
        if head.metadata.get("split.no") != i or head.metadata.get("split.count") != count:
            raise Bad(f"{part.name} is not part {i + 1} of it")
        heads.append((part, head))
    found = sum(len(head.tensors) for _, head in heads)
    if first.metadata.get("split.tensors.count", found) != found:
        raise Bad(f"its parts have {found} tensors, its metadata say otherwise")
    if len({t.name for _, head in heads for t in head.tensors}) != found:
        raise Bad("two of its parts hold the same tensor")
    return heads
