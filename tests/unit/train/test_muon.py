import pytest
import torch
from torch import nn

from wolter.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(300, 140), (130, 400)])
def test_steps_have_about_the_same_size_along_every_direction(shape):
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-1, 0, shape[1])  # a square one has singular values near 0
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=generator) * scale))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_it_goes_where_pytorchs_goes():
    """Within bfloat16, in which that works: three digits, over all of the steps."""
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (nn.Parameter(torch.zeros(144, 200)) for _ in range(2))
    mine = Muon([ours], 1e-3, 0.1)
    other = torch.optim.Muon([theirs], 1e-3, 0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        gradient = torch.randn(ours.shape, generator=generator)
        for matrix, optimiser in ((ours, mine), (theirs, other)):
            matrix.grad = gradient.clone()
            optimiser.step()
    difference = (ours - theirs).norm() / theirs.norm()
    assert difference < 0.03


def test_a_matrix_without_gradient_stays():
    matrix = nn.Parameter(torch.ones(130, 130))
    Muon([matrix], 1e-3, 0.1).step()
    assert torch.equal(matrix.detach(), torch.ones(130, 130))
