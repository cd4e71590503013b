"""What one session allows: the user's rules, their answers so far, what untrusted came in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from palaver.core.messages import ToolCall
from palaver.core.tool import Ask, Preview, ToolSpec, Verdict
from palaver.tools import consent


class Guard:
    """Judges calls (`palaver.tools.consent.decide`) and learns from what happened."""

    def __init__(
        self,
        rules: consent.Rules,
        root: Path,
        *,
        config: Path,
        asks: Callable[[], bool],
        sandboxed: bool = True,
        note: str | None = None,
    ) -> None:
        """`config` is where lasting answers are written; `asks`: is there somebody to be asked.

        `note` is what the user should know of the rules.
        """
        self.note = note
        self._rules = rules
        self._config = config
        self._asks = asks
        self._state = consent.State(str(root), sandboxed=sandboxed)

    @property
    def preset(self) -> str:
        """What is done where no rule fits."""
        return self._rules.preset

    @property
    def state(self) -> consent.State:
        """What a decision depends on now."""
        return structs.replace(self._state, asks=self._asks())

    def judge(self, call: ToolCall, spec: ToolSpec) -> Verdict:
        """Say whether a call may run."""
        return consent.decide(call, spec, self._rules, self.state)

    def preview(self, call: ToolCall, text: str, verdict: Verdict) -> Preview:
        """Return what to show of a call whose tool says that `text` will happen."""
        return consent.question(call, self.state, text, verdict)

    def remember(self, call: ToolCall, spec: ToolSpec, *, always: bool) -> str | None:
        """Allow a call from now on; return the rule, None if there is none for such a call.

        With `always` it is written to the user's config. Raises UserError where it can't be.
        """
        verdict = self.judge(call, spec)
        rule = consent.rule_for(call, spec, self.state, verdict)
        if rule is None or not isinstance(verdict, Ask):
            return None
        if always:
            consent.add_rule(self._config, rule)
        self._rules = self._rules.adding(rule)
        return str(rule)

    def learn(self, call: ToolCall, spec: ToolSpec, *, network: bool) -> None:
        """Note what the result of a call brought in."""
        if taint := consent.taint_of(call, spec, self.state, network=network):
            self.taint(taint)

    def taint(self, what: str) -> None:
        """Note that text came in which nobody has vouched for."""
        if what not in self._state.tainted:
            self._state = structs.replace(self._state, tainted=(*self._state.tainted, what))

    def begin(self) -> None:
        """Begin another conversation: nothing untrusted is in it yet."""
        self._state = structs.replace(self._state, tainted=())
