"""How GGUF files are called: quantisation labels, parts of split models, names of models.

"TheOrg/Model-7B-GGUF:Q4_K_M" -> Name("TheOrg/Model-7B-GGUF", "Q4_K_M")
"sub/model-q4_k_m-00001-of-00003.gguf" -> label "Q4_K_M", a part of 3
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from palaver.core.errors import UserError

_NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?::(?P<quant>[\w./-]{1,200}))?"
)
_PART = re.compile(r"-(\d{5})-of-(\d{5})$")
_LABEL = re.compile(
    r"(?:^|[-._/ ])((?:UD-)?(?:I?Q\d(?:_\d|_[A-Z]{1,3})*(?:_[A-Z]{1,3})?|TQ\d_\d|BF16|F16|F32|FP16|"
    r"MXFP4(?:_MOE)?|NVFP4))(?=$|[-._/ ])",
    re.IGNORECASE,
)
_NO_MODEL = ("mmproj", "imatrix", "vocab")
# which one is taken where no quantisation was asked for: good for its size first
PREFERRED = (
    "Q4_K_M", "UD-Q4_K_XL", "Q4_K_L", "Q4_K_S", "Q4_0", "IQ4_NL", "IQ4_XS", "MXFP4", "MXFP4_MOE",
    "Q5_K_M", "Q5_K_S", "Q5_0", "Q6_K", "Q8_0", "Q4_1", "Q5_1", "Q3_K_M", "Q3_K_L", "Q3_K_S",
    "BF16", "F16", "FP16", "F32",
)  # fmt: skip


class Name(Struct, frozen=True):
    """A model on the hub: `repo` is "org/name"; `quant` a label or a file's name, or None."""

    repo: str
    quant: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}:{self.quant}" if self.quant else self.repo


class Choice(Struct, frozen=True):
    """One model of several that lie together: its label and its files, the first part first."""

    label: str
    files: tuple[str, ...]


def parse(text: str) -> Name | None:
    """Read "org/repo" or "org/repo:quant"; None if it is something else."""
    match = _NAME.fullmatch(text)
    if not match or ".." in text:
        return None
    return Name(match["repo"], match["quant"])


def stem(file: str) -> str:
    """Return a file's name without folder, ending and part number."""
    name = file.rpartition("/")[2].removesuffix(".gguf")
    return _PART.sub("", name)


def label(file: str) -> str:
    """Return the quantisation that a file's name ends with, in capitals, or its whole stem."""
    found = _LABEL.findall(stem(file)) or _LABEL.findall(file)
    return found[-1].upper() if found else stem(file)


def bare(file: str) -> str:
    """Return a file's stem without the quantisation at its end."""
    name, found = stem(file), label(file)
    if len(found) < len(name) and name.upper().endswith(found):
        return name[: -len(found)].rstrip("-._ ")
    return name


def choices(files: Iterable[str]) -> list[Choice]:
    """Group the GGUF files of a folder or repository into models, parts together.

    Files with unsafe names, and those that are no whole model, are passed over.
    """
    groups: dict[str, list[str]] = {}
    for file in sorted(files):
        low = file.lower()
        if not low.endswith(".gguf") or not _safe(file) or any(w in low for w in _NO_MODEL):
            continue
        groups.setdefault(_PART.sub("", file.removesuffix(".gguf")), []).append(file)
    found = []
    for parts in groups.values():
        match = _PART.search(parts[0].removesuffix(".gguf"))
        if not match or (match[1] == "00001" and len(parts) == int(match[2])):
            found.append(Choice(label(parts[0]), tuple(parts)))
    return found


def _safe(file: str) -> bool:
    """Say whether a path that a hub names stays in its folder and prints as one line."""
    parts = file.split("/")
    bad = any(p in ("", ".", "..") or p.startswith(".") for p in parts)
    return not bad and file.isprintable() and "\\" not in file and ":" not in file


def choose(found: list[Choice], quant: str | None, where: str) -> Choice:
    """Choose by quantisation label or file name; without one the usual first choice.

    Raises UserError naming what there is.
    """
    if not found:
        raise UserError(
            f"{where} holds no GGUF model",
            fix="Look for a repository whose name ends in -GGUF.",
        )
    if quant is None:
        ranks = {name: i for i, name in enumerate(PREFERRED)}
        return min(found, key=lambda c: (ranks.get(c.label, 99), len(c.files[0]), c.files[0]))
    wanted = quant.lower()
    named = [c for c in found if c.label.lower() == wanted]
    named = named or [c for c in found if c.files[0].lower() == wanted]
    named = named or [c for c in found if stem(c.files[0]).lower() == wanted.removesuffix(".gguf")]
    if len(named) == 1:
        return named[0]
    if named:
        files = ", ".join(c.files[0] for c in named)
        raise UserError(f"{where} holds several models as {quant}", fix=f"Name the file: {files}")
    labels = ", ".join(sorted({c.label for c in found}))
    raise UserError(f"{where} holds no {quant}", fix=f"There is: {labels}")


def sweep(file: Path) -> None:
    """Delete what unfinished downloads of a file left beside it."""
    for rest in file.parent.glob(f"{glob.escape(file.name)}.*"):
        if rest.suffix in (".partial", ".lock"):
            rest.unlink(missing_ok=True)
