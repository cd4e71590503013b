"""Says which calls bring text into the conversation that the user has not vouched for."""

from __future__ import annotations

import re

from palaver.core.messages import ToolCall
from palaver.core.tool import ToolSpec
from palaver.tools.consent.calls import State, UnreadableError, beneath, read_call

# Until untrusted text is read nobody steers the code, so its plain words are looked at.
_LEADS_OUT = re.compile(r"['\"](?:/|~|\.\.)|\bexpanduser\b|\bhome\(|\burlopen\b|\bsocket\b")


def taint_of(call: ToolCall, spec: ToolSpec, state: State, *, network: bool = False) -> str | None:
    """Return what untrusted text the result of a call may hold, for `State.tainted`.

    That is all from off this computer, and from files outside the folder. What the folder holds,
    and what its programs say, is trusted as the folder is.
    """
    try:
        reading = read_call(call, spec, state)
    except UnreadableError:
        return None  # it was not run
    if spec.outward or network or not (state.sandboxed or reading.line is None):
        return f"what {spec.name} brought in from outside"
    if reading.tool == "python" and _LEADS_OUT.search(reading.arguments.get("code", "")):
        return "what python code read outside the folder"
    for part in reading.parts:
        if outside := [path for path in part.paths if not beneath(reading.root, path)]:
            return f"the file {outside[0]}"
        if any(doubt == "unclear" for doubt, _ in part.doubts):
            return "what a command read that is not fully understood"
    return None
