"""What one escape is: a name, the code that tries it, and how its success shows outside."""

from typing import NamedTuple


class Escape(NamedTuple):
    """`code` runs in Python under `prelude.py`; `shows` names a check of `arena.Arena`.

    outside  something beside the workspace, or kept in it, is not as it was
    secret   the canary stands in what the code printed
    token    the code says that it could do it (`got()`), where nothing outside can show it
    heard    one of the arena's listeners was reached
    victim   the victim, a process of the same user, is not as it was
    alive    a process that the code started runs on after its end
    setid    the workspace holds a file that gives its owner's rights to whoever runs it
    """

    name: str
    code: str
    shows: str = "outside"
