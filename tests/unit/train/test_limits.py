"""Limits of what can be asked of training and search, at their exact value."""

import pytest
import torch
from tests.synthetic import make_dataset

from wolter.errors import InputError
from wolter.train import muon
from wolter.train.job import ScaleConfig, make_job
from wolter.train.loop import TrainConfig
from wolter.train.muon import Muon, orthogonal
from wolter.tune.plan import SearchConfig


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ({"workers": 0}, {"workers": 1}),
        ({"workers": 2, "min_workers": 3}, {"workers": 2, "min_workers": 2}),
        ({"min_workers": -1}, {"min_workers": 0}),
        ({"use_gpu": "maybe"}, {"use_gpu": "auto"}),
    ],
)
def test_workers(bad, good):
    ScaleConfig(**good)
    with pytest.raises(InputError, match="scale: "):
        ScaleConfig(**bad)


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ({"trials": 0}, {"trials": 1}),
        ({"grace": 0}, {"grace": 1}),
        ({"parallel": -1}, {"parallel": 0}),
        ({"reduction": 1.0}, {"reduction": 1.01}),
    ],
)
def test_searches(bad, good):
    SearchConfig(**good)
    with pytest.raises(InputError, match="search: "):
        SearchConfig(**bad)


def test_as_many_rows_and_rows_in_a_batch_as_workers_are_enough(tmp_path):
    tiny = make_dataset(tmp_path, 20, n_shards=1)
    rows = make_job("mlp", tiny, train=TrainConfig(batch_size=64)).rows
    assert rows == 16
    for batch_size, most in ((64, rows), (5, 5)):
        train = TrainConfig(batch_size=batch_size)
        assert make_job("mlp", tiny, train=train, scale=ScaleConfig(workers=most)).rows == rows
        with pytest.raises(InputError, match="cannot be shared by"):
            make_job("mlp", tiny, train=train, scale=ScaleConfig(workers=most + 1))


def test_gibibytes_are_bytes_of_the_cache(tmp_path):
    tiny = make_dataset(tmp_path, 20, n_shards=1)
    job = make_job("mlp", tiny, scale=ScaleConfig(cache_gib=0.5, threads_per_worker=3))
    assert job.cache_bytes == 2**29
    assert job.threads == 3


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_orthogonal_steps_have_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before = torch.linalg.svd(matrix)
    after = torch.linalg.svd(orthogonal(matrix))
    assert ((after.S > 0.6) & (after.S < 1.3)).all()
    # The directions stay: U^T X V is diagonal.
    along = before.U[:, : min(shape)].T @ orthogonal(matrix) @ before.Vh[: min(shape)].T
    assert (along - along.diag().diag()).abs().max() < 0.05
    assert torch.equal(orthogonal(torch.zeros(shape)), torch.zeros(shape))


def test_the_first_step_of_muon_by_hand():
    """g' = g lerp(0.05 g, 0.95) = 0.0975 g, whose length orthogonalising forgets."""
    start = torch.eye(3, 5)
    matrix = torch.nn.Parameter(start.clone())
    gradient = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    matrix.grad = gradient.clone()
    optimiser = Muon([matrix], 0.1, 0.01)
    optimiser.step()
    expected = start * (1 - 0.1 * 0.01) - 0.1 * 0.2 * 5**0.5 * orthogonal(gradient)
    torch.testing.assert_close(matrix.detach(), expected)
    assert muon.MOMENTUM == 0.95
    other = torch.randn(3, 5, generator=torch.Generator().manual_seed(2))
    before, matrix.grad = matrix.detach().clone(), other.clone()
    optimiser.step()
    mean = 0.95 * 0.05 * gradient + 0.05 * other
    moved = orthogonal(0.05 * other + 0.95 * mean)
    torch.testing.assert_close(
        matrix.detach(), before * (1 - 0.1 * 0.01) - 0.1 * 0.2 * 5**0.5 * moved
    )
    buffer = optimiser.state[matrix]["momentum_buffer"]
    torch.testing.assert_close(buffer, mean)
