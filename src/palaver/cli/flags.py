"""The flags of `palaver chat`, as a table: read here without click, which loads after the prompt.

`read` understands the plain forms (`--name value`, `--name=value`, `-m value`, switches, one
model); whatever else there is goes to click, which says what is wrong or prints the help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Flag:
    """One flag: `names` with dashes, `kind` of its value (None: a switch), its help."""

    key: str
    names: tuple[str, ...]
    kind: type | None
    help: str
    many: bool = False


FLAGS = (
    Flag(
        "model",
        ("-m", "--model", "--model-path"),
        str,
        "Model: path, folder, org/repo[:quant] or name.",
    ),
    Flag(
        "engine",
        ("-e", "--engine", "--backend"),
        str,
        "Engine that runs the model, or a backend (`palaver engines` lists them).",
    ),
    Flag(
        "endpoint",
        ("--endpoint",),
        str,
        "Address of an OpenAI-compatible server that has the model.",
    ),
    Flag(
        "system",
        ("--system", "--developer-message"),
        str,
        "System prompt of a new conversation (gpt-oss calls it the developer message).",
    ),
    Flag(
        "reasoning_effort",
        ("-r", "--reasoning-effort"),
        str,
        "How long gpt-oss and its like think: low, medium or high.",
    ),
    Flag("max_tokens", ("--max-tokens",), int, "Most tokens of an answer (2048)."),
    Flag(
        "temperature",
        ("--temperature",),
        float,
        "Sampling temperature (the model's own, else 0.4).",
    ),
    Flag(
        "top_k", ("--top-k",), int, "Sample from this many best tokens (the model's own, else 40)."
    ),
    Flag(
        "top_p",
        ("--top-p",),
        float,
        "Sample from the best tokens with this probability together (0.95).",
    ),
    Flag("min_p", ("--min-p",), float, "Drop tokens less likely than this times the best (0.05)."),
    Flag(
        "repeat_penalty",
        ("--repeat-penalty",),
        float,
        "Make tokens that stood lately less likely (1: off).",
    ),
    Flag("seed", ("--seed",), int, "Seed of sampling (another each time)."),
    Flag("stop", ("--stop",), str, "Text that ends an answer (again for more).", many=True),
    Flag("context", ("--context",), int, "Context size in tokens (the model's, at most 8192)."),
    Flag("memory_limit", ("--memory-limit",), float, "Refuse a model that would take more, in GB."),
    Flag("threads", ("--threads",), int, "Threads of the engine (measured)."),
    Flag(
        "kv_type",
        ("--kv-type",),
        str,
        "Type of the KV cache: f16 (default), or q8_0, half as large.",
    ),
    Flag("llama_server", ("--llama-server",), str, "Path of a llama-server binary to use instead."),
    Flag("vllm", ("--vllm",), str, "Path of the vllm program."),
    Flag("tensor_parallel", ("--tensor-parallel",), int, "GPUs or processes that share a model."),
    Flag("device", ("--device",), str, "Where torch runs: cpu, cuda, cuda:1, mps, auto."),
    Flag("dtype", ("--dtype",), str, "Torch's number type: float32, bfloat16, float16."),
    Flag("quantize", ("--quantize",), str, "Quantise while loading with torch: 8bit, 4bit."),
    Flag("dialect", ("--dialect",), str, "How the model writes calls (as its template does)."),
    Flag(
        "lora", ("--lora",), str, "LoRA adapter: path, or path=scale (again for more).", many=True
    ),
    Flag(
        "tools",
        ("--tools",),
        str,
        "Tools: auto (reading ones, where the model knows tools), on, off, names, FILE.py.",
    ),
    Flag("python", ("-p", "--python"), None, "The tool python as well."),
    Flag("apply_patch", ("-a", "--apply-patch"), None, "The tool apply_patch as well."),
    Flag("no_tools", ("--no-tools",), None, "No tools: the same as --tools off."),
    Flag("max_tool_rounds", ("--max-tool-rounds",), int, "How often a turn may use tools (8)."),
    Flag("consent", ("--consent",), str, "What runs unasked: read-only, ask (default), or auto."),
    Flag("cmd", ("--cmd",), None, 'Offer to run lines of an answer that begin with "CMD: ".'),
    Flag(
        "no_sandbox",
        ("--no-sandbox",),
        None,
        "DANGER: programs of the model can do all that you can.",
    ),
    Flag("output", ("--output",), str, "Append what is said to this file, as training records."),
    Flag("kb", ("--kb",), str, "Knowledge base to sign records with (needs --kernel)."),
    Flag("kernel", ("--kernel",), str, "Kernel to sign records with (needs --kb)."),
    Flag("no_system", ("--no-system",), None, "Leave the system message out of records."),
    Flag("resume", ("--resume",), str, 'Go on with a session: its number, or "last".'),
    Flag(
        "no_save", ("--no-save",), None, "Keep nothing on disk: the session ends with the program."
    ),
    Flag("plain", ("--plain",), None, "No colour, no redrawing: plain lines."),
    Flag("raw", ("--raw",), None, "Show every token as it is: the prompt's and the answer's."),
)


def with_tools(flags: dict[str, Any]) -> dict[str, Any]:
    """Return flags whose `tools` say what --no-tools, -p and -a said."""
    rest = {k: v for k, v in flags.items() if k not in ("no_tools", "python", "apply_patch")}
    if flags.get("no_tools"):
        return {**rest, "tools": "off"}
    more = [name for name in ("python", "apply_patch") if flags.get(name)]
    return {**rest, "tools": ",".join([flags.get("tools") or "auto", *more])} if more else rest


def could_be_model(word: str) -> bool:
    """Say whether a bare word may name a model: a path, org/repo, or one that was downloaded."""
    if "/" in word or "." in word or word == "palaver-tiny":
        return True
    from palaver.config import paths

    begun = word.lower().partition(":")[0]
    return paths.existing(word) is not None or any(
        begun in str(file.relative_to(paths.models_dir())).lower()
        for file in paths.models_dir().rglob("*.gguf")
    )


def asks(argv: list[str]) -> bool:
    """Say whether `-p` stands for `ask`, as in `palaver -p "what is this?"`: a text follows."""
    return argv[:1] == ["-p"] and len(argv) > 1 and not argv[1].startswith("-")


def read(argv: list[str]) -> dict[str, Any] | None:
    """Return the values of the flags in `argv`, or None where click has to look at them."""
    if asks(argv):
        return None
    by_name = {name: flag for flag in FLAGS for name in flag.names}
    values: dict[str, Any] = {}
    rest = iter(argv)
    for word in rest:
        if not word.startswith("-"):
            if "model" in values or not could_be_model(word):
                return None
            values["model"] = word
            continue
        name, equals, value = word.partition("=")
        flag = by_name.get(name)
        if flag is None or (equals and flag.kind is None):
            return None
        if flag.kind is None:
            values[flag.key] = True
            continue
        given = value if equals else next(rest, None)
        if given is None:
            return None
        try:
            read_value = flag.kind(given)
        except ValueError:
            return None
        if flag.many:
            values.setdefault(flag.key, []).append(read_value)
        else:
            values[flag.key] = read_value
    return values
