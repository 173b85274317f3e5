"""Where scores lie among those of spectra that are as bright, in sigmas of a normal distribution.

Shapes: B batch, N level of brightness, P quantile, Q score.
"""

import math

import torch
from torch import Tensor, nn

LEVELS = 8
BEYOND = (0.5, 0.3, 0.16, 0.07, 0.03, 0.01, 0.003)  # shares of a level above its quantiles
ROWS_PER_LEVEL = 333  # that tell the outermost of them
MOST = 600.0  # of -log p: 34 sigmas


class Ranks(nn.Module):
    """Empirical ranks of scores at each level of brightness; NaN until learnt.

    Between quantiles, and beyond the outermost, the logarithm of the share above is linear.
    """

    edges_N: Tensor
    quantile_NQP: Tensor
    log_beyond_P: Tensor

    def __init__(self, scores: int) -> None:
        super().__init__()
        self.register_buffer("edges_N", torch.full((LEVELS - 1,), torch.inf))
        self.register_buffer("quantile_NQP", torch.full((LEVELS, scores, len(BEYOND)), torch.nan))
        self.register_buffer("log_beyond_P", torch.tensor(BEYOND).log(), persistent=False)

    @torch.no_grad()
    def learn(self, brightness_B: Tensor, score_BQ: Tensor) -> None:
        """Set levels and quantiles from records that nothing else was learnt from."""
        self.edges_N.fill_(torch.inf)
        levels = max(1, min(LEVELS, len(score_BQ) // ROWS_PER_LEVEL))
        for level in range(1, levels):
            self.edges_N[level - 1] = brightness_B.quantile(level / levels)
        level_B = torch.bucketize(brightness_B, self.edges_N)
        at_P = 1 - torch.tensor(BEYOND).to(score_BQ)
        for level in range(levels):
            own_BQ = score_BQ[level_B == level]
            if not len(own_BQ):  # of faint spectra many have the same counts
                self.quantile_NQP[level] = self.quantile_NQP[level - 1]
                continue
            quantile_PQ = own_BQ.quantile(at_P, dim=0)
            # Scores that are the same have ranks all the same.
            steps_PQ = torch.arange(len(at_P)).to(score_BQ)[:, None] * 1e-6
            self.quantile_NQP[level] = (quantile_PQ + steps_PQ).T

    def forward(self, brightness_B: Tensor, score_BQ: Tensor) -> Tensor:
        """Sigmas (B, Q) beyond which a normal distribution has the share that is above a score."""
        level_B = torch.bucketize(brightness_B, self.edges_N)
        quantile_BQP = self.quantile_NQP[level_B]
        above_BQ1 = (score_BQ[..., None] > quantile_BQP).sum(2, keepdim=True)
        upper_BQ1 = above_BQ1.clamp(1, len(BEYOND) - 1)
        low_BQ1, high_BQ1 = (quantile_BQP.gather(2, upper_BQ1 - i) for i in (1, 0))
        share_BQ1 = (score_BQ[..., None] - low_BQ1) / (high_BQ1 - low_BQ1)
        log_low, log_high = self.log_beyond_P[upper_BQ1 - 1], self.log_beyond_P[upper_BQ1]
        log_BQ = (log_low + share_BQ1 * (log_high - log_low))[..., 0]
        log_BQ = log_BQ.clamp(-MOST, math.log(0.9)).double()
        sigmas_BQ: Tensor = -torch.special.ndtri(log_BQ.exp()).to(score_BQ)
        return sigmas_BQ
