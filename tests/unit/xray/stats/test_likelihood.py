"""C-stat and W-stat against closed forms, brute force and Sherpa."""

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from wolter.xray.stats.likelihood import cstat, wstat

# Counts, background counts, expected source counts, scale: every case of XSPEC's appendix B.
CASES = [
    (5, 3, 2.0, 0.5),
    (5, 3, 40.0, 0.5),
    (1, 50, 0.1, 0.05),
    (0, 3, 2.0, 0.5),
    (0, 0, 2.0, 0.5),
    (5, 0, 1.0, 0.5),  # below S scale / (1 + scale)
    (5, 0, 3.0, 0.5),  # above
    (5, 0, 1e-6, 2.0),
    (0, 7, 0.0, 1.0),
    (9, 4, 0.0, 1.0),
    (1000, 2000, 321.0, 0.3),
]


def profile(counts, background, source, scale):
    """-2 ln L over that of the perfect model, the background fitted by brute force."""

    def statistic(log_background):
        b = np.exp(log_background)
        return -2 * (
            stats.poisson.logpmf(counts, source + scale * b)
            + stats.poisson.logpmf(background, b)
            - stats.poisson.logpmf(counts, counts)
            - stats.poisson.logpmf(background, background)
        )

    grid = np.linspace(-25, 12, 2000)
    start = grid[np.argmin([statistic(x) for x in grid])]
    return optimize.minimize_scalar(
        statistic, bounds=(start - 0.1, start + 0.1), method="bounded", options={"xatol": 1e-10}
    ).fun


@pytest.mark.parametrize("case", CASES)
def test_wstat_is_the_profile_likelihood(case):
    counts, background, source, scale = (torch.tensor([float(x)]).double() for x in case)
    got = wstat(counts, background, source, float(scale))
    assert float(got) == pytest.approx(float(profile(*case)), rel=1e-6, abs=1e-6)


def test_cstat_is_the_poisson_deviance():
    counts = np.array([0.0, 1.0, 5.0, 200.0, 0.0])
    expected = np.array([0.5, 0.5, 9.0, 210.0, 1e-8])
    exact = -2 * (stats.poisson.logpmf(counts, expected) - stats.poisson.logpmf(counts, counts))
    got = cstat(torch.tensor(counts), torch.tensor(expected))
    assert float(got) == pytest.approx(exact.sum(), rel=1e-12)
    assert float(cstat(torch.tensor(counts), torch.tensor(counts))) == pytest.approx(0, abs=1e-20)


@pytest.mark.peers
def test_statistics_agree_with_sherpa():
    from sherpa.astro import data as sherpa
    from sherpa.models.basic import InterpolatedTableModel1D
    from sherpa.stats import CStat, WStat

    rng = np.random.default_rng(0)
    n = 500
    source = rng.uniform(0, 8, n)
    counts = rng.poisson(source + 1).astype(float)
    background = rng.poisson(rng.uniform(0, 4, n)).astype(float)
    channel = np.arange(1, n + 1)
    data = sherpa.DataPHA("source", channel, counts, exposure=1000.0, backscal=0.2)
    data.set_background(
        sherpa.DataPHA("background", channel, background, exposure=1500.0, backscal=0.5)
    )
    model = InterpolatedTableModel1D()
    model.load(channel, source)
    model.ampl = 1.0
    columns = [torch.tensor(column) for column in (counts, background, source)]
    scale = (1000.0 * 0.2) / (1500.0 * 0.5)
    expected = WStat().calc_stat(data, model)[0]
    assert float(wstat(*columns, scale)) == pytest.approx(expected, rel=1e-10)
    expected = CStat().calc_stat(data, model)[0]
    assert float(cstat(columns[0], columns[2])) == pytest.approx(expected, rel=1e-10)


def test_batches_and_every_form_of_scale():
    generator = torch.Generator().manual_seed(0)
    counts, background = (
        torch.poisson(torch.full((4, 30), 3.0).double(), generator=generator) for _ in range(2)
    )
    source = torch.rand(4, 30, generator=generator, dtype=torch.float64) * 4
    scale_B = torch.tensor([0.1, 0.5, 1.0, 2.0], dtype=torch.float64)
    one_by_one = torch.stack(
        [wstat(counts[i], background[i], source[i], float(scale_B[i])) for i in range(4)]
    )
    torch.testing.assert_close(wstat(counts, background, source, scale_B), one_by_one)
    scale_BC = scale_B[:, None].expand(4, 30)
    torch.testing.assert_close(wstat(counts, background, source, scale_BC), one_by_one)
    assert cstat(counts, source).shape == (4,)


def test_gradients_are_right_and_finite_in_every_case():
    counts, background, source, scale = torch.tensor(CASES, dtype=torch.float64).T
    away = source.clamp(min=1e-3).requires_grad_()  # off the floor
    assert torch.autograd.gradcheck(lambda m: wstat(counts, background, m, scale[:, None].T), away)
    assert torch.autograd.gradcheck(lambda m: cstat(counts, m), away)
    single = source.float().requires_grad_()
    (
        wstat(counts.float(), background.float(), single, 0.5) + cstat(counts.float(), single)
    ).backward()
    assert bool(single.grad.isfinite().all())


def test_float32_keeps_its_precision_in_many_counts():
    counts = torch.full((100,), 1e5, dtype=torch.float64)
    source, background = counts * 1.001 - 500, torch.full((100,), 1000.0, dtype=torch.float64)
    exact = wstat(counts, background, source, 0.5)
    single = wstat(counts.float(), background.float(), source.float(), 0.5)
    assert float(single) == pytest.approx(float(exact), rel=0.02, abs=2)
