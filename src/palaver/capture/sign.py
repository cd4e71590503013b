"""The sandwich: a user's prompt between a knowledge base and a kernel.

The layout is that of `core ml chat`, dAppCore/go-ml, cmd_sandwich.go (facts taken, no text of
it). A model is chatted with the plain prompt; the sandwich is laid when a record is written, so
that training on it teaches to answer the signed prompt as the plain one was answered.
"""

from __future__ import annotations

CLOSING = (
    "Let the framework above guide your answer to the prompt. Do not mention or quote it; "
    "reason from its principles as if they were your own."
)


def sandwich(prompt: str, kb: str, kernel: str) -> str:
    """Return the signed prompt; the three texts stand in it verbatim, untrimmed."""
    return f"Name: Ethics Experiment\nKB:\n{kb}\n\n---\n\n{prompt}\n\n---\n\n{kernel}\n\n{CLOSING}"
