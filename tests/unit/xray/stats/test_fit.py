"""Fits of closed forms, and of the reference model on a made-up instrument."""

import math

import pytest
import torch

from wolter.errors import InputError
from wolter.xray.emission.components import parse
from wolter.xray.spectral.forward import Forward
from wolter.xray.spectral.response import Response
from wolter.xray.stats.fit import Counted, fit, random_starts
from wolter.xray.stats.levenberg_marquardt import UnitBox

F64 = torch.float64
SHAPE_C = torch.linspace(1.0, 2.0, 20, dtype=F64)


def scaled(parameters_BP, exposure_B):
    """One parameter: the norm of a fixed shape."""
    return parameters_BP[:, :1] * SHAPE_C * exposure_B[:, None]


def counted(counts_BC, background_BC=None, exposure_s=1.0, scale_B=None):
    background_BC = torch.zeros_like(counts_BC) if background_BC is None else background_BC
    exposure_B = torch.full((len(counts_BC),), exposure_s, dtype=counts_BC.dtype)
    return Counted(counts_BC, exposure_B, background_BC, scale_B)


def bounds(*pairs):
    return torch.tensor(pairs, dtype=F64).T


def ccd() -> Response:
    """A camera of 100 cm^2 and 120 eV at 0.3-10 keV."""
    edges_E1 = torch.linspace(0.3, 10, 301, dtype=F64)
    edges_C1 = torch.linspace(0.3, 10, 151, dtype=F64)
    energy_E, channel_C = (edges_E1[1:] + edges_E1[:-1]) / 2, (edges_C1[1:] + edges_C1[:-1]) / 2
    matrix_EC = torch.exp(-0.5 * ((channel_C - energy_E[:, None]) / 0.05) ** 2)
    return Response(edges_E1, 1000 * matrix_EC / matrix_EC.sum(1, keepdim=True), edges_C1, 0)


NAMES = ("nh", "slope", "pow_norm", "line_energy", "line_norm")
BOUNDS = bounds((0.01, 1.0), (1.0, 3.0), (4e-4, 4e-2), (5.0, 7.0), (1e-5, 1e-3))
TRUTH = torch.tensor([[0.3, 1.7, 8e-3, 6.2, 3e-4], [0.6, 2.4, 2e-2, 5.7, 5e-4]], dtype=F64)
NEAR = TRUTH * torch.tensor([1.3, 0.9, 1.2, 1.01, 0.7], dtype=F64)


@pytest.fixture(scope="module")
def forward():
    return Forward.of(parse("wabs * (powerlaw + gaussian)"), ccd(), NAMES, {"sigma": 0.1})


@pytest.mark.parametrize("method", ["lm", "simplex"])
def test_noise_free_counts_give_the_parameters_back(forward, method):
    counts_BC = forward(TRUTH, 1e4) + 5
    best = fit(
        forward,
        counted(counts_BC, torch.full_like(counts_BC, 5.0), 1e4),
        NEAR,
        BOUNDS,
        method=method,
    )
    assert best.converged_B.all()
    assert (best.statistic_B < 2e-3).all()
    # An expected fall of 1e-3 is 3 % of an error: 4 % leaves room for correlations.
    assert ((best.parameters_BP - TRUTH).abs() < 0.04 * best.error_BP).all()


def test_both_methods_and_a_measured_background_agree_on_noisy_counts(forward):
    generator = torch.Generator().manual_seed(0)
    truth_BP = TRUTH.repeat(4, 1)
    counts_BC = torch.poisson(forward(truth_BP, 1e4) + 5, generator)
    known = counted(counts_BC, torch.full_like(counts_BC, 5.0), 1e4)
    lm = fit(forward, known, truth_BP, BOUNDS)
    simplex = fit(forward, known, truth_BP, BOUNDS, method="simplex")
    torch.testing.assert_close(lm.statistic_B, simplex.statistic_B, rtol=0, atol=5e-3)
    # A background measured in a region a million times as large is as good as known.
    scale_B = torch.full((8,), 1e-6, dtype=F64)
    measured = counted(counts_BC, torch.full_like(counts_BC, 5e6), 1e4, scale_B)
    wstat = fit(forward, measured, truth_BP, BOUNDS)
    torch.testing.assert_close(lm.statistic_B, wstat.statistic_B, rtol=0, atol=5e-3)
    torch.testing.assert_close(lm.covariance_BPP, wstat.covariance_BPP, rtol=1e-2, atol=1e-12)


def test_float32_counts_are_enough(forward):
    counts_BC = torch.poisson(forward(TRUTH, 1e4), torch.Generator().manual_seed(1))
    exact = fit(forward, counted(counts_BC, exposure_s=1e4), NEAR, BOUNDS)
    single = Forward.of(forward.model.model, ccd().to(dtype=torch.float32), NAMES, {"sigma": 0.1})
    rough = fit(single, counted(counts_BC.float(), exposure_s=1e4), NEAR, BOUNDS)
    assert rough.statistic_B.dtype == F64
    torch.testing.assert_close(rough.statistic_B, exact.statistic_B, rtol=0, atol=5e-3)


def test_a_single_norm_has_a_closed_form():
    """n ~ Poisson(N s t): N = sum n / (t sum s), variance N / (t sum s)."""
    counts_BC = torch.poisson(30 * SHAPE_C.expand(5, -1), torch.Generator().manual_seed(2))
    best = fit(scaled, counted(counts_BC, exposure_s=10.0), torch.ones(5, 1), bounds((0.1, 50)))
    norm_B = counts_BC.sum(1) / (10 * SHAPE_C.sum())
    torch.testing.assert_close(best.parameters_BP[:, 0], norm_B, rtol=1e-3, atol=0)
    variance_B = norm_B / (10 * SHAPE_C.sum())
    torch.testing.assert_close(best.covariance_BPP[:, 0, 0], variance_B, rtol=2e-3, atol=0)


def test_profile_limits_of_a_single_norm():
    """The statistic rises by 2 (m - n ln m) of the totals: its roots are known."""
    counts_BC = torch.full((1, 20), 2.0, dtype=F64)
    best = fit(scaled, counted(counts_BC), torch.ones(1, 1), bounds((0.01, 50)), intervals=True)
    n, total = 40.0, float(SHAPE_C.sum())
    assert best.limits_BSP is not None
    for limit in (best.limits_BSP[0, :, 0] * total).tolist():
        rise = 2 * (limit - n - n * math.log(limit / n))
        assert rise == pytest.approx(1, abs=0.03)


def test_profile_intervals_hold_the_truth_as_often_as_they_say(forward):
    generator = torch.Generator().manual_seed(3)
    truth_BP = TRUTH[:1].expand(150, -1)
    counts_BC = torch.poisson(forward(truth_BP, 1e4), generator)
    best = fit(forward, counted(counts_BC, exposure_s=1e4), truth_BP, BOUNDS, intervals=True)
    assert best.limits_BSP is not None
    inside_BP = (best.limits_BSP[:, 0] <= truth_BP) & (truth_BP <= best.limits_BSP[:, 1])
    # Binomial of 150 at 0.683: 3.5 standard deviations are 0.13.
    assert ((inside_BP.double().mean(0) - 0.683).abs() < 0.13).all()


def test_profile_limits_stop_at_the_bounds():
    counts_BC = torch.full((1, 20), 2.0, dtype=F64)
    tight = bounds((1.30, 1.35))
    best = fit(scaled, counted(counts_BC), torch.full((1, 1), 1.32), tight, intervals=True)
    assert best.limits_BSP is not None
    torch.testing.assert_close(best.limits_BSP[0, :, 0], tight[:, 0])


@pytest.mark.parametrize("method", ["lm", "simplex"])
def test_an_optimum_beyond_a_bound_ends_at_it_and_counts_as_fixed(forward, method):
    counts_BC = forward(TRUTH, 1e4)
    cut = BOUNDS.clone()
    cut[1, 1] = 1.5  # the slopes are 1.7 and 2.4
    best = fit(forward, counted(counts_BC, exposure_s=1e4), NEAR, cut, method=method)
    assert best.at_bound_BP[:, 1].all()
    assert (best.parameters_BP[:, 1] == 1.5).all()
    assert best.error_BP[:, 1].isnan().all()
    assert (best.covariance_BPP[:, 1] == 0).all()
    assert (best.covariance_BPP[:, 0, 0] > 0).all()


def test_starts_outside_the_bounds_begin_at_them():
    best = fit(scaled, counted(SHAPE_C[None] * 3), torch.full((1, 1), 99.0), bounds((0.1, 5)))
    assert best.parameters_BP.item() == pytest.approx(3, rel=1e-3)


def test_a_start_that_is_not_a_number_is_the_middle(forward):
    counts_BC = forward(TRUTH, 1e4) + 5
    data = counted(counts_BC, torch.full_like(counts_BC, 5.0), 1e4)
    middle_BP = BOUNDS.mean(0).expand(2, -1).clone()
    start_BP = middle_BP.clone()
    start_BP[:, 1:3] = torch.nan
    lost, usual = (fit(forward, data, each, BOUNDS) for each in (start_BP, middle_BP))
    torch.testing.assert_close(lost.parameters_BP, usual.parameters_BP, rtol=1e-6, atol=0)
    assert bool(lost.statistic_B.isfinite().all())


def test_the_best_of_several_starts_is_kept(forward):
    counts_BC = forward(TRUTH, 1e4)
    data = counted(counts_BC, exposure_s=1e4)
    starts = random_starts(BOUNDS, 2, 6, torch.Generator().manual_seed(4))
    starts[:, 3] = NEAR
    assert (fit(forward, data, starts, BOUNDS).statistic_B < 2e-3).all()


def test_the_search_finds_a_line_that_was_fitted_away(forward):
    truth_BP = torch.tensor([[0.3, 1.7, 8e-3, 5.2, 9e-4]], dtype=F64)
    data = counted(forward(truth_BP, 1e4), exposure_s=1e4)
    far_BP = truth_BP.clone()
    far_BP[:, 3:] = torch.tensor([6.8, 1e-5])
    lost = fit(forward, data, far_BP, BOUNDS)
    assert lost.statistic_B > 100
    found = fit(forward, data, far_BP, BOUNDS, search=True)
    assert found.statistic_B < 1e-2
    assert found.parameters_BP[0, 3] == pytest.approx(5.2, abs=1e-2)


def test_no_counts_and_no_background_do_not_break_a_fit(forward):
    zeros_BC = torch.zeros(2, 150, dtype=F64)
    for scale_B in (None, torch.zeros(2, dtype=F64), torch.ones(2, dtype=F64)):
        best = fit(forward, counted(zeros_BC, exposure_s=1e4, scale_B=scale_B), NEAR, BOUNDS)
        assert best.statistic_B.isfinite().all()
        assert (best.parameters_BP[:, 2] == BOUNDS[0, 2]).all()


def test_without_a_background_region_wstat_is_cstat():
    counts_BC = torch.full((1, 20), 2.0, dtype=F64)
    start = torch.ones(1, 1)
    cstat = fit(scaled, counted(counts_BC), start, bounds((0.1, 5)))
    wstat = fit(
        scaled, counted(counts_BC, scale_B=torch.zeros(1, dtype=F64)), start, bounds((0.1, 5))
    )
    torch.testing.assert_close(cstat.statistic_B, wstat.statistic_B)
    torch.testing.assert_close(cstat.parameters_BP, wstat.parameters_BP)


def test_slope_and_information_are_those_of_the_statistics():
    """The slope is the statistic's own gradient; the information, the profile's mean curvature."""
    generator = torch.Generator().manual_seed(5)
    counts_BC = torch.poisson(torch.full((4, 30), 3.0, dtype=F64), generator)
    region_BC = torch.poisson(torch.full((4, 30), 2.0, dtype=F64), generator)
    source_BC = torch.rand(4, 30, generator=generator, dtype=F64) * 5 + 0.01
    for scale_B in (None, torch.tensor([0.1, 0.5, 1.0, 3.0], dtype=F64)):
        data = counted(counts_BC, region_BC, scale_B=scale_B)
        moving_BC = source_BC.clone().requires_grad_()
        (slope_BC,) = torch.autograd.grad(data.statistic(moving_BC).sum() / 2, moving_BC)
        torch.testing.assert_close(data.score(source_BC)[0], slope_BC, rtol=1e-6, atol=1e-9)
    exact = counted(
        source_BC + 0.5 * 2.0, torch.full_like(source_BC, 2.0), scale_B=scale_B * 0 + 0.5
    )
    _, information_BC = exact.score(source_BC)
    torch.testing.assert_close(information_BC, 1 / (source_BC + 1.0 + 0.5 * 1.0))


def test_a_parameter_that_the_data_do_not_know_has_an_infinite_error():
    def blind(parameters_BP, exposure_B):
        return parameters_BP[:, :1] * SHAPE_C + 0 * parameters_BP[:, 1:]

    best = fit(blind, counted(SHAPE_C[None] * 3), torch.ones(1, 2), bounds((0.1, 5), (0, 2)))
    assert best.error_BP[0, 1].isinf()
    assert best.error_BP[0, 0] == pytest.approx(math.sqrt(3 / float(SHAPE_C.sum())), rel=1e-2)


def test_bad_use_is_said():
    data = counted(SHAPE_C[None])
    with pytest.raises(InputError, match="unknown method 'newton'"):
        fit(scaled, data, torch.ones(1, 1), bounds((0.1, 5)), method="newton")
    with pytest.raises(InputError, match=r"starts of shape \(2, 1\) for 1 spectra"):
        fit(scaled, data, torch.ones(2, 1), bounds((0.1, 5)))
    with pytest.raises(InputError, match="every lowest value"):
        fit(scaled, data, torch.ones(1, 1), bounds((5, 5)))


def test_points_and_parameters_are_each_others_inverse():
    box = UnitBox.of(scaled, bounds((0.1, 5), (-3, 2)))
    values_BP = torch.tensor([[1.0, 0.5], [4.0, -2.0]], dtype=F64)
    torch.testing.assert_close(box.leave(box.enter(values_BP)), values_BP)
