"""Which tokens of a model mean something to llama.cpp, found as it finds them.

A GGUF marks control tokens by type, but llama.cpp also goes by their texts (`llama_vocab::impl::
load` in llama-vocab.cpp, b11549): some texts end a reply whatever the file says of them, some
are control tokens whatever their type. Text that somebody typed has to be kept from all of them.
"""

from __future__ import annotations

from msgspec import Struct

from palaver.engines.llama_cpp import gguf

# These end a reply.
_ENDS = frozenset(
    """<|eot_id|> <|im_end|> <|end|> <|return|> <|call|> <|flush|> <|calls|> <end_of_turn>
    <|endoftext|> </s> <|eom_id|> <EOT> _<EOT> [EOT] [EOS] <|end_of_text|> <end_of_utterance>
    <eos> <turn|> <|tool_response>""".split()  # noqa: SIM905
)
# These are for filling in the middle; padding, repository and file marks end a reply too.
_FILLS = frozenset(
    """<|fim_prefix|> <fim-prefix> <fim_prefix> <PRE> <|code_prefix|> <|prefix|> <|fim_suffix|>
    <fim-suffix> <fim_suffix> <SUF> <|code_suffix|> <|suffix|> <|fim_middle|> <fim-middle>
    <fim_middle> <MID> <|code_middle|> <|middle|>""".split()  # noqa: SIM905
)
_FILL_ENDS = frozenset(
    """<|fim_pad|> <fim-pad> <fim_pad> <PAD> [PAD] <|fim_repo|> <fim-repo> <REPO> <reponame>
    <|repo_name|> <|file_sep|>""".split()  # noqa: SIM905
)
# llama.cpp makes these user-defined, whatever the file says, so that a reply shows them.
_SHOWN = frozenset(("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"))
_ID_KEYS = ("eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep")


class Vocabulary(Struct, frozen=True):
    """Texts of tokens: `control` are all that may become one token, `eog` those that end a reply.

    `user_defined` are those that llama.cpp finds even where it is told to look for none.
    """

    control: frozenset[str]
    eog: frozenset[str]
    user_defined: frozenset[str]


def read(file: gguf.Gguf) -> Vocabulary:
    """Find a model's special tokens."""
    tokens = file.tokens()
    types = file.token_types()
    present = set(tokens)
    found = [file.key(f"tokenizer.ggml.{name}_token_id") for name in _ID_KEYS]
    named = {tokens[i] for i in found if isinstance(i, int) and 0 <= i < len(tokens)}
    eog, kept = ends(present, named)
    control = file.control_tokens() | eog | (present & (_FILLS | _SHOWN))
    defined = {
        text for text, kind in zip(tokens, types, strict=True) if kind == gguf.USER_DEFINED and text
    }
    defined |= present & _SHOWN
    return Vocabulary(frozenset(control), frozenset(kept), frozenset(defined | (eog - kept)))


def ends(present: set[str], named: set[str]) -> tuple[set[str], set[str]]:
    """Find what may end a reply among the tokens that are present, and what does."""
    eog = present & (_ENDS | _FILL_ENDS) | named
    return eog, _taken_back(eog)


def _taken_back(eog: set[str]) -> set[str]:
    """Leave out what ends a reply in most models, but not in those that have these tokens."""
    harmony = {"<|return|>", "<|call|>"} <= eog
    solar = bool({"<|call|>", "<|calls|>"} & eog) and "<|flush|>" in eog
    left = eog - {"<|end|>"} if harmony or solar else set(eog)
    return left - {"</s>"} if "<|tool_response>" in left else left
