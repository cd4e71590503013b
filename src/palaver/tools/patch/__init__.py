"""Patches in the `*** Begin Patch` form: read, matched, shown as a diff, applied whole or not."""

from palaver.tools.patch.applying import apply
from palaver.tools.patch.diff import unified
from palaver.tools.patch.errors import PatchError
from palaver.tools.patch.planning import Change, Plan, plan
from palaver.tools.patch.reading import named
from palaver.tools.patch.restoring import recover

__all__ = ["Change", "PatchError", "Plan", "apply", "named", "plan", "recover", "unified"]
