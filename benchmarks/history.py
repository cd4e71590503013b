"""A conversation of some thousand tokens with its saved state: made once, copied for each run.

    python benchmarks/history.py [--model X.gguf] [--history N] [--again]

Reading 8,000 tokens of a 0.5B model takes minutes of a core, so the state is kept (see
`support.cache_folder`); how long that took is kept beside it, as the figure for "no reuse".
`--again` measures that figure anew, raw: do it where the machine's load has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from palaver.core.log import Row
from palaver.models.prompt import all_ids
from palaver.sessions.store import Store
from raw import call, complete, engine_socket
from support import PALAVER, Chat, arguments, cache_folder, conditions, environment, model_file

WORDS = (
    "the lighthouse keeper counted ships on the horizon and wrote their names into a book that "
    "nobody would ever read again because the sea had taken the village below the cliff "
)
QUESTION = "what did the keeper write down last night, and who"  # about 20 tokens
ROOM = 1024  # tokens of context beyond the history
BUILT = "built.json"


class Built(msgspec.Struct):
    """How a history came to be: tokens read without reuse, seconds to the first token then."""

    read: int
    seconds: float
    bytes_per_token: int


def flags(model: Path, tokens: int) -> list[str]:
    """Return the flags that the history was made with and is resumed with."""
    context = -(-(tokens + ROOM) // 256) * 256
    return [
        "-m", str(model), "--context", str(context), "--threads", "1", "--max-tokens", "4",
    ]  # fmt: skip


def database(home: Path) -> Path:
    """Return the store below a home folder."""
    return home / ".local/share/palaver/palaver.db"


def states(home: Path) -> list[Path]:
    """Return the saved states below a home folder."""
    return sorted((home / ".local/share/palaver/kv").glob("*.kv"))


def rows(home: Path) -> list[Row]:
    """Return the newest session's path."""
    with Store(database(home), readonly=True) as store:
        return store.path(store.list_sessions(1)[0].id)


def ids(path: list[Row]) -> tuple[list[int], list[int]]:
    """Return the prompt that the newest reply was given to, and that with the reply's ids."""
    last = next(row for row in reversed(path) if row.generation)
    whole = list(all_ids(last, {row.id: row for row in path}))
    assert last.generation
    return whole[: len(whole) - last.generation.sampled], whole


@contextlib.contextmanager
def history(model: Path, tokens: int) -> Iterator[tuple[Path, Built]]:
    """Give a home folder whose newest session holds `tokens` tokens and whose state is saved."""
    kept = _folder(model, tokens)
    if not (kept / BUILT).exists():
        shutil.rmtree(kept, ignore_errors=True)
        made = cache_folder() / f"b{os.getpid()}"  # short: a socket stands below it
        print(f"reading {tokens} tokens once; they are kept in {kept}", flush=True)
        try:
            _build(made, model, tokens)
            made.rename(kept)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    copy = cache_folder() / f"h{os.getpid()}"  # short: a socket stands below it
    try:
        shutil.copytree(kept, copy, copy_function=_copy)
        yield copy, msgspec.json.decode((kept / BUILT).read_bytes(), type=Built)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _copy(source: str, target: str) -> None:
    """Copy a file; a state, which nobody writes to, is linked."""
    if source.endswith(".kv"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _build(home: Path, model: Path, tokens: int) -> None:
    home.mkdir(parents=True)
    env = environment(home)
    given = flags(model, tokens)
    chat = Chat(env, *given, "--no-save", shared=True)
    try:
        chat.loaded(300)
        count = call(engine_socket(home), "POST", "/tokenize", {"content": WORDS})["tokens"]
    finally:
        chat.kill()
    turns = max(2, round(tokens / 2 / 512) * 2)
    each = WORDS * max(1, round(tokens / turns / len(count)))
    said = [
        {"role": ("user", "assistant")[i % 2], "content": f"{i + 1}. {each}".strip()}
        for i in range(turns)
    ]
    file = home / "conversation.json"
    file.write_text(json.dumps(said))
    subprocess.run([PALAVER, "sessions", "import", str(file)], env=env, check=True)
    chat = Chat(env, *given, "--resume", "last")
    try:
        chat.loaded(300)  # from here on palaver may read, before Enter too: all of it is counted
        turn = chat.turn(QUESTION, timeout=3600)
        chat.end(120)
    finally:
        chat.kill()
    prompt, _ = ids(rows(home))
    built = Built(len(prompt), turn.first, _bytes_per_token(model))
    (home / BUILT).write_bytes(msgspec.json.encode(built))
    print(f"{built.read} tokens read in {built.seconds:.1f} s", flush=True)


def _again(model: Path, tokens: int) -> None:
    """Read the same ids into an empty cache by a raw request; keep the seconds that took."""
    with history(model, tokens) as (home, built):
        prompt, _ = ids(rows(home))
        chat = Chat(environment(home), *flags(model, tokens), "--no-save", shared=True)
        try:
            chat.loaded(300)
            read = complete(engine_socket(home), prompt, 1)
        finally:
            chat.kill()
    built = Built(read.read, read.first, built.bytes_per_token)
    (_folder(model, tokens) / BUILT).write_bytes(msgspec.json.encode(built))


def _folder(model: Path, tokens: int) -> Path:
    return cache_folder() / f"history-{model.stem}-{model.stat().st_size}-{tokens}"


def _bytes_per_token(model: Path) -> int:
    from palaver.engines.llama_cpp import gguf

    return gguf.read(model).kv_bytes_per_token("f16")


def main() -> None:
    """Make the history if it is not there."""
    parser = arguments(__doc__, rounds=1, model=True)
    parser.add_argument("--history", type=int, default=8000, help="tokens (8000)")
    parser.add_argument("--again", action="store_true", help="time reading it once more")
    asked = parser.parse_args()
    conditions()
    if asked.again:
        _again(model_file(asked.model), asked.history)
    with history(model_file(asked.model), asked.history) as (home, built):
        print(f"{len(rows(home))} entries, {built.read} tokens, {built.seconds:.1f} s to read them")


if __name__ == "__main__":
    main()
