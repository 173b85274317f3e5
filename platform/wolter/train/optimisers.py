"""Choice of optimisers for the weights of a module: AdamW, or Muon for matrices."""

from torch import nn
from torch.optim import AdamW, Optimizer

from wolter.train.muon import Muon

OPTIMISERS = ("adamw", "muon")
LEAST = 128  # rows and columns of a matrix that Muon moves; smaller ones belong to outputs


def optimisers(
    module: nn.Module, name: str, learning_rate: float, weight_decay: float
) -> list[Optimizer]:
    """Optimisers that together update all trainable weights, each weight once.

    Args:
        module: what is trained.
        name: "adamw", or "muon": large matrices by Muon (Jordan et al. 2024), whose steps have the
            same size along every direction of a matrix, and the rest by AdamW. A Muon step costs as
            much as a thousand rows of a batch, and gains where some directions matter far more
            than others: a posterior that is narrow in one parameter and wide in another.
        learning_rate: the peak's; Muon's steps are scaled to the root mean square of AdamW's
            (Liu et al. 2025), so that one rate serves both.
        weight_decay: weight decay of matrices and kernels, not of biases and norms.
    """
    assert name in OPTIMISERS
    learning = [p for p in module.parameters() if p.requires_grad]
    matrices = [p for p in learning if name == "muon" and p.ndim == 2 and min(p.shape) >= LEAST]
    known = {id(p) for p in matrices}
    others = [p for p in learning if id(p) not in known]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    found: list[Optimizer] = [AdamW(groups, learning_rate, betas=(0.9, 0.98), fused=True)]
    if matrices:
        found.append(Muon(matrices, learning_rate, weight_decay))
    return found
