"""Photons whose expectation is not known exactly but has a Gamma distribution.

Shapes: N points of the table.
"""

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor, nn

LOG_SHAPE = (-4.0, 9.0)  # range of the natural logarithm of the shape
LIMITS = (0.158655, 0.841345, 0.025, 0.975)  # of the central 68 % and 95 % intervals
POINTS = 1025
STIRLING = 20.0  # shape from which the series of the gamma function is exact in float32


def shape_of(logarithm: Tensor) -> Tensor:
    """Shape of a Gamma distribution by its logarithm, which is kept within `LOG_SHAPE`."""
    return logarithm.clamp(*LOG_SHAPE).exp()


class GammaLimits(nn.Module):
    """Quantiles `LIMITS` of Gamma distributions, by a table: they depend on shape and mean alone.

    Between its points, a quantile is within 1e-3 of the mean.
    """

    table_N4: Tensor

    def __init__(self) -> None:
        super().__init__()
        shape_N1 = np.exp(np.linspace(*LOG_SHAPE, POINTS))[:, None]
        table_N4 = (gammaincinv(shape_N1, np.array(LIMITS)) / shape_N1).astype(np.float32)
        self.register_buffer("table_N4", torch.from_numpy(table_N4), persistent=False)

    def forward(self, mean: Tensor, shape: Tensor, limit: int) -> Tensor:
        """Quantile number `limit`, elementwise."""
        low, high = LOG_SHAPE
        place = (shape.log() - low) * ((POINTS - 1) / (high - low))
        left = place.floor().clamp(0, POINTS - 2)
        column_N, index = self.table_N4[:, limit], left.long()
        return mean * torch.lerp(column_N[index], column_N[index + 1], place - left)


def log_negative_binomial(counts: Tensor, mean: Tensor, shape: Tensor) -> Tensor:
    """Log-probability of counts whose expectation has a Gamma distribution, elementwise.

    Args:
        counts: photons.
        mean: of the Gamma distribution, above zero.
        shape: of it; its relative deviation is 1 / sqrt(shape).
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
