"""Gaussian mixture with full covariances, fitted by expectation and maximisation.

Shapes: K component, N value, X dimension.
"""

import math

import torch
from torch import Tensor, nn

ROWS_PER_DIMENSION = 8  # of a component: fewer rows have fewer components
RIDGE = 0.01  # added to the variances of standardised values
STEPS, LLOYD_STEPS = 30, 10


class Mixture(nn.Module):
    """Density of standardised values; NaN until learnt (Dempster, Laird & Rubin 1977)."""

    log_weight_K: Tensor
    mean_KX: Tensor
    factor_KXX: Tensor  # inverse Cholesky factors of the covariances

    def __init__(self, components: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("log_weight_K", torch.full((components,), torch.nan))
        self.register_buffer("mean_KX", torch.zeros(components, dimensions))
        self.register_buffer("factor_KXX", torch.eye(dimensions).repeat(components, 1, 1))

    @torch.no_grad()
    def learn(self, value_NX: Tensor) -> None:
        """Fit the mixture; of few values fewer components, the others keep no weight."""
        n, x = value_NX.shape
        k = max(1, min(len(self.mean_KX), n // (ROWS_PER_DIMENSION * x)))
        centre_KX = _centres(value_NX, k)
        nearest_N = torch.cdist(value_NX, centre_KX).argmin(1)
        share_NK = nn.functional.one_hot(nearest_N, k).to(value_NX)
        self.log_weight_K.fill_(-torch.inf)
        for _ in range(STEPS):
            self._maximise(value_NX, share_NK)
            share_NK = self._log_joint(value_NX)[:, :k].softmax(1)

    def _maximise(self, value_NX: Tensor, share_NK: Tensor) -> None:
        """Weights, means and covariances of shares of values."""
        n, x = value_NX.shape
        for i, share_N in enumerate(share_NK.unbind(1)):
            total = share_N.sum().clamp_min(1e-6)
            mean_X = share_N @ value_NX / total
            offset_NX = value_NX - mean_X
            covariance_XX = (offset_NX * share_N[:, None]).T @ offset_NX / total
            covariance_XX = covariance_XX + RIDGE * torch.eye(x).to(value_NX)
            factor_XX = torch.linalg.cholesky(covariance_XX.double())
            identity_XX = torch.eye(x).to(factor_XX)
            inverse_XX = torch.linalg.solve_triangular(factor_XX, identity_XX, upper=False)
            self.factor_KXX[i] = inverse_XX.to(self.factor_KXX)
            self.mean_KX[i] = mean_X
            self.log_weight_K[i] = (total / n).log()

    def _log_joint(self, value_NX: Tensor) -> Tensor:
        """Logarithm of weight times density of each component (N, K)."""
        constant = 0.5 * value_NX.shape[1] * math.log(2 * math.pi)
        columns = []
        for log_weight, mean_X, factor_XX in zip(
            self.log_weight_K, self.mean_KX, self.factor_KXX, strict=True
        ):
            z_NX = (value_NX - mean_X) @ factor_XX.T
            log_scale = factor_XX.diagonal().log().sum()
            columns.append(log_weight + log_scale - 0.5 * z_NX.square().sum(1) - constant)
        return torch.stack(columns, 1)

    def forward(self, value_NX: Tensor) -> Tensor:
        """Logarithm of the density (N)."""
        return self._log_joint(value_NX).logsumexp(1)


def _centres(value_NX: Tensor, k: int) -> Tensor:
    """Centres (K, X) of k-means (Lloyd 1982), from values spread evenly over the given order."""
    centre_KX = value_NX[torch.linspace(0, len(value_NX) - 1, k).long()].clone()
    for _ in range(LLOYD_STEPS):
        nearest_N = torch.cdist(value_NX, centre_KX).argmin(1)
        count_K1 = torch.bincount(nearest_N, minlength=k)[:, None]
        sum_KX = torch.zeros_like(centre_KX).index_add_(0, nearest_N, value_NX)
        centre_KX = torch.where(count_K1 > 0, sum_KX / count_K1.clamp_min(1), centre_KX)
    return centre_KX
