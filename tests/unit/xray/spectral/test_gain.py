"""Gain and blur of recorded counts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from wolter.spectra.grid import default_grid
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.gain import regain, regain_channels, with_gain

EDGES_C1 = torch.tensor(default_grid(), dtype=torch.float64)


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def line(energy: float, sigma: float, edges_C1: torch.Tensor = EDGES_C1) -> torch.Tensor:
    """A line of one count (1, 1, C)."""
    below_C1 = torch.from_numpy(norm.cdf(edges_C1.numpy(), energy, sigma))
    return below_C1.diff()[None, None]


def random_counts(seed: int, shape: tuple[int, ...] = (3, 2, 256)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 100 * torch.rand(shape, generator=generator, dtype=torch.float64) ** 4


def test_a_shift_by_whole_channels_moves_counts_exactly():
    edges_C1 = torch.linspace(1, 2, 33, dtype=torch.float64)
    counts_BKC = random_counts(0, (1, 2, 32))
    got_BKC = regain(counts_BKC, edges_C1, one(1), one(3 / 32))
    torch.testing.assert_close(got_BKC[..., 3:], counts_BKC[..., :-3], rtol=1e-12, atol=1e-12)
    # What enters has the density of the end.
    torch.testing.assert_close(got_BKC[..., :3], counts_BKC[..., :1].expand(-1, -1, 3))
    back_BKC = regain(counts_BKC, edges_C1, one(1), one(-3 / 32))
    torch.testing.assert_close(back_BKC[..., :-3], counts_BKC[..., 3:], rtol=1e-12, atol=1e-12)


def test_a_slope_moves_edges_onto_edges():
    edges_C1 = torch.from_numpy(np.geomspace(0.5, 8, 41))
    ratio = float(edges_C1[1] / edges_C1[0])
    counts_BKC = random_counts(1, (1, 1, 40))
    got_BKC = regain(counts_BKC, edges_C1, one(ratio), one(0))
    torch.testing.assert_close(got_BKC[..., 1:], counts_BKC[..., :-1], rtol=1e-9, atol=1e-9)


def test_nothing_moves_at_the_nominal_gain():
    counts_BKC = random_counts(2)
    got_BKC = regain(counts_BKC, EDGES_C1, torch.ones(3), torch.zeros(3))
    torch.testing.assert_close(got_BKC, counts_BKC, rtol=1e-10, atol=1e-10)
    assert regain_channels(counts_BKC[0], EDGES_C1, 1.0, 0.0) is not None
    torch.testing.assert_close(regain_channels(counts_BKC[0], EDGES_C1, 1.0, 0.0), counts_BKC[0])


@given(st.floats(0.97, 1.03), st.floats(-0.05, 0.05), st.floats(0, 0.04), st.integers(0, 2**32 - 1))
def test_counts_are_conserved_and_none_is_negative(slope, offset, blur, seed):
    counts_BKC = random_counts(seed, (1, 2, 256))
    counts_BKC[..., :20] = 0  # nothing leaves, or comes from beyond the ends
    counts_BKC[..., -30:] = 0
    got_BKC = regain(counts_BKC, EDGES_C1, one(slope), one(offset), one(blur))
    assert bool((got_BKC >= 0).all())
    torch.testing.assert_close(got_BKC.sum(-1), counts_BKC.sum(-1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("energy", [0.8, 2.0, 6.4])
def test_a_line_is_recorded_at_another_energy_as_wide_as_it_was(energy):
    sigma = 0.06
    got_BKC = regain(line(energy, sigma), EDGES_C1, one(1.005), one(0.007))
    wanted_BKC = line(1.005 * (energy + 0.007), 1.005 * sigma)
    # Counts at the channels' ends are known, those inside them interpolated.
    assert float((got_BKC - wanted_BKC).abs().max() / wanted_BKC.max()) < 0.012
    centre_C = (EDGES_C1[1:] + EDGES_C1[:-1]) / 2
    for moments in (lambda x: (x * centre_C).sum(), lambda x: (x * centre_C**2).sum()):
        assert float(moments(got_BKC)) == pytest.approx(float(moments(wanted_BKC)), rel=2e-4)


def test_blur_adds_its_variance():
    narrow, blur = 0.07, 0.03
    got_BKC = regain(line(6.0, narrow), EDGES_C1, one(1), one(0), one(blur))
    wanted_BKC = line(6.0, (narrow**2 + blur**2) ** 0.5)
    assert float((got_BKC - wanted_BKC).abs().max() / wanted_BKC.max()) < 0.02


def test_each_spectrum_has_its_own():
    counts_BKC = line(6.0, 0.1).expand(2, -1, -1)
    slope_B, offset_B = torch.tensor([1.0, 1.01]), torch.tensor([0.01, 0.0])
    got_BKC = regain(counts_BKC, EDGES_C1, slope_B, offset_B)
    for row in range(2):
        alone_BKC = regain(counts_BKC[:1], EDGES_C1, slope_B[row, None], offset_B[row, None])
        assert torch.equal(got_BKC[row], alone_BKC[0])
    assert not torch.equal(got_BKC[0], got_BKC[1])


def test_a_response_keeps_its_area_and_peaks_elsewhere():
    response = epic_pn.response("thin")
    moved = with_gain(response, 1.01, 0.02)
    inside = slice(*torch.searchsorted(response.energy_edges_E1, torch.tensor([1.0, 9.0])).tolist())
    torch.testing.assert_close(moved.area_E[inside], response.area_E[inside], rtol=1e-3, atol=0)
    row = int(torch.searchsorted(response.energy_edges_E1, 6.4))
    centre_C = (response.channel_edges_C1[1:] + response.channel_edges_C1[:-1]) / 2
    peaks = [float(centre_C[each.matrix_EC[row].argmax()]) for each in (response, moved)]
    assert peaks[1] == pytest.approx(1.01 * (peaks[0] + 0.02), abs=0.006)  # a channel has 5 eV
    assert moved.sha256() != response.sha256()
    assert with_gain(response, 1.0, 0.0).sha256() == response.sha256()
