"""What a patch that can't be applied raises."""

from __future__ import annotations

from palaver.core.errors import PalaverError


class PatchError(PalaverError):
    """A patch is malformed or does not fit the files; none of them was changed."""
