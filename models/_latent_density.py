"""Density of latents, and where a value lies among those of the training set.

Shapes: B batch, C channel, K mixture component, L latent, N level of brightness, Q score.
"""

import math

import torch
from torch import Tensor, nn

from wolter.xray.stats.goodness import goodness

LEVELS = 8
QUANTILES = (0.5, 0.998)  # median, and the share of a normal below 2.878 sigmas
SIGMAS = 2.878
WINDOWS = (2, 4, 8, 16, 32)  # channels that are scanned together
LEAST = 1e-3  # expected counts of a window
RATE = 0.02  # of the stochastic approximation, in units of the scores' own scale


class LatentDensity(nn.Module):
    """Mixture of Gaussians with full covariances, learnt beside the latents."""

    def __init__(self, components: int, latents: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(components))
        self.centre = nn.Parameter(torch.randn(components, latents))
        # Cholesky factors of the inverse covariances, the logarithm on the diagonal.
        self.factor = nn.Parameter(torch.zeros(components, latents, latents))

    def forward(self, latent_BL: Tensor) -> Tensor:
        """Logarithm of the density (B)."""
        diagonal_KL = torch.diagonal(self.factor, dim1=1, dim2=2).clamp(-3.0, 5.0)
        factor_KLL = self.factor.tril(-1) + torch.diag_embed(diagonal_KL.exp())
        offset_KL = torch.einsum("klm,km->kl", factor_KLL, self.centre)
        z_BKL = torch.einsum("klm,bm->bkl", factor_KLL, latent_BL) - offset_KL
        log_BK = -0.5 * z_BKL.square().sum(2) + diagonal_KL.sum(1)
        constant = 0.5 * latent_BL.shape[1] * math.log(2 * math.pi)
        return torch.logsumexp(log_BK + self.weight.log_softmax(0), 1) - constant


class Standing(nn.Module):
    """Standing of scores among the training set's of the same brightness, in sigmas.

    Median and 99.8 % quantile of each score at each level of brightness are followed while the
    network trains (stochastic approximation, Robbins & Monro 1951).
    """

    edges_N: Tensor
    quantile_2NQ: Tensor
    scale_NQ: Tensor

    def __init__(self, scores: int) -> None:
        super().__init__()
        self.register_buffer("edges_N", torch.full((LEVELS - 1,), torch.inf))
        self.register_buffer("quantile_2NQ", torch.zeros(2, LEVELS, scores))
        self.register_buffer("scale_NQ", torch.ones(LEVELS, scores))

    def learn(self, brightness_B: Tensor) -> None:
        """Set the levels from a sample of the training set."""
        at = torch.arange(1, LEVELS, device=brightness_B.device) / LEVELS
        self.edges_N.copy_(brightness_B.quantile(at))

    @torch.no_grad()
    def follow(self, brightness_B: Tensor, score_BQ: Tensor) -> None:
        """Move the quantiles by one batch of the training set."""
        level_B = torch.bucketize(brightness_B, self.edges_N)
        for level in range(LEVELS):
            of_BQ = score_BQ[level_B == level]
            if len(of_BQ) < 2:
                continue
            middle_Q = self.quantile_2NQ[0, level]
            self.scale_NQ[level].lerp_((of_BQ - middle_Q).abs().mean(0), RATE)
            for i, share in enumerate(QUANTILES):
                below_Q = (of_BQ < self.quantile_2NQ[i, level]).float().mean(0)
                # Steps of the outer quantile are rarer on one side by its odds.
                step_Q = RATE * self.scale_NQ[level] * (share - below_Q) / math.sqrt(1.002 - share)
                self.quantile_2NQ[i, level] += step_Q

    def forward(self, brightness_B: Tensor, score_BQ: Tensor) -> Tensor:
        """The largest score (B), in sigmas above the median of the training set."""
        level_B = torch.bucketize(brightness_B, self.edges_N)
        middle_BQ, outer_BQ = self.quantile_2NQ[:, level_B]
        width_BQ = (outer_BQ - middle_BQ).clamp_min(1e-3)
        sigmas_BQ: Tensor = SIGMAS * (score_BQ - middle_BQ) / width_BQ
        return sigmas_BQ.amax(1)


def misfits(counts_BC: Tensor, expected_BC: Tensor) -> Tensor:
    """Whether counts differ from expected ones (B, 2): in all channels, and in some window.

    The first is C-stat in deviations from its expectation (Kaastra 2017), the second the root of
    the largest deviance of a window's sum: a line of few counts is seen in it alone.
    """
    whole_B = goodness(counts_BC, expected_BC.clamp_min(1e-4)).z.to(counts_BC)
    worst = []
    for width in WINDOWS:
        if width > counts_BC.shape[1]:
            break
        counts_BW, expected_BW = (
            width * nn.functional.avg_pool1d(each[:, None], width, max(1, width // 2))[:, 0]
            for each in (counts_BC, expected_BC)
        )
        expected_BW = expected_BW.clamp_min(LEAST)
        log_ratio_BW = (counts_BW.clamp_min(1e-9) / expected_BW).log()
        deviance_BW = 2 * (counts_BW * log_ratio_BW + expected_BW - counts_BW)
        worst.append(deviance_BW.clamp_min(0).sqrt().amax(1))
    return torch.stack([whole_B, torch.stack(worst).amax(0)], 1)
