"""Anomaly score of a spectrum: distance of its counts from the training spectra.

Two distances, each standardised by what the training set itself has at that number of counts.
*Outside*: counts are stabilised (Anscombe 1948) and projected on the principal components of the
training set; the projection's C-stat over its expectation (Kaastra 2017) says how badly the closest
mixture of training spectra describes the counts. *Inside*: the Mahalanobis distance of the
projection from training spectra that are as bright, as the cube root of its square, which is nearly
normal (Wilson & Hilferty 1931). Components come from one half of a sample, standards from the
other, where nothing was fitted to the noise.

Share of 10,000 test spectra beyond 3.5 sigmas, percent (25 ks standard set; pretrained EPIC-pn):
untouched 0.09; a line at 0.9 keV with 5, 10, 20 % of the counts 94.5, 99.8, 100.0; as much spread
evenly over 0.5-1.5 keV 11, 57, 91; 2, 5, 10 dead channels from 1 keV 99.7, 100.0, 100.0; gain off
by 1, 2, 5 % 45, 85, 96. Of smooth deviations of faint sources it sees little: a cutoff or a slope
within what the components allow is for a fit to judge (`wolter.spectra.model_check`).

Shapes: B batch, C channel, K component, L level of brightness.
"""

import math

import torch
from torch import Tensor, nn

from wolter.xray.stats.goodness import goodness

COMPONENTS = 32  # the 20th of simulated spectra is noise alone
LEVELS = 8
FEWEST = 32  # rows that tell anything of a training set
ROWS_PER_LEVEL = 512
FLOOR = 0.02  # expected counts of a channel: one count where none was ever seen is a deviation
TAIL, TAIL_SIGMA = 0.998, 2.878  # share of a normal below so many sigmas


def anscombe(counts: Tensor) -> Tensor:
    """Variance-stabilising transform of Poisson counts (Anscombe 1948)."""
    return 2 * torch.sqrt(counts + 0.375)


def unbiased_inverse(root: Tensor) -> Tensor:
    """Expected counts whose mean Anscombe transform is given (Makitalo & Foi 2011)."""
    root = root.clamp_min(2 * math.sqrt(0.375))
    half = math.sqrt(1.5)
    terms = (half / 4 / root, -11 / 8 / root.square(), 5 / 8 * half / root**3)
    return root.square() / 4 + sum(terms) - 1 / 8


class Anomaly(nn.Module):
    """Anomaly score in standard deviations from a training set; NaN until learnt."""

    mean_C: Tensor
    components_KC: Tensor
    edges_L: Tensor
    centre_LK: Tensor
    whiten_LKK: Tensor
    middle_2L: Tensor
    scale_2L: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        k = min(COMPONENTS, n_channels // 4)
        shapes = {
            "mean_C": (n_channels,),
            "components_KC": (k, n_channels),
            "edges_L": (LEVELS - 1,),
            "centre_LK": (LEVELS, k),
            "whiten_LKK": (LEVELS, k, k),
            "middle_2L": (2, LEVELS),
            "scale_2L": (2, LEVELS),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.full(shape, torch.nan))

    @torch.no_grad()
    def learn(self, counts_BC: Tensor) -> None:
        """Learn the distribution of training spectra from a sample of counts.

        A sample of less than 32 rows tells too little, and leaves the anomaly unknown.
        """
        if len(counts_BC) < FEWEST:
            return
        shaping_BC, standard_BC = counts_BC[::2], counts_BC[1::2]
        for name, value in self.named_buffers():
            value.fill_(torch.inf if name == "edges_L" else 0.0)
        root_BC = anscombe(shaping_BC).double()
        self.mean_C.copy_(root_BC.mean(0))
        k = min(len(self.components_KC), len(root_BC) // 4)
        _, vectors_CC = torch.linalg.eigh(torch.cov(root_BC.T))
        self.components_KC[:k] = vectors_CC[:, -k:].T.flip(0)
        levels = max(1, min(LEVELS, len(shaping_BC) // ROWS_PER_LEVEL))
        total_B = counts_BC.sum(1)
        for level in range(1, levels):
            self.edges_L[level - 1] = total_B.quantile(level / levels)
        score_BK, level_B = self._project(shaping_BC)[0][:, :k], self._level(shaping_BC)
        for level in range(levels):
            of_BK = score_BK[level_B == level].double()
            self.centre_LK[level, :k] = of_BK.mean(0)
            # Noise has unit variance: a hundredth more keeps a constant component finite.
            covariance_KK = torch.cov(of_BK.T) + 0.01 * torch.eye(k).to(of_BK)
            whiten_KK = torch.linalg.inv(torch.linalg.cholesky(covariance_KK))
            self.whiten_LKK[level, :k, :k] = whiten_KK
        self._standardise(standard_BC, levels)

    def _standardise(self, counts_BC: Tensor, levels: int) -> None:
        distance_2B, level_B = self._distances(counts_BC), self._level(counts_BC)
        for level in range(levels):
            of_2B = distance_2B[:, level_B == level]
            self.middle_2L[:, level] = of_2B.mean(1)
            self.scale_2L[:, level] = of_2B.std(1).clamp_min(1e-3)
        # A share beyond which a normal has 0.2 % shall have 0.2 %, however heavy the tails.
        sigmas_2B = (distance_2B - self.middle_2L[:, level_B]) / self.scale_2L[:, level_B]
        heavy_21 = sigmas_2B.quantile(TAIL, dim=1, keepdim=True) / TAIL_SIGMA
        self.scale_2L.mul_(heavy_21.clamp_min(1.0))

    def _level(self, counts_BC: Tensor) -> Tensor:
        return torch.bucketize(counts_BC.sum(1), self.edges_L)

    def _project(self, counts_BC: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, K), and the expected counts (B, C) that they make."""
        score_BK = (anscombe(counts_BC) - self.mean_C) @ self.components_KC.T
        root_BC = self.mean_C + score_BK @ self.components_KC
        return score_BK, unbiased_inverse(root_BC).clamp_min(FLOOR)

    def _distances(self, counts_BC: Tensor) -> Tensor:
        """Outside and inside (2, B), in units of their own."""
        score_BK, expected_BC = self._project(counts_BC)
        level_B = self._level(counts_BC)
        offset_BK1 = (score_BK - self.centre_LK[level_B])[..., None]
        inside_B = (self.whiten_LKK[level_B] @ offset_BK1).square().sum((1, 2))
        outside_B = goodness(counts_BC, expected_BC).z.to(inside_B)
        return torch.stack([outside_B, inside_B ** (1 / 3)])

    @torch.no_grad()
    def forward(self, counts_BC: Tensor) -> Tensor:
        """The larger of both distances (B), in sigmas above the mean of the training set."""
        if bool(self.mean_C.isnan().any()):
            return torch.full_like(counts_BC[:, 0], torch.nan)
        distance_2B, level_B = self._distances(counts_BC), self._level(counts_BC)
        sigmas_2B = (distance_2B - self.middle_2L[:, level_B]) / self.scale_2L[:, level_B]
        return sigmas_2B.amax(0)
