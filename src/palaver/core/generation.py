"""How a reply came to be: exact ids, sampling, timings."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs

DEFAULT_TEMPERATURE = 0.4  # where neither the user nor the model says one


class Sampling(Struct, frozen=True, omit_defaults=True):
    """Sampling settings. None means unset: the engine's or model's own default; 0 means 0.

    `grammar` is GBNF. It holds from the beginning, or from a token on whose text is `trigger`.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()  # token ids, and what is added to their logits
    seed: int | None = None
    stop: tuple[str, ...] = ()
    grammar: str | None = None
    trigger: str | None = None
    json_schema: str | None = None
    logprobs: int | None = None

    def completed(self, own: Mapping[str, float] | None) -> Sampling:
        """Return it with what is unset as the model itself asks for it, else as is usual with us.

        `own` None: it stays unset, because a server decides.
        """
        if own is None:
            return self
        usual = {"temperature": DEFAULT_TEMPERATURE, **own}
        unset = {name: value for name, value in usual.items() if getattr(self, name) is None}
        return structs.replace(self, **unset)


class Timings(Struct, frozen=True, omit_defaults=True):
    """What a generation cost, as the engine measured it; seconds and tokens.

    `reused` prompt tokens were in the cache already, `prefilled` were read now; their sum is
    the prompt's length. `ttft` is wall time from the request to the first token. `guessed`: the
    engine reported no tokens, these are estimates.
    """

    reused: int = 0
    prefilled: int = 0
    prefill_seconds: float = 0.0
    decoded: int = 0
    decode_seconds: float = 0.0
    ttft: float = 0.0
    guessed: bool = False


class Generation(Struct, frozen=True, omit_defaults=True):
    """The exact tokens of a reply and what they grew from.

    The whole sequence (prompt and reply) is the first `kept` ids of the generation that stands
    in row `grew_from` (nothing, if None) followed by `added`. The last `sampled` ids of it were
    sampled by the model. `raw` is their text before parsing, `ended_by` the text of the
    end-of-generation token that is the last of them ("" where there is none). `prompt_hash` is
    the BLAKE2b of the prompt's rendered text (UTF-8), `prompt_chars` its length in characters: a
    later rendering that begins with the same text may take these ids instead of tokenising it
    again.
    `exact` is False where an engine could not tell every id; an endpoint tells none, and its
    prompt is the JSON that it was sent.
    """

    engine: str
    model: str
    grew_from: int | None = None
    kept: int = 0
    added: tuple[int, ...] = ()
    sampled: int = 0
    raw: str = ""
    ended_by: str = ""
    prompt_hash: str = ""
    prompt_chars: int = 0
    exact: bool = True
    sampling: Sampling = Sampling()
    timings: Timings = Timings()
