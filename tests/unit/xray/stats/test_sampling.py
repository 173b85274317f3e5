"""Ensembles and importance weights on posteriors known in closed form.

At a fixed step the walkers of an ensemble are independent draws, so that every walker counts as
one at least; tolerances are five standard errors of so many.
"""

import math

import pytest
import torch
from scipy import stats

from wolter.xray.stats.prior import Prior
from wolter.xray.stats.sampling import Refined, Sampler, importance, refine

BOX = Prior(torch.tensor([-10.0, 0.0, 5.0]), torch.tensor([10.0, 1.0, 6.0]))
WALKERS = 128


def gaussian(mean_BP: torch.Tensor, covariance_PP: torch.Tensor):
    """Likelihood of which the posterior is Gaussian in the parameters, far from the walls."""
    precision_PP = covariance_PP.inverse()

    def likelihood(row_N: torch.Tensor, parameters_NP: torch.Tensor) -> torch.Tensor:
        off_NP = parameters_NP - mean_BP[row_N]
        return -0.5 * (off_NP @ precision_PP * off_NP).sum(1)

    return likelihood


def normal_gaussian(mean_P: torch.Tensor, width: float):
    """Likelihood of which the posterior is Gaussian in the prior's normal quantiles."""

    def likelihood(_row_N: torch.Tensor, parameters_NP: torch.Tensor) -> torch.Tensor:
        normal_NP = BOX.normal(parameters_NP)
        target_N = -0.5 * ((normal_NP - mean_P) / width).square().sum(1)
        return target_N + 0.5 * normal_NP.square().sum(1)

    return likelihood


def test_the_box_maps_a_uniform_prior_to_unit_normals():
    share_NP = torch.linspace(0.001, 0.999, 500)[:, None].expand(-1, 3)
    parameters_NP = BOX.low_P + (BOX.high_P - BOX.low_P) * share_NP
    normal_NP = BOX.normal(parameters_NP)
    expected = torch.from_numpy(stats.norm.ppf(share_NP.numpy())).float()
    torch.testing.assert_close(normal_NP, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(BOX.physical(normal_NP), parameters_NP, rtol=1e-5, atol=1e-5)
    walls_2P = torch.stack([BOX.low_P, BOX.high_P])
    assert BOX.normal(walls_2P).isfinite().all()


def test_gaussian_posteriors_have_their_mean_width_and_correlation():
    generator = torch.Generator().manual_seed(1)
    n = 20
    mean_BP = BOX.low_P + (BOX.high_P - BOX.low_P) * (
        0.3 + 0.4 * torch.rand(n, 3, generator=generator)
    )
    width_P = torch.tensor([0.5, 0.02, 0.03])
    correlation_PP = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, -0.3], [0.0, -0.3, 1.0]])
    covariance_PP = correlation_PP * width_P * width_P[:, None]
    found = Sampler(gaussian(mean_BP, covariance_PP), BOX, WALKERS).run(torch.arange(n))
    assert found.parameters_BSP.shape == (n, 15 * WALKERS, 3)
    off_BSP = (found.parameters_BSP - mean_BP[:, None]) / width_P
    draws = n * WALKERS
    assert off_BSP.mean((0, 1)).abs().max() < 5 / math.sqrt(draws)
    assert off_BSP.mean(1).abs().max() < 5 / math.sqrt(WALKERS)
    pooled_NP = off_BSP.flatten(0, 1)
    assert pooled_NP.std(0).tolist() == pytest.approx([1, 1, 1], abs=5 / math.sqrt(2 * draws))
    got_PP = torch.corrcoef(pooled_NP.T)
    assert (got_PP - correlation_PP).abs().max() < 5 / math.sqrt(draws)
    assert found.r_hat_BP.median() < 1.05
    assert (found.acceptance_B > 0.1).all()


def test_both_modes_have_their_shares():
    n, share, apart, width = 40, 0.3, 4.0, 0.2

    def likelihood(_row_N, parameters_NP):
        x_N = parameters_NP[:, 0]
        modes = [-0.5 * ((x_N - at) / width).square() for at in (-apart, apart)]
        weights = torch.tensor([share, 1 - share]).log()
        return torch.logsumexp(torch.stack(modes, 1) + weights, 1)

    samples_BSP = Sampler(likelihood, BOX, WALKERS).run(torch.arange(n)).parameters_BSP
    x_BS = samples_BSP[:, :, 0]
    left_BS = x_BS < 0
    error = math.sqrt(share * (1 - share) / (n * WALKERS))
    # Resampling while the ensemble cools multiplies walkers: allow it twice the error.
    assert float(left_BS.float().mean()) == pytest.approx(share, abs=2 * 5 * error)
    for mode, at in ((left_BS, -apart), (~left_BS, apart)):
        assert float(x_BS[mode].mean()) == pytest.approx(at, abs=0.02)
        assert float(x_BS[mode].std()) == pytest.approx(width, abs=0.02)


def test_without_data_the_samples_are_those_of_the_prior():
    n = 30
    found = Sampler(lambda row_N, _: torch.zeros(len(row_N)), BOX, WALKERS).run(torch.arange(n))
    last_BWP = found.parameters_BSP[:, -WALKERS:]  # of one step: independent
    share_NP = ((last_BWP - BOX.low_P) / (BOX.high_P - BOX.low_P)).flatten(0, 1)
    for share_N in share_NP.T:
        assert stats.kstest(share_N.numpy(), "uniform").pvalue > 0.001


def test_spectra_sampled_together_do_not_mix():
    mean_BP = torch.tensor([[-6.0, 0.2, 5.3], [0.0, 0.5, 5.5], [6.0, 0.8, 5.7]])
    widths_P = torch.tensor([0.1, 0.01, 0.01])
    likelihood = gaussian(mean_BP, torch.diag(widths_P.square()))
    rows_B = torch.tensor([2, 0, 2, 1])
    samples_BSP = Sampler(likelihood, BOX, WALKERS).run(rows_B).parameters_BSP
    off_BSP = (samples_BSP - mean_BP[rows_B][:, None]) / widths_P
    assert off_BSP.abs().max() < 7
    assert off_BSP.mean(1).abs().max() < 5 / math.sqrt(WALKERS)


def test_a_seed_gives_the_same_samples_always():
    likelihood = normal_gaussian(torch.zeros(3), 0.3)

    def samples(seed: int) -> torch.Tensor:
        return Sampler(likelihood, BOX, 16, seed).run(torch.arange(2), steps=16).parameters_BSP

    assert torch.equal(samples(3), samples(3))
    assert not torch.equal(samples(3), samples(4))


@pytest.mark.parametrize("wider", [1.0, 1.5, 2.0])
def test_weights_of_a_wider_gaussian_have_their_closed_form(wider):
    n, s, width = 4, 20_000, 0.3
    generator = torch.Generator().manual_seed(2)
    normal_BSP = wider * width * torch.randn(n, s, 3, generator=generator)
    proposed_BS = -0.5 * (normal_BSP / (wider * width)).square().sum(2)
    likelihood_BS = -0.5 * normal_BSP.square().sum(2) * (1 / width**2 - 1)
    weights_BS, share_B = importance(likelihood_BS, normal_BSP, proposed_BS + 17.0)
    assert weights_BS.sum(1).tolist() == pytest.approx([1] * n, rel=1e-5)
    ratio_BS = -0.5 * normal_BSP.square().sum(2) * (1 - 1 / wider**2) / width**2
    torch.testing.assert_close(weights_BS, torch.softmax(ratio_BS, 1), rtol=1e-3, atol=1e-9)
    # 1 / integral of p^2 / q, by parameter.
    expected = (math.sqrt(2 * wider**2 - 1) / wider**2) ** 3
    assert share_B.tolist() == pytest.approx([expected] * n, rel=0.03)
    variance_BP = (weights_BS[..., None] * normal_BSP.square()).sum(1)
    error = 5 * math.sqrt(2 / (expected * s))
    assert (variance_BP / width**2 - 1).abs().max() < error


def proposal(mean_P: torch.Tensor, width: float, n: int, s: int):
    """Gaussian samples in normal quantiles, as parameters, and their log density."""
    generator = torch.Generator().manual_seed(5)
    unit_BSP = torch.randn(n, s, 3, generator=generator)
    density_BS = -0.5 * unit_BSP.square().sum(2) - 3 * math.log(width)
    return BOX.physical(mean_P + width * unit_BSP), density_BS


def moments(found: Refined) -> tuple[torch.Tensor, torch.Tensor]:
    normal_BSP, weights_BS1 = BOX.normal(found.parameters_BSP), found.weights_BS[..., None]
    mean_BP = (normal_BSP * weights_BS1).sum(1)
    variance_BP = ((normal_BSP - mean_BP[:, None]).square() * weights_BS1).sum(1)
    return mean_BP, variance_BP.sqrt()


MEAN_P, WIDTH = torch.tensor([0.5, -0.4, 0.1]), 0.1


def refined(shift: float, wider: float, n: int = 10, s: int = 1000) -> tuple[Refined, torch.Tensor]:
    sampler = Sampler(normal_gaussian(MEAN_P, WIDTH), BOX, WALKERS)
    samples_BSP, density_BS = proposal(MEAN_P + shift * WIDTH, wider * WIDTH, n, s)
    return refine(sampler, torch.arange(n), samples_BSP, density_BS), samples_BSP


def test_a_good_approximation_is_weighted():
    found, samples_BSP = refined(shift=0.3, wider=1.3)
    assert not found.moved_B.any()
    assert torch.equal(found.parameters_BSP, samples_BSP)
    assert (found.share_B > 0.3).all()
    mean_BP, width_BP = moments(found)
    assert ((mean_BP - MEAN_P) / WIDTH).abs().max() < 5 / math.sqrt(300)
    assert (width_BP / WIDTH - 1).abs().max() < 5 / math.sqrt(2 * 300)


@pytest.mark.parametrize(("shift", "wider"), [(0.0, 5.0), (2.0, 3.0)])
def test_a_bad_approximation_starts_an_ensemble(shift, wider):
    found, samples_BSP = refined(shift, wider)
    assert found.moved_B.all()
    assert (found.share_B < 0.1).all()
    assert found.parameters_BSP.shape == samples_BSP.shape
    assert found.weights_BS.sum(1).tolist() == pytest.approx([1] * 10, rel=1e-5)
    mean_BP, width_BP = moments(found)
    draws = 10 * WALKERS
    assert ((mean_BP.mean(0) - MEAN_P) / WIDTH).abs().max() < 5 / math.sqrt(draws)
    assert (width_BP.mean(0) / WIDTH - 1).abs().max() < 5 / math.sqrt(2 * draws)


def test_an_ensemble_finds_back_from_beside_the_posterior():
    found, _ = refined(shift=3.0, wider=1.0)
    assert found.moved_B.all()
    mean_BP, width_BP = moments(found)
    # It starts 3 deviations away in each parameter, and some walkers are still on their way.
    assert ((mean_BP.mean(0) - MEAN_P) / WIDTH).abs().max() < 0.2
    assert (width_BP.mean(0) / WIDTH - 1).abs().max() < 0.2


def test_each_spectrum_is_moved_or_not_for_itself():
    good_BSP, good_BS = proposal(MEAN_P, WIDTH, 1, 500)
    bad_BSP, bad_BS = proposal(MEAN_P, 6 * WIDTH, 1, 500)
    sampler = Sampler(normal_gaussian(MEAN_P, WIDTH), BOX, WALKERS)
    rows_B = torch.arange(2)
    found = refine(sampler, rows_B, torch.cat([good_BSP, bad_BSP]), torch.cat([good_BS, bad_BS]))
    assert found.moved_B.tolist() == [False, True]
    assert torch.equal(found.parameters_BSP[0], good_BSP[0])
    joined = Refined.joined([found, found])
    assert joined.moved_B.tolist() == [False, True] * 2
    assert torch.equal(joined.parameters_BSP[2:], found.parameters_BSP)
