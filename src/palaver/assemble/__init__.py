"""From settings to a model, tools and a session: the only place that knows them all."""

from palaver.assemble.answers import sampling, signing
from palaver.assemble.models import check_model, make_format, open_local, open_model, server_of
from palaver.assemble.tools import (
    PRINTED,
    cut_patches,
    hear,
    open_box,
    open_guard,
    open_hooks,
    open_sandbox,
    workshop,
)

__all__ = [
    "PRINTED",
    "check_model",
    "cut_patches",
    "hear",
    "make_format",
    "open_box",
    "open_guard",
    "open_hooks",
    "open_local",
    "open_model",
    "open_sandbox",
    "sampling",
    "server_of",
    "signing",
    "workshop",
]
