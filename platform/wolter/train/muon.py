"""Muon optimiser (Jordan et al. 2024): orthogonalised momentum steps of weight matrices.

PyTorch's own works in bfloat16, which is a hundred times slower than float32 on processors that
lack its instructions; this one does so on GPUs alone.

Shapes: M rows and N columns of a matrix.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

MOMENTUM = 0.95
# Each round takes singular values s to a s + b s^3 + c s^5, towards 0.7 to 1.2 from any below 1.
ROUNDS = 5
A, B, C = 3.4445, -4.7750, 2.0315
RMS = 0.2  # of AdamW's steps, to which these are scaled (Liu et al. 2025, arXiv 2502.16982)


class Muon(Optimizer):
    """Optimiser of matrices, with Nesterov momentum and decoupled weight decay."""

    def __init__(
        self, matrices: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__(matrices, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:  # named as PyTorch's, whose runs can go on
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                mean_MN = state["momentum_buffer"].lerp_(matrix.grad, 1 - MOMENTUM)
                step_MN = orthogonal(matrix.grad.lerp(mean_MN, MOMENTUM))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                size = RMS * math.sqrt(max(matrix.shape))
                matrix.add_(step_MN.to(matrix.dtype), alpha=-group["lr"] * size)


def orthogonal(matrix_MN: Tensor) -> Tensor:
    """A matrix with all its singular values brought near 1, by Newton and Schulz's iteration."""
    x = matrix_MN.to(torch.bfloat16 if matrix_MN.is_cuda else torch.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = A * x + torch.addmm(square, square, square, beta=B, alpha=C) @ x
    found: Tensor = x.mT if tall else x
    return found
