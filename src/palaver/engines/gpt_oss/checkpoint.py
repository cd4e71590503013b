"""The tensors of a folder's safetensors files, mapped into memory, checked as they are taken."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from palaver.core.errors import UserError
from palaver.engines.host.headers import Header

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = ("BF16", "F16", "F32")
BYTES = ("U8",)


class Checkpoint:
    """The tensors of a folder. Use it with `with`: what was taken stays mapped after its end."""

    def __init__(self, folder: Path, headers: Sequence[Header]) -> None:
        """`headers` are those of all files. Raises UserError for a tensor that is there twice."""
        self.folder = folder
        self._files = ExitStack()
        self._open: dict[Path, Any] = {}
        self._left: dict[str, Header] = {}
        for header in headers:
            for name in header.tensors:
                if name in self._left:
                    raise UserError(
                        f"{header.path} and {self._left[name].path} both hold {name}",
                        fix="keep one of the files: the folder holds two checkpoints",
                    )
                self._left[name] = header

    def __contains__(self, name: str) -> bool:
        """Whether a tensor of this name is there and was not taken yet."""
        return name in self._left

    def take(self, name: str, *shape: int, kinds: tuple[str, ...] = NUMBERS) -> Tensor:
        """Return a tensor; none of its values is read before they are used.

        Raises UserError where it is missing or has another shape or type.
        """
        header = self._left.pop(name, None)
        if header is None:
            raise UserError(
                f"{self.folder} lacks the tensor {name}",
                fix="a file is missing, or config.json is not of this checkpoint",
            )
        there = header.tensors[name]
        if there.shape != shape or there.dtype not in kinds:
            raise UserError(
                f"{header.path}: {name} is {there.dtype} {_lengths(there.shape)}, not "
                f"{' or '.join(kinds)} {_lengths(shape)}",
                fix="config.json is not of this checkpoint, or the file is of another layout",
            )
        return self._file(header.path).get_tensor(name)

    def end(self) -> None:
        """Raise UserError where a tensor was not taken: it is of another model than config.json."""
        for name, header in self._left.items():
            raise UserError(
                f"{header.path}: {name} does not belong to the model of config.json",
                fix="config.json is not of this checkpoint, or one of the files is not",
            )

    def _file(self, path: Path) -> Any:
        from safetensors import SafetensorError, safe_open

        if path not in self._open:
            try:
                self._open[path] = self._files.enter_context(safe_open(path, framework="pt"))
            except (OSError, SafetensorError) as error:
                raise UserError(f"{path} is damaged: {error}", fix="get the file again") from None
        return self._open[path]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._open.clear()
        self._files.close()


def _lengths(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
