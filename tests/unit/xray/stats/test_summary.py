"""Summaries of samples against numpy and against the errors that they are to minimise."""

import numpy as np
import pytest
import torch

from wolter.xray.stats.summary import summarise

LEVELS = {"_lolim95": 0.025, "_lolim": 0.16, "_hilim": 0.84, "_upper": 0.95, "_hilim95": 0.975}
NAMES = ("nh", "norm")


@pytest.fixture(scope="module")
def samples() -> torch.Tensor:
    """Skew samples (4, 2000, 2), the second parameter a tiny number as norms are."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 2000, 2, generator=generator).exp() * torch.tensor([1.0, 1e-6])


def test_quantiles_are_those_of_numpy(samples):
    values = summarise(samples, NAMES)
    assert set(values) == {n + s for n in NAMES for s in ("", "_mfe", *LEVELS)}
    for i, name in enumerate(NAMES):
        x_BS = samples[:, :, i].double().numpy()
        for suffix, level in LEVELS.items():
            expected_B = np.quantile(x_BS, level, axis=1, method="hazen")
            assert values[name + suffix].numpy() == pytest.approx(expected_B, rel=1e-3)
        assert values[name].numpy() == pytest.approx(x_BS.mean(1), rel=1e-5)


def test_a_weight_is_as_good_as_repeated_samples():
    grid_S = torch.linspace(1, 2, 201)
    times_S = torch.arange(201) % 3 + torch.arange(201) // 100
    repeated = summarise(grid_S.repeat_interleave(times_S)[None, :, None], ["x"])
    shuffled_S = torch.randperm(201, generator=torch.Generator().manual_seed(0))
    weights_S = times_S / times_S.sum()
    weighted = summarise(grid_S[shuffled_S][None, :, None], ["x"], weights_S[shuffled_S][None])
    assert float(weighted["x"]) == pytest.approx(float(repeated["x"]), rel=1e-6)
    for name, value in weighted.items():
        assert float(value) == pytest.approx(float(repeated[name]), abs=1.01 / 200), name


def test_samples_without_weight_do_not_count(samples):
    few = summarise(samples[:, :500], NAMES)
    weights_BS = torch.zeros(4, 2000)
    weights_BS[:, :500] = 1 / 500
    all_of_them = summarise(samples, NAMES, weights_BS)
    for name, value in few.items():
        assert all_of_them[name].numpy() == pytest.approx(value.numpy(), rel=0.02), name


@pytest.mark.parametrize("weighted", [False, True])
def test_estimates_have_the_least_error_of_their_kind(samples, weighted):
    generator = torch.Generator().manual_seed(1)
    weights_BS = torch.rand(4, 2000, generator=generator) if weighted else torch.ones(4, 2000)
    weights_BS = weights_BS / weights_BS.sum(1, keepdim=True)
    values = summarise(samples, NAMES, weights_BS if weighted else None)
    factor_G = torch.linspace(0.5, 2, 301, dtype=torch.float64)
    for i, name in enumerate(NAMES):
        truth_BS = samples[:, :, i].double()

        def fractional(estimate_B, truth_BS=truth_BS):
            return (((estimate_B[:, None] - truth_BS) / truth_BS).abs() * weights_BS).sum(1)

        def squared(estimate_B, truth_BS=truth_BS):
            return ((estimate_B[:, None] - truth_BS).square() * weights_BS).sum(1)

        for error, estimate_B in ((fractional, values[f"{name}_mfe"]), (squared, values[name])):
            least_B = error(estimate_B.double())
            for factor in factor_G:
                # The MFE estimate lies between two samples, one of which has the least error.
                assert (error(factor * estimate_B.double()) >= least_B * (1 - 1e-5)).all()


def test_the_fractional_estimate_is_below_the_mean_and_none_is_outside(samples):
    values = summarise(samples, NAMES)
    for i, name in enumerate(NAMES):
        assert (values[f"{name}_mfe"] < values[name]).all()
        low_B, high_B = samples[:, :, i].aminmax(dim=1)
        for suffix in ("", "_mfe", *LEVELS):
            assert (values[name + suffix] >= low_B).all()
            assert (values[name + suffix] <= high_B).all()
