"""What an engine's process is started with, and what it says of the model it loaded."""

from __future__ import annotations

from msgspec import Struct


class Options(Struct, frozen=True, omit_defaults=True):
    """Settings of one child; sizes in tokens, `memory_limit` in GB (10^9 bytes).

    `engine` is a name of `palaver.engines.registry`. `device`, `dtype`, `quantize` and
    `ranks` (processes that share one model) are for hosted engines. `vllm` is that program, which
    is given `arguments` as they are.

    `context` None takes the smaller of the model's own and 8192. Each of the `parallel` slots, that
    generate side by side, has a context of this size. With `embeddings` texts of up to `batch`
    tokens can be made vectors, too. `threads` None lets the child choose by measuring how many
    cores are free. `loras` are (path, scale). `patience` is how many seconds loading may take: a
    large model from a slow disk takes minutes.
    """

    model: str
    folder: str  # private, for the socket
    slots: str  # private, for saved states
    engine: str = "llama-cpp"
    cache: str = ""  # for fingerprints; empty: none kept
    secret: str = ""
    context: int | None = None
    parallel: int = 1
    embeddings: bool = False
    threads: int | None = None
    batch: int = 256
    kv_type: str = "f16"
    loras: tuple[tuple[str, float], ...] = ()
    memory_limit: float | None = None
    llama_server: str | None = None
    vllm: str = ""
    arguments: tuple[str, ...] = ()
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    ranks: int = 1
    patience: float = 900.0


class ModelFile(Struct, frozen=True, omit_defaults=True):
    """What the file says of the model, read in Python before native code sees it.

    `control` are the texts that become one control token. `metadata` holds the scalar keys.
    `user_defined` are those of them that llama.cpp finds even where it looks for no control
    tokens. `cut_back` is False where a cache can't be cut at any place, `window` is then the
    number of tokens that windowed layers keep (0: a recurrent model). `prefix_space`: the
    tokenizer begins every text with a blank. `sampling` is what the model itself asks for, by
    the names of `palaver.core.generation.Sampling`.
    """

    name: str
    fingerprint: str
    context: int
    threads: int
    kv_bytes_per_token: int
    weights_bytes: int
    cut_back: bool
    window: int
    control: tuple[str, ...]
    user_defined: tuple[str, ...]
    eog: tuple[str, ...]
    bos: str
    eos: str
    bos_id: int | None
    prefix_space: bool
    template: str | None
    metadata: dict[str, str | int | float | bool]
    sampling: dict[str, float] = {}
    socket: str = ""
    port: int = 0  # of 127.0.0.1, where `socket` is empty


class Report(Struct, frozen=True, omit_defaults=True):
    """One line that a child writes: first `model`, then `ready`; or `error` and its `fix`.

    `kind` "user" marks an error that the user can mend by another setting or file. `port` comes
    with `ready` where a server could not take the socket. `progress` is for the user.
    """

    model: ModelFile | None = None
    ready: bool = False
    port: int = 0
    progress: str | None = None
    error: str | None = None
    fix: str | None = None
    kind: str = "engine"
