"""Learnt quantiles of the true rate, for calibrated intervals.

Intervals of an assumed distribution hold too few truths in some pixels and too many in others. A
small network reads the brightness, the certainty and the background of a prediction. It gives the
deviates of the distribution at which the quantiles are read. It learns by the pinball loss, which a
quantile minimises (Koenker and Bassett 1978); the loss has no gradient to other weights.

Shapes: L limits, N pixels.
"""

import math

import torch
from torch import Tensor, nn

LIMITS = (0.158655, 0.841345, 0.025, 0.975)  # of the central 68 % and 95 % intervals
HALVES = (1.0, 1.95996)  # half their widths where the distribution is right, deviates
WIDTH = 16  # of the network
LEAST = 1e-6  # counts that are none


class Intervals(nn.Module):
    """Deviates of the quantiles `LIMITS`, nested; at first those of the distribution itself."""

    limits_L: Tensor

    def __init__(self, features: int) -> None:
        """Build for `features` numbers a pixel, each counts or a shape."""
        super().__init__()
        self.register_buffer("limits_L", torch.tensor(LIMITS), persistent=False)
        last = nn.Linear(WIDTH, len(LIMITS))
        with torch.no_grad():
            last.weight.mul_(1e-3)
            last.bias.zero_()
        hidden = nn.Linear(features, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU()
        self.network = nn.Sequential(*hidden, last)

    def forward(self, *features: Tensor) -> Tensor:
        """Deviates (..., L) of the limits, by counts and shapes (...)."""
        seen = torch.stack([each.detach().clamp_min(LEAST).log() for each in features], -1) / 4
        with torch.autocast(seen.device.type, enabled=False):
            middle, *more = self.network(seen.float()).unbind(-1)
        inner, outer = HALVES
        half = inner * _positive(more[0])
        lower, upper = middle - half, middle + half
        beyond = outer - inner
        edges = lower - beyond * _positive(more[1]), upper + beyond * _positive(more[2])
        return torch.stack([lower, upper, *edges], -1)

    def loss(self, deviates_NL: Tensor, true_N: Tensor) -> Tensor:
        """Pinball loss (N), summed over the limits."""
        above_NL = true_N[:, None] - deviates_NL
        return torch.maximum(self.limits_L * above_NL, (self.limits_L - 1) * above_NL).sum(-1)


def _positive(value: Tensor) -> Tensor:
    """1 at 0, nearly linear above, and towards 0 below."""
    return nn.functional.softplus(value + math.log(math.e - 1))
