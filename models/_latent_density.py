"""Density of latents, and where a value lies among those of the training set.

Shapes: B batch, K mixture component, L latent, N level of brightness, Q score.
"""

import math

import torch
from torch import Tensor, nn

LEVELS = 8
QUANTILES = (0.5, 0.998)  # median, and the share of a normal below 2.878 sigmas
SIGMAS = 2.878
RATE = 0.02  # of the stochastic approximation, in units of the scores' own scale


class LatentDensity(nn.Module):
    """Mixture of Gaussians with diagonal covariances, learnt beside the latents."""

    def __init__(self, components: int, latents: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(components))
        self.centre = nn.Parameter(torch.randn(components, latents))
        self.log_scale = nn.Parameter(torch.zeros(components, latents) - 0.5)

    def forward(self, latent_BL: Tensor) -> Tensor:
        """Logarithm of the density (B)."""
        log_scale_KL = self.log_scale.clamp(-3.0, 3.0)
        z_BKL = (latent_BL[:, None] - self.centre) * (-log_scale_KL).exp()
        log_BK = -0.5 * z_BKL.square().sum(2) - log_scale_KL.sum(1)
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
