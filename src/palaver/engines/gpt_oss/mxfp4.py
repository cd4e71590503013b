"""Products with MXFP4 matrices, which are unpacked a tile at a time.

The format: https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

BLOCK = 32  # values that share a scale, in 16 bytes
_TILE = 1 << 19  # bytes of a tile's values: with its indices it stays in the processor's L2 cache
_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # by exponent and mantissa; bit 3 is the sign


class Room:
    """How many bytes the unpacked matrices of a model may still take."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, wanted: int) -> bool:
        """Take `wanted` bytes if there are so many."""
        fits = wanted <= self.left
        self.left -= wanted if fits else 0
        return fits


class Packed:
    """E matrices: `blocks` uint8 (E, rows, G, 16), `scales` uint8 (E, rows, G).

    A block is 32 values of a row, two a byte, the low half first; each is multiplied by
    2 ** (scale - 127). A matrix that is used is unpacked and kept where there is room for it:
    unpacking takes longer than a product with one token.
    """

    def __init__(self, blocks: Tensor, scales: Tensor, room: Room) -> None:
        self.blocks = blocks
        self.scales = scales
        self._room = room
        self._kept: dict[int, Tensor] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of what is packed."""
        return int(self.blocks.nbytes + self.scales.nbytes)

    def kept(self, number: int, dtype: torch.dtype) -> Tensor | None:
        """Return matrix `number` unpacked (rows, columns), or None where there is no room."""
        found = self._kept.get(number)
        if found is None:
            blocks, scales = self.blocks[number], self.scales[number]
            if self._room.take(2 * blocks.numel() * dtype.itemsize):
                found = self._kept[number] = unpack(blocks, scales, dtype)
        return found


def linear(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor) -> Tensor:
    """Return `x` (n, columns) times a matrix that stays packed, with `bias` (rows,): (n, rows).

    `blocks` (rows, G, 16), `scales` (rows, G).
    """
    if len(x) == 1 and x.device.type == "cpu":
        # A row alone times values in the cache: in float32 twice as fast as in bfloat16.
        row, made = x[0].float(), torch.empty(len(bias))
        for at, values in _tiles(blocks, scales, torch.float32):
            torch.mv(values, row, out=made[at])
        return made.add_(bias).to(x.dtype)[None]
    parts = [F.linear(x, tile, bias[at]) for at, tile in _tiles(blocks, scales, x.dtype)]
    return torch.cat(parts, dim=-1)


def unpack(blocks: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the values (rows, 32 G) of `blocks` (rows, G, 16) and `scales` (rows, G)."""
    rows, groups = scales.shape
    made = torch.empty((rows, groups * BLOCK), dtype=dtype, device=scales.device)
    for at, values in _tiles(blocks, scales, dtype):
        made[at] = values
    return made


def _tiles(blocks: Tensor, scales: Tensor, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows and their values (rows, columns), which the next tile overwrites.

    A byte is looked up with its scale as the pair of values it holds, moved as one number: ten
    times as fast as a look-up a value.
    """
    rows, groups = scales.shape
    columns, device = groups * BLOCK, scales.device
    step = _TILE // (columns * dtype.itemsize) if device.type == "cpu" else rows
    step = min(max(1, step), rows)
    table = _table(dtype, device)
    index = torch.empty((step, groups, BLOCK // 2), dtype=torch.int32, device=device)
    values = torch.empty((step, columns), dtype=dtype, device=device)
    starts = (scales.int() << 8)[..., None]  # in the table, of each scale
    for start in range(0, rows, step):
        at = slice(start, min(start + step, rows))
        numbers, tile = index[: at.stop - start], values[: at.stop - start]
        numbers.copy_(blocks[at]).add_(starts[at])
        torch.index_select(table, 0, numbers.view(-1), out=tile.view(table.dtype).view(-1))
        yield at, tile


_tables: dict[tuple[torch.dtype, torch.device], Tensor] = {}


def _table(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the pairs of values of each scale and byte, a pair as one number; made once."""
    if (dtype, device) not in _tables:
        values = torch.tensor([*_E2M1, *(-v for v in _E2M1)], dtype=torch.float64)
        byte = torch.arange(256)
        pairs = torch.stack((values[byte & 15], values[byte >> 4]), dim=-1)
        powers = torch.tensor([2.0 ** (n - 127) for n in range(255)] + [math.nan])
        exact = (powers.double()[:, None, None] * pairs).to(dtype)
        whole = {2: torch.int32, 4: torch.int64}[dtype.itemsize]
        _tables[dtype, device] = exact.view(whole).flatten().to(device)
    return _tables[dtype, device]
