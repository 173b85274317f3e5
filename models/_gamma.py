"""Gamma-Poisson (negative-binomial) likelihood and Gamma quantiles.

Shapes: N shapes and Z deviates of the table.
"""

import numpy as np
import torch
from scipy.special import gammaincinv, ndtr
from torch import Tensor, nn

LOG_SHAPE = (-4.0, 9.0)  # range of the natural logarithm of the shape
FURTHEST = 5.0  # deviates go as far, to either side
SHAPES, DEVIATES = 513, 81  # points of the table
STIRLING = 20.0  # shape from which the series of the gamma function is exact in float32


def shape_of(logarithm: Tensor) -> Tensor:
    """Shape of a Gamma distribution by its logarithm, which is kept within `LOG_SHAPE`."""
    return logarithm.clamp(*LOG_SHAPE).exp()


def deviate(value: Tensor, mean: Tensor, shape: Tensor) -> Tensor:
    """Normal deviate of a value's place in a Gamma distribution, elementwise; at most `FURTHEST`.

    Args:
        value: at least zero.
        mean: mean of the distribution, above zero.
        shape: shape parameter of the distribution.
    """
    x = shape * value / mean.clamp_min(1e-30)
    below, above = torch.special.gammainc(shape, x), torch.special.gammaincc(shape, x)
    left, right = torch.special.ndtri(below), -torch.special.ndtri(above)
    # Each is exact in its own tail.
    return torch.where(below < 0.5, left, right).clamp(-FURTHEST, FURTHEST)


class GammaQuantiles(nn.Module):
    """Quantiles of Gamma distributions by a table: they depend on shape and mean alone.

    The table holds cube roots, which are nearly linear in a normal deviate (Wilson and Hilferty
    1931). Between its points, a quantile is within 2e-3 of itself and of the mean.
    """

    table_NZ: Tensor

    def __init__(self) -> None:
        super().__init__()
        shape_N1 = np.exp(np.linspace(*LOG_SHAPE, SHAPES))[:, None]
        deviate_Z = np.linspace(-FURTHEST, FURTHEST, DEVIATES)
        table_NZ = np.cbrt(gammaincinv(shape_N1, ndtr(deviate_Z)) / shape_N1).astype(np.float32)
        self.register_buffer("table_NZ", torch.from_numpy(table_NZ), persistent=False)

    def forward(self, mean: Tensor, shape: Tensor, deviate: Tensor) -> Tensor:
        """The value whose place has this normal deviate, elementwise; see `deviate`."""
        low, high = LOG_SHAPE
        row, down = _between((shape.log() - low) / (high - low), SHAPES)
        column, right = _between((deviate + FURTHEST) / (2 * FURTHEST), DEVIATES)
        table = self.table_NZ
        upper = torch.lerp(table[row, column], table[row, column + 1], right)
        lower = torch.lerp(table[row + 1, column], table[row + 1, column + 1], right)
        return mean * torch.lerp(upper, lower, down) ** 3


def _between(unit: Tensor, points: int) -> tuple[Tensor, Tensor]:
    """Index and fraction of values in 0 to 1 among evenly spaced points."""
    place = unit * (points - 1)
    left = place.floor().clamp(0, points - 2)
    return left.long(), (place - left).clamp(0, 1)


def log_negative_binomial(counts: Tensor, mean: Tensor, shape: Tensor) -> Tensor:
    """Log-probability of counts whose expectation has a Gamma distribution, elementwise.

    Args:
        counts: photons.
        mean: mean of the Gamma distribution, above zero.
        shape: shape of the Gamma distribution; its relative scatter is 1 / sqrt(shape).
    """
    # ln [Gamma(n + k) / (Gamma(k) k^n)], by Stirling's series where the difference cancels.
    small = shape.clamp_max(STIRLING)
    exact = (counts + small).lgamma() - small.lgamma() - counts * small.log()
    large = shape.clamp_min(STIRLING)
    series = (counts + large - 0.5) * (counts / large).log1p() - counts
    series = series + (1 / (counts + large) - 1 / large) / 12
    rising = torch.where(shape > STIRLING, series, exact)
    ratio = (mean / shape).log1p()
    return torch.xlogy(counts, mean) - (counts + shape) * ratio + rising - (counts + 1).lgamma()
