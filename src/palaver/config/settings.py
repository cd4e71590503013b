"""The settings and config.toml: closed keys, an unknown one is an error with the nearest name.

Nothing here imports more than the standard library, because it runs before the prompt is drawn.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palaver.config import backends
from palaver.config.paths import config_dir
from palaver.core.errors import UserError

STATUS_FIELDS = ("model", "context", "cost", "session", "turns", "threads")
SAMPLING = (  # how an answer is drawn
    "max_tokens", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed", "stop",
)  # fmt: skip
MOST = (1 << 31) - 1  # what engines take as a number
LEAST_CONTEXT = 64  # tokens; llama.cpp rounds up to 256


def _key(default: Any, help_: str, *, secret: bool = False) -> Any:
    metadata = {"help": help_, "secret": secret}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Everything that can be set; a field's name is its key. None means unset, which is not 0."""

    model: str | None = _key(None, "model to load: a path, a folder, org/repo[:quant] or a name")
    engine: str | None = _key(None, "engine that runs the model, or a backend (default: what fits)")
    endpoint: str | None = _key(None, "address of an OpenAI-compatible server that has the model")
    endpoint_key: str | None = _key(None, "the server's key", secret=True)
    key_env: str | None = _key(None, "environment variable that holds the server's key")
    endpoint_idle: float = _key(300.0, "seconds that the server may say nothing")
    continues: str | None = _key(None, "how it goes on with a text: trailing, vllm, prefix or no")
    tokenizer: str | None = _key(None, "folder with the tokenizer.json of a completions server")
    context: int | None = _key(None, "context size in tokens (default: the model's, at most 8192)")
    threads: int | None = _key(None, "threads for the engine (default: measured)")
    memory_limit: float | None = _key(None, "refuse models that would take more than this, in GB")
    kv_type: str = _key("f16", "type of the KV cache: f16, or q8_0 (half the memory, less exact)")
    kv_disk_gb: float = _key(8.0, "room for saved states on disk, in GiB")
    llama_server: str | None = _key(None, "path of a llama-server binary to use instead")
    vllm: str | None = _key(None, "path of the vllm program (default: that of PATH)")
    vllm_args: list[str] = _key([], "more arguments of `vllm serve`")
    tensor_parallel: int | None = _key(None, "GPUs or processes that share one model")
    device: str | None = _key(None, "where torch runs: cpu, cuda, cuda:1, mps, auto (all GPUs)")
    dtype: str | None = _key(None, "torch's number type: float32, bfloat16, float16 (the model's)")
    quantize: str | None = _key(None, "quantise while loading with torch: 8bit or 4bit")
    dialect: str | None = _key(None, "how the model writes calls (default: as its template does)")
    lora: list[str] = _key([], "LoRA adapters: paths, or path=scale")
    system: str | None = _key(None, "system prompt of new conversations")
    reasoning_effort: str | None = _key(None, "how long a model thinks: low, medium or high")
    max_tokens: int | None = _key(2048, "most tokens of an answer")
    temperature: float | None = _key(None, "sampling temperature (default: the model's, else 0.4)")
    top_k: int | None = _key(None, "sample from this many best tokens")
    top_p: float | None = _key(None, "sample from the best tokens with this probability together")
    min_p: float | None = _key(None, "drop tokens less likely than this times the best")
    repeat_penalty: float | None = _key(None, "make tokens of the last 64 less likely")
    seed: int | None = _key(None, "seed of sampling")
    stop: list[str] = _key([], "texts that end an answer")
    tools: str = _key("auto", "tools that the model may call: auto, on, off, or their names")
    max_tool_rounds: int = _key(8, "how often a turn may use tools")
    output: str | None = _key(None, "file that conversations are captured to, as training records")
    kb: str | None = _key(None, "knowledge base for signed records (needs kernel)")
    kernel: str | None = _key(None, "kernel for signed records (needs kb)")
    editing: str = _key("emacs", "keys of the input line: emacs or vi")
    farewells: list[str] = _key([], 'lines that leave the chat, such as "bye"')
    status: str = _key("{model}  {context}  {cost}", "template of the status line")
    hub_token: str | None = _key(None, "token for gated models of the hub", secret=True)

    def __post_init__(self) -> None:
        """Check values that only some of make sense; raises UserError."""
        _one_of("kv_type", self.kv_type, ("f16", "q8_0", "f32", "bf16"))
        _one_of("editing", self.editing, ("emacs", "vi"))
        for name, allowed in (
            ("reasoning_effort", ("low", "medium", "high")),
            ("dtype", ("float32", "bfloat16", "float16")),
            ("quantize", ("8bit", "4bit")),
            ("continues", ("trailing", "vllm", "prefix", "no")),
        ):
            if (value := getattr(self, name)) is not None:
                _one_of(name, value, allowed)
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and value > 1:
                raise UserError(f"{name} = {value}: is a probability, at most 1")
        if self.context is not None and self.context < LEAST_CONTEXT:
            raise UserError(f"context = {self.context}: must be at least {LEAST_CONTEXT} tokens")
        for name in ("threads", "max_tokens", "max_tool_rounds", "tensor_parallel"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} = {value}: must be at least 1")
            if value is not None and value > MOST:
                raise UserError(f"{name} = {value}: must be at most {MOST}")
        processors = os.cpu_count() or 1
        if self.threads is not None and self.threads > processors:
            raise UserError(
                f"threads = {self.threads}: this machine has {processors} processors; more threads"
                " only wait for each other"
            )
        for name in ("model", "engine", "endpoint", "output"):
            if getattr(self, name) == "":
                raise UserError(f"{name}: an empty text names nothing", fix="leave it out")
        for name in re.findall(r"\{(\w*)", self.status.replace("{{", "")):
            _one_of("status: field", name, STATUS_FIELDS)
        if not all(self.stop):
            raise UserError("stop: an empty text would end every answer before it begins")
        for name in (
            "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "memory_limit",
            "kv_disk_gb", "endpoint_idle",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:  # NaN is not, either
                raise UserError(f"{name} = {value}: must be a number that is not negative")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{name} = {value!r}: must be one of {', '.join(allowed)}")


def keys() -> dict[str, dataclasses.Field[Any]]:
    """Return every key's field: `type` as text, `metadata["help"]`, `metadata["secret"]`."""
    return {f.name: f for f in dataclasses.fields(Settings)}


def config_file() -> Path:
    """Return the path of config.toml, which need not exist."""
    return config_dir() / "config.toml"


def config_text() -> str:
    """Read config.toml; "" where there is none. Raises UserError where it can't be read."""
    path = config_file()
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None


def load(**given: Any) -> Settings:
    """Read config.toml, then PALAVER_* variables, then what is `given` and not None.

    Raises UserError naming the file, the line where it is known, and the fix.
    """
    values, named = _from_file()
    chosen: dict[str, Any] = {}
    for name, spec in keys().items():
        text = os.environ.get(f"PALAVER_{name.upper()}")
        if text is not None:
            chosen[name] = parse(name, str(spec.type), text)
    chosen |= {name: value for name, value in given.items() if value is not None}
    return Settings(**backends.apply(values, named, chosen))


def named_backends() -> dict[str, dict[str, Any]]:
    """Return the backends of config.toml, each the settings that it changes."""
    return _from_file()[1]


def _from_file() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the settings of config.toml, and its backends."""
    path, text = config_file(), config_text()
    if not text:
        return {}, {}
    import tomllib

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}", fix="mend it with: palaver config edit") from None
    for name in ("consent", "hooks"):  # read by palaver.tools
        values.pop(name, None)
    named = backends.tables(values.pop("backends", {}), str(path))
    _check(values, path, text)
    for backend, table in named.items():
        _check(table, path, text, f"backends.{backend}")
    return values, named


def _check(values: dict[str, Any], path: Path, text: str, table: str = "") -> None:
    known = keys()
    for name, value in values.items():
        if name not in known:
            raise unknown_key(name, f"{path}, line {_line(text, name, table)}")
        if not _fits(value, str(known[name].type)):
            raise UserError(
                f"{path}, line {_line(text, name, table)}: {name} = {value!r} is not"
                f" {_described(str(known[name].type))}"
            )


def unknown_key(name: str, where: str) -> UserError:
    """Make the error for a key that is not there, with the nearest that is."""
    import difflib

    near = difflib.get_close_matches(name, keys(), 1, 0.5)
    return UserError(
        f"{where}: there is no setting {name!r}",
        fix=f"did you mean {near[0]!r}?" if near else "palaver config show lists all settings",
    )


def parse(name: str, type_: str, text: str) -> Any:
    """Read a value from text, as a variable or `/set` gives it; raises UserError."""
    if text == "" and "None" in type_:
        return None
    kind = type_.split(" |")[0]
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise UserError(f"{name} = {text!r} is not {_described(type_)}") from None
    if kind == "list[str]":
        return _list(name, text)
    return text


def _list(name: str, text: str) -> list[str]:
    """Read `a, b`, or a list as TOML and JSON write it."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    import tomllib

    try:
        found = tomllib.loads(f"list = {text}")["list"]
    except tomllib.TOMLDecodeError:
        found = None
    if not _fits(found, "list[str]"):
        raise UserError(f"{name} = {text!r} is not a list of texts")
    return list(found)


def _fits(value: object, type_: str) -> bool:
    kind = type_.split(" |")[0]
    if kind == "list[str]":
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    if isinstance(value, bool):
        return False
    if kind == "float":
        return isinstance(value, int | float)
    return isinstance(value, {"int": int, "str": str}[kind])


def _described(type_: str) -> str:
    kind = type_.split(" |")[0]
    return {"int": "a whole number", "float": "a number", "str": "a text"}.get(
        kind, "a list of texts"
    )


def _line(text: str, name: str, table: str) -> int:
    """Return the line that sets a key below the header `table` ("": none); 1 if none is found."""
    names = (name, "url") if name == "endpoint" else (name,)  # which backends.tables renamed
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            here = re.sub(r"[\s\"'\[]", "", line.partition("]")[0])
        elif here == table and line.split("=")[0].strip().strip("\"'") in names:
            return number
    return 1
