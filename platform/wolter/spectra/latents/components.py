"""Principal components of normalised spectra: the linear baseline, with as many numbers.

Shapes: C channel, L component, N spectrum.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.stats.likelihood import cstat

FLOORS = (0.3, 0.1, 0.03, 0.01)  # of a decoded shape, in units of a flat one
_STEPS = 100  # of the amplitude, which converge to 1e-3 of its error


@dataclass(frozen=True)
class Components:
    """Mean shape (C), principal components (L, C), and the floor of decoded shapes."""

    mean_C: Tensor
    axes_LC: Tensor
    floor: float

    def scores(self, net_NC: Tensor) -> Tensor:
        """Components (N, L) of net counts."""
        return (normalised(net_NC) - self.mean_C) @ self.axes_LC.mT

    def shapes(self, score_NL: Tensor) -> Tensor:
        """Decoded shapes (N, C), positive, of sum 1."""
        shape_NC = (self.mean_C + score_NL @ self.axes_LC).clamp_min(self.floor / len(self.mean_C))
        return shape_NC / shape_NC.sum(1, keepdim=True)

    def expected(self, counts_NC: Tensor, background_NC: Tensor) -> Tensor:
        """Expected counts of the source (N, C): the decoded shape, its amplitude fitted."""
        shape_NC = self.shapes(self.scores(counts_NC - background_NC))
        return shape_NC * amplitude(shape_NC, counts_NC, background_NC)[:, None]


def normalised(net_NC: Tensor) -> Tensor:
    """Net counts over their sum; over 1 where it is smaller."""
    return net_NC / net_NC.sum(1, keepdim=True).clamp_min(1)


def principal_components(counts_NC: Tensor, background_NC: Tensor, n: int) -> Components:
    """Principal components of normalised spectra.

    Spectra weigh by their counts, as the variance of a normalised spectrum falls with them. The
    floor is that of `FLOORS` with the smallest deviance of the same spectra.

    Args:
        counts_NC: counts to learn from.
        background_NC: expected background in them.
        n: number of components.
    """
    net_NC = counts_NC - background_NC
    shape_NC = normalised(net_NC).double()
    weight_N = net_NC.sum(1).clamp_min(1).double()
    weight_N = weight_N / weight_N.sum()
    mean_C = weight_N @ shape_NC
    centred_NC = shape_NC - mean_C
    covariance_CC = (centred_NC * weight_N[:, None]).mT @ centred_NC
    axes_LC = torch.linalg.eigh(covariance_CC).eigenvectors[:, -n:].mT.flip(0)
    found = [Components(mean_C.float(), axes_LC.float(), floor) for floor in FLOORS]

    def deviance(each: Components) -> float:
        expected_NC = each.expected(counts_NC, background_NC) + background_NC
        return float(cstat(counts_NC, expected_NC).mean())

    return min(found, key=deviance)


def amplitude(shape_NC: Tensor, counts_NC: Tensor, background_NC: Tensor) -> Tensor:
    """Most likely source counts (N) of shapes of sum 1 on a known background.

    By expectation maximisation (Lucy 1974), which never lowers the likelihood.
    """
    level_N = counts_NC.sum(1).clamp_min(1e-3)
    for _ in range(_STEPS):
        expected_NC = level_N[:, None] * shape_NC + background_NC
        level_N = level_N * (shape_NC * counts_NC / expected_NC.clamp_min(1e-20)).sum(1)
    return level_N
