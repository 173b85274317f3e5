"""Banded matrix product for redistribution matrices, skipping blocks of zeros.

Photons land in channels near their energy or, as a tail, below: the EPIC-pn matrix is 11 % full,
ACIS matrices 31 %. For each block of channels only the energies that reach it are multiplied.
Measured on one core, float32, 2048 spectra, against one dense product: EPIC-pn 5.5x at all its
channels and 4.0x at 0.3-10 keV, ACIS 2.0x at all channels; gradients gain the same.

Shapes: B batch, E energies, C channels.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

# Smaller blocks skip more but waste time in small products: 32 to 128 are alike.
BLOCK = 64
# A matrix whose blocks cover more than this is multiplied whole: it gains less than 1.4x.
FULL = 0.7
# Fewer spectra than this are multiplied whole: the many small products cost more than they save.
FEWEST = 16


class Block(NamedTuple):
    """Columns `start:stop` of a matrix and the rows `low:high` outside which they are zero."""

    start: int
    stop: int
    low: int
    high: int


class Bands(NamedTuple):
    """Blocks of a matrix for products with it, and with its transpose (for gradients)."""

    forward: tuple[Block, ...]
    backward: tuple[Block, ...]


def find_bands(matrix_EC: Tensor) -> Bands | None:
    """The blocks of a matrix, or None where one dense product is as fast."""
    n_energies, n_channels = matrix_EC.shape
    if min(n_energies, n_channels) <= BLOCK:
        return None
    filled_EC = matrix_EC.detach() != 0
    forward = _blocks(filled_EC)
    covered = sum((block.stop - block.start) * (block.high - block.low) for block in forward)
    if covered > FULL * n_energies * n_channels:
        return None
    return Bands(forward, _blocks(filled_EC.T))


def _blocks(filled: Tensor) -> tuple[Block, ...]:
    blocks = []
    for start in range(0, filled.shape[1], BLOCK):
        stop = min(start + BLOCK, filled.shape[1])
        rows = torch.nonzero(filled[:, start:stop].any(dim=1)).flatten()
        low, high = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        blocks.append(Block(start, stop, low, high))
    return tuple(blocks)


def banded_product(values_BE: Tensor, matrix_EC: Tensor, bands: Bands) -> Tensor:
    """`values_BE @ matrix_EC`, block by block; differentiable in the values, not in the matrix."""
    assert not matrix_EC.requires_grad
    product: Tensor = _BandedProduct.apply(values_BE, matrix_EC, bands)  # type: ignore[no-untyped-call]
    return product


class _BandedProduct(torch.autograd.Function):
    """Slices left to autograd would each fill a gradient of full size."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values_BE: Tensor, matrix_EC: Tensor, bands: Bands) -> Tensor:
        return torch.cat(
            [
                values_BE[:, block.low : block.high]
                @ matrix_EC[block.low : block.high, block.start : block.stop]
                for block in bands.forward
            ],
            dim=1,
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Bands], _: Tensor) -> None:
        matrix_EC, ctx.bands = inputs[1:]
        ctx.save_for_backward(matrix_EC)
        ctx.save_for_forward(matrix_EC)

    @staticmethod
    def backward(ctx: Any, gradient_BC: Tensor) -> tuple[Tensor, None, None]:
        (matrix_EC,) = ctx.saved_tensors
        turned = Bands(ctx.bands.backward, ctx.bands.forward)
        return banded_product(gradient_BC, matrix_EC.T, turned), None, None

    @staticmethod
    def jvp(ctx: Any, tangent_BE: Tensor, *_: Any) -> Tensor:
        (matrix_EC,) = ctx.saved_tensors
        return banded_product(tangent_BE, matrix_EC, ctx.bands)
