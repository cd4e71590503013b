"""Opening a transformers model for the host: in its own process, or over several."""

from __future__ import annotations

from pathlib import Path

from palaver.engines.child.options import Options
from palaver.engines.host.folder import Folder
from palaver.engines.host.model import Say
from palaver.engines.transformers import ranks
from palaver.engines.transformers.part import TransformersModel, open_part


def open_model(options: Options, say: Say) -> TransformersModel | ranks.SharedModel:
    """Check a folder and load it, on several ranks if asked; raises UserError."""
    if options.ranks == 1:
        return open_part(options, say)
    ranks.check(options, Folder(Path(options.model)))
    others = ranks.start(options)
    return ranks.SharedModel(open_part(options, say), others)
