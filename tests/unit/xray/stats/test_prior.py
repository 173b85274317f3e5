"""Priors against scipy's distributions, and their maps there and back."""

import numpy as np
import pytest
import torch
from scipy import stats

from wolter.xray.stats.prior import NORMAL_REACH, Prior
from wolter.xray.stats.sampling import LEAST_WIDTH, at_least_wide

KINDS = ("uniform", "log", "normal")
PRIOR = Prior(
    torch.tensor([1.0, 1e-5, 2.0], dtype=torch.float64),
    torch.tensor([3.0, 1e-2, 8.0], dtype=torch.float64),
    KINDS,
)
DISTRIBUTIONS = (
    stats.uniform(1, 2),
    stats.loguniform(1e-5, 1e-2),
    stats.truncnorm(-NORMAL_REACH, NORMAL_REACH, 5, 1),
)
SHARE_S = torch.linspace(0.001, 0.999, 101, dtype=torch.float64)


@pytest.mark.parametrize("column", range(3), ids=KINDS)
def test_quantiles_are_those_of_the_distribution(column):
    found_S = PRIOR.quantile(SHARE_S[:, None].expand(-1, 3))[:, column]
    np.testing.assert_allclose(found_S, DISTRIBUTIONS[column].ppf(SHARE_S), rtol=1e-9)


def test_unit_normals_and_parameters_are_mapped_there_and_back():
    normal_SP = torch.special.ndtri(SHARE_S)[:, None].expand(-1, 3)
    parameters_SP = PRIOR.physical(normal_SP)
    np.testing.assert_allclose(PRIOR.normal(parameters_SP), normal_SP, atol=1e-9)
    np.testing.assert_allclose(PRIOR.at(PRIOR.position(parameters_SP)), parameters_SP, rtol=1e-12)


def test_bounds_are_the_ends_of_the_range():
    ends_2P = torch.tensor([[0.0] * 3, [1.0] * 3], dtype=torch.float64)
    bounds_2P = torch.stack([PRIOR.low_P, PRIOR.high_P])
    for found in (PRIOR.at(ends_2P), PRIOR.quantile(ends_2P)):
        np.testing.assert_allclose(found, bounds_2P, rtol=1e-12)
    assert PRIOR.normal(bounds_2P).isfinite().all()


def test_slope_is_the_derivative_of_parameters():
    position_P = torch.full((3,), 0.3, dtype=torch.float64)
    slope_PP = torch.autograd.functional.jacobian(PRIOR.at, position_P)
    np.testing.assert_allclose(PRIOR.slope(PRIOR.at(position_P)), slope_PP.diagonal(), rtol=1e-9)


def test_a_scaled_prior_is_that_of_the_scaled_parameters():
    factor_BP = torch.tensor([[1.0, 2.0, 1.0], [1.0, 0.5, 1.0]], dtype=torch.float64)
    share_BP = torch.full((2, 3), 0.7, dtype=torch.float64)
    expected_BP = PRIOR.quantile(share_BP) * factor_BP
    np.testing.assert_allclose(PRIOR.scaled(factor_BP).quantile(share_BP), expected_BP, rtol=1e-12)


def test_samples_at_one_value_are_widened_within_the_range():
    bounds_2P = torch.stack([PRIOR.low_P, PRIOR.high_P])
    samples_BSP = bounds_2P[:, None].expand(2, 1000, 3)
    wide_BSP = at_least_wide(samples_BSP, torch.zeros(2, 3), PRIOR)
    position_BSP = PRIOR.position(wide_BSP)
    assert (position_BSP >= -1e-12).all()
    assert (position_BSP <= 1 + 1e-12).all()
    edge_BSP = torch.tensor([0.0, 1.0])[:, None, None]
    distance_BP = (position_BSP - edge_BSP).abs().mean(1)
    # The mean of |normal| is sqrt(2/pi).
    np.testing.assert_allclose(distance_BP, LEAST_WIDTH * (2 / np.pi) ** 0.5, rtol=0.01)
