"""What the control tokens and the template of a server's model are, and its tokenizer.

The server says it (vLLM with --enable-tokenizer-info-endpoint), or a folder with the model's
tokenizer.json, tokenizer_config.json and chat_template.jinja does. Without the control tokens a
user's text could become one, so that there is no third way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from palaver.core.errors import EngineError, UserError
from palaver.engines.child.options import ModelFile
from palaver.engines.child.tokenizer import Call
from palaver.remote import address
from palaver.remote.errors import RefusedError
from palaver.remote.listing import Listed
from palaver.remote.server import Server

USUAL_CONTEXT = 8192
# Texts that end a reply in models whose tokenizer's configuration names one end alone.
_ENDS = frozenset(
    """<|eot_id|> <|eom_id|> <|im_end|> <|end|> <|return|> <|call|> <end_of_turn> <|endoftext|>
    <|end_of_text|> </s> <eos>""".split()  # noqa: SIM905
)
_FILES = ("tokenizer_config.json", "generation_config.json")


async def of_server(server: Server, listed: Listed) -> tuple[ModelFile, Call]:
    """Ask the server. Raises UserError where it does not say, EngineError where it fails."""
    try:
        said = await server.ask("GET", address.root(server.url) + "/tokenizer_info", limit=10)
    except RefusedError as error:
        raise UserError(
            f"{server.name} does not say what control tokens {listed.name} has: {error.said}",
            fix="start it with --enable-tokenizer-info-endpoint, name a folder with the model's"
            " tokenizer.json (tokenizer = PATH), or use -e chat-endpoint",
        ) from None
    config = said if isinstance(said, dict) else {}
    added = config.get("added_tokens_decoder")
    if not isinstance(added, dict):
        raise EngineError(f"{server.name}/tokenizer_info names no tokens")
    # Versions differ: a token is its text, or an object that has it.
    tokens = {int(i): _token(t) for i, t in added.items() if str(i).isdigit()}

    async def call(_method: str, path: str, body: Any) -> Any:
        where = address.root(server.url) + path
        if path == "/detokenize":
            asked = {"model": listed.name, "tokens": body["tokens"]}
            return {"content": (await server.ask("POST", where, asked))["prompt"]}
        asked = {"model": listed.name, "prompt": body["content"]}
        begin = bool(body.get("add_special"))
        return await server.ask("POST", where, {**asked, "add_special_tokens": begin})

    # It finds control tokens in every text: whoever asks cuts those apart that are to be text.
    everywhere = frozenset(text for text in tokens.values() if text.strip())
    begins = (await call("POST", "/tokenize", {"content": "\n"}))["tokens"]
    prefix = len(begins) > 1  # a blank of its own before every text
    file = _describe(listed, server, config, tokens, everywhere, prefix)
    return await _beginning(file, call), call


async def of_folder(folder: Path, server: Server, listed: Listed) -> tuple[ModelFile, Call]:
    """Read a folder's files. Raises UserError for what is missing or damaged."""
    from palaver.engines.host.vocabulary import JsonVocabulary

    folder = folder if folder.is_dir() else folder.parent
    config, generation = (_json(folder / name) for name in _FILES)
    path = folder / "tokenizer.json"
    words = JsonVocabulary(path, adds_bos=config.get("add_bos_token") is True)
    words.bos_id = words.id_of(_token(config.get("bos_token")))
    template = folder / "chat_template.jinja"
    if template.is_file():
        config["chat_template"] = template.read_text(encoding="utf-8", errors="replace")
    added = _json(path).get("added_tokens") or []
    tokens = {t["id"]: _token(t) for t in added if isinstance(t, dict) and "id" in t}
    config["ends"] = generation.get("eos_token_id")

    async def call(_method: str, path: str, body: Any) -> Any:
        if path == "/detokenize":
            return {"content": words.decode(body["tokens"])}
        special, begin = body.get("parse_special", True), bool(body.get("add_special"))
        return {"tokens": words.encode(body["content"], special=special, begin=begin)}

    file = _describe(listed, server, config, tokens, words.free, words.prefix_space)
    return await _beginning(file, call), call


async def _beginning(file: ModelFile, call: Call) -> ModelFile:
    """Find out whether prompts begin with BOS: that is in a tokenizer's code, not in its words."""
    texts = ({"content": "x", "add_special": begin} for begin in (True, False))
    whole, bare = [(await call("POST", "/tokenize", text))["tokens"] for text in texts]
    begins = whole[:1] == [file.bos_id] and whole != bare
    return file if begins else msgspec.structs.replace(file, bos_id=None)


def _describe(
    listed: Listed,
    server: Server,
    config: Mapping[str, Any],
    tokens: Mapping[int, str],
    found: frozenset[str],
    prefix_space: bool,
) -> ModelFile:
    texts = {i: text for i, text in tokens.items() if text.strip()}
    control = frozenset(texts.values())
    bos, eos = (_token(config.get(f"{name}_token")) for name in ("bos", "eos"))
    ids = config.get("ends")
    named = {texts[i] for i in (ids if isinstance(ids, list) else [ids]) if i in texts}
    key = json.dumps([server.url, listed.name, sorted(texts.items())])
    return ModelFile(
        name=listed.name,
        fingerprint=hashlib.blake2b(key.encode(), digest_size=16).hexdigest(),
        context=listed.context or USUAL_CONTEXT,
        threads=0,
        kv_bytes_per_token=0,
        weights_bytes=0,
        cut_back=True,
        window=0,
        control=tuple(sorted(control)),
        user_defined=tuple(sorted(found)),
        eog=tuple(sorted((({eos} | _ENDS) & control) | named)),
        bos=bos,
        eos=eos,
        bos_id=next((i for i, text in texts.items() if text == bos), None),
        prefix_space=prefix_space,
        template=_template(config.get("chat_template")),
        metadata={"general.name": listed.name},
    )


def _token(value: Any) -> str:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _template(value: Any) -> str | None:
    if isinstance(value, list):  # several, by name
        named = {t.get("name"): t.get("template") for t in value if isinstance(t, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read: {error}") from None
    return found if isinstance(found, dict) else {}
