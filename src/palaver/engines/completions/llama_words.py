"""What a llama-server says of its model, and its control tokens, found out by asking.

It lists its tokens, but not which of them are control tokens. Those are found as they behave:
their text becomes the token where control tokens are looked for, and does not where they are not.
Text that looks like a mark and is found all the same, as llama.cpp does with "user-defined"
tokens, must be cut apart where it is to stay text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from palaver.core.errors import UserError
from palaver.engines.child.options import ModelFile
from palaver.engines.child.tokenizer import Call, adds_bos
from palaver.engines.llama_cpp import vocabulary
from palaver.remote import address
from palaver.remote.server import Server

_BLOCK = 16384  # tokens of a request
_MARK = re.compile(r"[<\[].*[^\W\d_].*[>\]]", re.DOTALL)  # what a vocabulary calls user-defined


async def of_llama_server(
    server: Server, name: str, context: int | None
) -> tuple[ModelFile, Call, int]:
    """Ask the server about the model `name`, and how many slots it has.

    `context` may be less than it has.

    Raises UserError, EngineError.
    """

    async def call(method: str, path: str, body: Any) -> Any:
        return await server.ask(method, address.root(server.url) + path, body)

    props = await call("GET", "/props", None)
    meta = await _meta(server, name)
    pieces = await _pieces(server, call, meta.get("n_vocab"))
    bos, eos = (_text(props, f"{which}_token") for which in ("bos", "eos"))
    control, marks = await _special(server, call, pieces, eos or bos)
    eog, kept = vocabulary.ends(set(control), {eos} & set(control))
    key = json.dumps([server.url, name, props.get("model_path"), meta, pieces])
    bos_id = control.get(bos)
    file = ModelFile(
        name=Path(name).stem if name.endswith(".gguf") else name,
        fingerprint=hashlib.blake2b(key.encode(), digest_size=16).hexdigest(),
        context=_context(server, props, context),
        threads=0,
        kv_bytes_per_token=0,
        weights_bytes=0,
        cut_back=True,
        window=0,
        control=tuple(sorted(control)),
        user_defined=tuple(sorted(marks | (eog - kept))),
        eog=tuple(sorted(kept)),
        bos=bos,
        eos=eos,
        bos_id=bos_id if await adds_bos(call, bos_id) else None,
        prefix_space=len(await _ids(call, "\n", special=False)) > 1,
        template=_text(props, "chat_template") or None,
        metadata={"general.name": name},
    )
    slots = props.get("total_slots")
    return file, call, slots if isinstance(slots, int) and slots > 0 else 1


async def _meta(server: Server, name: str) -> dict[str, Any]:
    """Return what the list of models says of the model itself: its vocabulary's size, and more."""
    answer = await server.get("/models")
    for entry in answer.get("data", ()) if isinstance(answer, dict) else ():
        if entry.get("id") == name and isinstance(entry.get("meta"), dict):
            return dict(entry["meta"])
    raise _silent(server, "its vocabulary")


async def _pieces(server: Server, call: Call, count: object) -> list[str]:
    """Return the texts of all `count` tokens; "" where a token is no whole text."""
    pieces: list[str] = []
    for start in range(0, count if isinstance(count, int) else 0, _BLOCK):
        block = list(range(start, start + _BLOCK))[: int(str(count)) - start]
        answer = await call("POST", "/tokenize", {"content": block, "with_pieces": True})
        found = [one.get("piece") if isinstance(one, dict) else "" for one in answer["tokens"]]
        pieces += [piece if isinstance(piece, str) else "" for piece in found]
    if len(pieces) != count or not any(pieces):
        raise _silent(server, "its vocabulary")
    return pieces


async def _special(
    server: Server, call: Call, pieces: Sequence[str], between: str
) -> tuple[dict[str, int], set[str]]:
    """Find the control tokens and their ids, and those marks among them that any text may hold.

    `between` is the text of a control token, which keeps texts apart that are asked together.
    """
    found = await _ids(call, between, special=True)
    if len(found) != 1:
        raise _silent(server, "a token that ends a text")
    ids = {i: text for i, text in enumerate(pieces) if len(text.strip()) > 1 and text != between}
    plain = await _each(server, call, list(ids.values()), found[0], special=False)
    itself = {i for i, said in zip(ids, plain, strict=True) if said == [i]}
    others = {i: text for i, text in ids.items() if i not in itself}
    special = await _each(server, call, list(others.values()), found[0], special=True)
    pairs = zip(others.items(), special, strict=True)
    control = {text: i for (i, text), said in pairs if said == [i]}
    marks = {ids[i]: i for i in itself if _MARK.fullmatch(ids[i].strip())}
    return {between: found[0], **control, **marks}, set(marks)


async def _each(
    server: Server, call: Call, texts: Sequence[str], end: int, *, special: bool
) -> list[list[int]]:
    """Tokenise each of the texts for itself; the token `end` stands in none of them."""
    found: list[list[int]] = []
    for start in range(0, len(texts), _BLOCK):
        content = [part for text in texts[start : start + _BLOCK] for part in (text, end)]
        asked = {"content": content, "parse_special": special}
        said: list[int] = (await call("POST", "/tokenize", asked))["tokens"]
        at = 0
        for i, token in enumerate(said):
            if token == end:
                found.append(said[at:i])
                at = i + 1
    if len(found) != len(texts):
        raise _silent(server, "how it cuts texts")
    return found


async def _ids(call: Call, text: str, *, special: bool) -> list[int]:
    answer = await call("POST", "/tokenize", {"content": text, "parse_special": special})
    return list(answer["tokens"])


def _context(server: Server, props: dict[str, Any], wanted: int | None) -> int:
    settings = props.get("default_generation_settings")
    room = settings.get("n_ctx") if isinstance(settings, dict) else None
    if not isinstance(room, int):
        raise _silent(server, "its context")
    if wanted is not None and wanted > room:
        raise UserError(f"{server.name} serves {room} tokens of context, not {wanted}")
    return wanted or room


def _text(props: dict[str, Any], name: str) -> str:
    found = props.get(name)
    return found if isinstance(found, str) else ""


def _silent(server: Server, what: str) -> UserError:
    return UserError(
        f"{server.name} does not say {what}: it may be too old",
        fix="use a newer llama-server, or -e chat-endpoint",
    )
