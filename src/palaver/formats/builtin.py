"""Templates for models that bring none, and the choice among them by a GGUF's metadata.

The layouts are those of the model makers' own cards and tokenizer files; llama.cpp's list of
them (`llm_chat_detect_template`, llama-chat.cpp) was read beside it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from palaver.formats.template import TemplateFormat


class BuiltIn(Struct, frozen=True):
    """A template, and what a model must have to be given it.

    `tokens` are control tokens that must all be there; `names` is looked for in the model's
    name and architecture. `head` begins a conversation; `system`, `user` and `assistant` are
    what is written before and behind a message of that role. Where `system` is None the text
    goes into the first user's message.
    """

    name: str
    user: tuple[str, str]
    assistant: tuple[str, str]
    system: tuple[str, str] | None = None
    tokens: tuple[str, ...] = ()
    names: str = ""
    head: str = ""

    @property
    def template(self) -> str:
        """The template as Jinja text."""
        system = (
            "{{ raise_exception('there is no system role') }}"
            if self.system is None
            else _message(self.system)
        )
        # An answer's opening stands for itself at the prompt's end, less the space that a
        # model writes with its first word
        opening = self.assistant[0].rstrip(" ") if self.tokens == () else self.assistant[0]
        return (
            f"{_text(self.head)}{{%- for message in messages -%}}"
            f"{{%- if message.role == 'system' -%}}{system}"
            f"{{%- elif message.role == 'user' -%}}{_message(self.user)}"
            f"{{%- elif message.role == 'assistant' -%}}{_message(self.assistant)}"
            "{%- endif -%}{%- endfor -%}"
            f"{{%- if add_generation_prompt -%}}{_text(opening)}{{%- endif -%}}"
        )


def _text(text: str) -> str:
    """Write a text as a Jinja expression; BOS and EOS stand for the model's own tokens."""
    parts = re.split("(BOS|EOS)", text)
    names = {"BOS": "bos_token", "EOS": "eos_token"}
    written = [names.get(part) or _quoted(part) for part in parts if part]
    return "{{- " + " ~ ".join(written) + " -}}" if written else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def _message(around: tuple[str, str]) -> str:
    return f"{_text(around[0])}{{{{- message.content -}}}}{_text(around[1])}"


def _headed(before: str, between: str, behind: str, answer: str = "assistant") -> dict[str, Any]:
    """Return the three roles of a layout that names the role in each message's header."""
    return {
        "system": (f"{before}system{between}", behind),
        "user": (f"{before}user{between}", behind),
        "assistant": (f"{before}{answer}{between}", behind),
    }


# The first one that fits is taken: those with telling tokens first, then those known by name
BUILT_IN = (
    BuiltIn(
        "llama3",
        **_headed("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
        tokens=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        head="BOS",
    ),
    BuiltIn(
        "granite",
        **_headed("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>\n"),
        tokens=("<|start_of_role|>", "<|end_of_role|>"),
    ),
    BuiltIn(
        "command-r",
        system=("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        user=("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        assistant=("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        tokens=("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"),
        head="BOS",
    ),
    BuiltIn(
        "deepseek",
        system=("", ""),
        user=("<｜User｜>", ""),
        assistant=("<｜Assistant｜>", "EOS"),
        tokens=("<｜User｜>", "<｜Assistant｜>"),
        head="BOS",
    ),
    BuiltIn(
        "glm4",
        system=("<|system|>\n", ""),
        user=("<|user|>\n", ""),
        assistant=("<|assistant|>\n", ""),
        tokens=("[gMASK]", "<sop>", "<|user|>"),
        head="[gMASK]<sop>",
    ),
    BuiltIn(
        "exaone",
        system=("[|system|]", "[|endofturn|]\n"),
        user=("[|user|]", "\n"),
        assistant=("[|assistant|]", "[|endofturn|]\n"),
        tokens=("[|assistant|]", "[|endofturn|]"),
    ),
    BuiltIn(
        "gemma",
        user=("<start_of_turn>user\n", "<end_of_turn>\n"),
        assistant=("<start_of_turn>model\n", "<end_of_turn>\n"),
        tokens=("<start_of_turn>", "<end_of_turn>"),
        head="BOS",
    ),
    BuiltIn(
        "phi4",
        **_headed("<|im_start|>", "<|im_sep|>", "<|im_end|>"),
        tokens=("<|im_start|>", "<|im_sep|>", "<|im_end|>"),
    ),
    BuiltIn(
        "chatml",
        **_headed("<|im_start|>", "\n", "<|im_end|>\n"),
        tokens=("<|im_start|>", "<|im_end|>"),
    ),
    BuiltIn(
        "phi3",
        system=("<|system|>\n", "<|end|>\n"),
        user=("<|user|>\n", "<|end|>\n"),
        assistant=("<|assistant|>\n", "<|end|>\n"),
        tokens=("<|user|>", "<|assistant|>", "<|end|>"),
        head="BOS",
    ),
    BuiltIn(
        "openchat",
        system=("", "<|end_of_turn|>"),
        user=("GPT4 Correct User: ", "<|end_of_turn|>"),
        assistant=("GPT4 Correct Assistant: ", "<|end_of_turn|>"),
        names=r"openchat|starling",
        head="BOS",
    ),
    BuiltIn(
        "mistral",
        user=("[INST] ", " [/INST]"),
        assistant=(" ", "EOS"),
        tokens=("[INST]", "[/INST]"),
        head="BOS",
    ),
    BuiltIn(
        "zephyr",
        system=("<|system|>\n", "EOS\n"),
        user=("<|user|>\n", "EOS\n"),
        assistant=("<|assistant|>\n", "EOS\n"),
        names=r"zephyr|tinyllama|stablelm",
    ),
    BuiltIn(
        "vicuna",
        system=("", "\n\n"),
        user=("USER: ", "\n"),
        assistant=("ASSISTANT: ", "EOS\n"),
        names=r"vicuna|wizardlm|orca",
        head="BOS",
    ),
    BuiltIn(
        "alpaca",
        system=("", "\n\n"),
        user=("### Instruction:\n", "\n\n"),
        assistant=("### Response:\n", "EOS\n\n"),
        names=r"alpaca|platypus|nous-hermes-llama",
        head="BOS",
    ),
    BuiltIn(
        "llama2",
        user=("BOS[INST] ", " [/INST]"),
        assistant=(" ", " EOS"),
        names=r"llama-?2.*chat|mistral.*instruct|mixtral.*instruct",
    ),
    BuiltIn(
        "plain",
        system=("", "\n\n"),
        user=("User: ", "\n\n"),
        assistant=("Assistant: ", "EOS\n\n"),
    ),
)


def choose(
    metadata: Mapping[str, Any],
    bos: str = "",
    eos: str = "",
    control: Iterable[str] = (),
    date: datetime.date | None = None,
    dialect: str | None = None,
) -> TemplateFormat:
    """Choose the built-in template for a model by its control tokens, then by its names.

    `metadata` is a GGUF's; `general.name`, `general.basename` and `general.architecture` are
    read; `dialect` is a user's choice of a parser. The choice of the template and its reason
    stand in the format's `source`.
    """
    tokens = frozenset(control)
    keys = ("general.name", "general.basename", "general.architecture")
    name = " ".join(str(metadata.get(key, "")) for key in keys).replace(" ", "-").lower()
    for built_in in BUILT_IN:
        if built_in.tokens and tokens.issuperset(built_in.tokens):
            why = f"it has the token {built_in.tokens[0]}"
        elif built_in.names and re.search(built_in.names, name):
            why = f"of its name {metadata.get('general.name', '')!r}"
        else:
            continue
        break
    else:
        built_in, why = BUILT_IN[-1], "nothing in its metadata tells another"
    made = TemplateFormat(
        built_in.template,
        bos,
        eos,
        tokens,
        f"built-in {built_in.name}: the model brings no template; chosen because {why}",
        date,
        dialect,
    )
    made.name = built_in.name
    return made
