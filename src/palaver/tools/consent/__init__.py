"""Consent: whether a call of a tool may run, what the user is asked, and where rules come from.

`decide` is the one place that says allow, ask or deny; it is pure. Approvals are about what the
user wants; what keeps a program in its place is the sandbox.
"""

from palaver.tools.consent.answers import question, rule_for
from palaver.tools.consent.calls import State
from palaver.tools.consent.decide import decide
from palaver.tools.consent.file import add_rule, read_rules
from palaver.tools.consent.rules import PRESETS, Rule, Rules
from palaver.tools.consent.taint import taint_of

__all__ = [
    "PRESETS",
    "Rule",
    "Rules",
    "State",
    "add_rule",
    "decide",
    "question",
    "read_rules",
    "rule_for",
    "taint_of",
]
