"""A model's folder as Hugging Face lays it out, read and checked before anything large is loaded.

folder = read(Path(options.model))
file = folder.describe(options, build="transformers 5.23", vocabulary=vocabulary, ...)
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from palaver.core.errors import UserError
from palaver.core.units import readable
from palaver.engines.child import folders
from palaver.engines.child.options import ModelFile, Options
from palaver.engines.child.threads import allowed, free_cores
from palaver.engines.fingerprint import fingerprint
from palaver.engines.host import headers
from palaver.engines.host.vocabulary import JsonVocabulary
from palaver.engines.own_sampling import of_generation_config

DEFAULT_CONTEXT = 8192


class Folder:
    """What stands in a folder's JSON files and in the headers of its safetensors."""

    def __init__(self, path: Path) -> None:
        """Read it; raises UserError for what is missing, damaged, or a pickle."""
        if not path.is_dir():
            raise UserError(
                f"{path.name} is a file, not a folder with safetensors",
                fix="GGUF files are for the engine llama-cpp",
            )
        self.path = path
        self.config = _json(path / "config.json", needed=True)
        self.generation = _json(path / "generation_config.json")
        self.tokenizer = _json(path / "tokenizer_config.json")
        self.headers = headers.read_all(path)

    @property
    def name(self) -> str:
        """The model's name: org/repo where the folder is one of the hub's cache."""
        for parent in self.path.parents:
            if parent.name.startswith("models--"):
                return parent.name.removeprefix("models--").replace("--", "/")
        return self.path.name

    @property
    def architecture(self) -> str:
        """What the configuration calls the model's type, such as "qwen3"."""
        return str(self.config.get("model_type", ""))

    @cached_property
    def text(self) -> dict[str, Any]:
        """The part of the configuration that is about text, in models of several kinds of input."""
        inner = self.config.get("text_config")
        return inner if isinstance(inner, dict) else self.config

    @property
    def trained(self) -> int:
        """How many tokens of context the model was trained for."""
        found = self.text.get("max_position_embeddings") or self.text.get("n_positions")
        return found if isinstance(found, int) and found > 0 else DEFAULT_CONTEXT

    def context(self, options: Options) -> int:
        """Return the context in tokens; raises UserError for one that the model can't do."""
        wanted = options.context or min(self.trained, DEFAULT_CONTEXT)
        if wanted > self.trained:
            raise UserError(
                f"{self.name} was trained for {self.trained} tokens of context,"
                f" {wanted} were asked for",
                fix=f"use --context {self.trained} or less",
            )
        return wanted

    @property
    def tensors(self) -> list[headers.Tensor]:
        """All tensors of all files."""
        return [tensor for header in self.headers for tensor in header.tensors.values()]

    @property
    def template(self) -> str | None:
        """The model's own chat template: its file, else the one in tokenizer_config.json."""
        file = self.path / "chat_template.jinja"
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
        found = self.tokenizer.get("chat_template")
        if isinstance(found, list):  # several, by name
            named = {t.get("name"): t.get("template") for t in found if isinstance(t, dict)}
            found = named.get("default")
        return found if isinstance(found, str) else None

    def vocabulary(self) -> JsonVocabulary:
        """Read tokenizer.json."""
        adds = self.tokenizer.get("add_bos_token") is True
        found = JsonVocabulary(self.path / "tokenizer.json", adds_bos=adds)
        found.bos_id = found.id_of(self.token("bos")) if self.token("bos") else None
        return found

    def token(self, name: str) -> str:
        """Return the text of the token `bos` or `eos`, or ""."""
        for source in (self.tokenizer, _json(self.path / "special_tokens_map.json")):
            found = source.get(f"{name}_token")
            text = found.get("content") if isinstance(found, dict) else found
            if isinstance(text, str):
                return text
        return ""

    def ends(self, vocabulary: JsonVocabulary) -> frozenset[int]:
        """Return the ids that end a reply: all that one of the files names as such."""
        found = {vocabulary.id_of(self.token("eos"))} if self.token("eos") else set()
        for source in (self.generation, self.config, self.text):
            ids = source.get("eos_token_id")
            found |= set(ids if isinstance(ids, list) else [ids])
        return frozenset(i for i in found if type(i) is int)

    def kv_bytes(self, width: float) -> int:
        """Return the bytes that a token takes in the cache, at `width` bytes a number."""
        t = self.text
        layers = _count(t, "num_hidden_layers", "n_layer")
        heads = _count(t, "num_attention_heads", "n_head")
        kv = _count(t, "num_key_value_heads") or heads
        head = _count(t, "head_dim") or _count(t, "hidden_size", "n_embd") // max(heads, 1)
        return round(2 * layers * kv * head * width)

    def fingerprint(self, options: Options, build: str) -> str:
        """Name everything that a saved state depends on; `build` names the engine's version."""
        cache = Path(options.cache) if options.cache else None
        parts = [build, platform.machine(), str(options.device), str(options.dtype)]
        parts += [str(options.quantize), msgspec.json.encode(self.config, order="sorted").decode()]
        parts.append(fingerprint([(h.path, h.length) for h in self.headers], cache))
        for path, scale in options.loras:
            adapter = headers.read_all(Path(path))
            name = fingerprint([(h.path, h.length) for h in adapter], None)
            parts.append(f"{name}@{scale}")
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()

    def describe(
        self,
        options: Options,
        vocabulary: JsonVocabulary,
        *,
        build: str,
        weights: int,
        kv: int,
        cut_back: bool = True,
        window: int = 0,
    ) -> ModelFile:
        """Say to the engine's client what was loaded; `weights` and `kv` (a token's) in bytes."""
        ends = self.ends(vocabulary)
        return ModelFile(
            name=self.name,
            fingerprint=self.fingerprint(options, build),
            context=self.context(options),
            threads=options.threads or (free_cores() if allowed() > 1 else 1),
            kv_bytes_per_token=kv,
            weights_bytes=weights,
            cut_back=cut_back,
            window=window,
            control=tuple(sorted(vocabulary.control)),
            user_defined=tuple(sorted(vocabulary.free)),
            eog=tuple(sorted(vocabulary.decode([i]) for i in ends)),
            bos=self.token("bos"),
            eos=self.token("eos"),
            bos_id=vocabulary.bos_id,
            prefix_space=vocabulary.prefix_space,
            template=self.template,
            metadata={"general.name": self.name, "general.architecture": self.architecture},
            sampling=of_generation_config(self.generation),
            socket=str(Path(options.folder) / folders.SOCKET),
        )


def check_memory(
    limit_gb: float | None, name: str, context: int, *, weights: int, kv: int, rest: int
) -> None:
    """Raise UserError where a model would take more than `limit_gb` (10^9 bytes).

    `weights` and `rest` (the process and its buffers) are bytes, `kv` is bytes a token.
    """
    need = weights + kv * context + rest
    if limit_gb is None or need <= limit_gb * 1e9:
        return
    fits = int(limit_gb * 1e9 - weights - rest) // max(kv, 1) // 256 * 256
    raise UserError(
        f"{name} with a context of {context:,} tokens needs about {readable(need)} (weights"
        f" {readable(weights)}, cache {readable(kv * context)}, the rest {readable(rest)});"
        f" the limit is {limit_gb:g} GB",
        fix=f"use --context {fits}, which fits, or a larger limit"
        if fits > 0
        else "no context fits: use a smaller model, or a larger limit",
    )


def _count(config: dict[str, Any], *names: str) -> int:
    found: Sequence[Any] = [config[name] for name in names if name in config]
    return found[0] if found and isinstance(found[0], int) else 0


def _json(path: Path, *, needed: bool = False) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        if needed:
            raise UserError(f"{path.parent} has no {path.name}: it is no model's folder") from None
        return {}
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} is no JSON object")
    return found
