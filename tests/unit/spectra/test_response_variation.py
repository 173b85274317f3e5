"""ResponseVariation of effective areas: its factors, and what the records tell of them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
import tyro
from scipy import stats

from wolter import config as configs
from wolter.errors import InputError
from wolter.spectra import simulator as simulators
from wolter.spectra.commands.simulate import SimulateSpectra
from wolter.spectra.grid import AREA_EDGES
from wolter.spectra.response_variation import ResponseVariation, band_means, throughputs
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.instruments import epic_pn
from wolter.xray.spectral.response import Response

ENERGY_E = torch.linspace(0.2, 11.0, 800, dtype=torch.float64)
VARIED = ResponseVariation(filters=("thin", "medium", "thick"), area=(0.3, 1.2), tilt=0.05)


def draw(
    variety: ResponseVariation, n: int = 1000, own: str = "Thin", seed: int = 0
) -> torch.Tensor | None:
    generator = torch.Generator().manual_seed(seed)
    return throughputs(variety, epic_pn.INSTRUMENT, ENERGY_E, own, n, generator)


def test_without_variety_there_are_no_factors_and_nothing_is_drawn():
    generator = torch.Generator().manual_seed(0)
    for variety in (ResponseVariation(), ResponseVariation(backgrounds=True)):
        assert throughputs(variety, None, ENERGY_E, "", 10, generator) is None
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


def test_a_grey_factor_is_log_uniform_in_its_range():
    factor_BE = draw(ResponseVariation(area=(0.3, 1.2)))
    assert factor_BE.shape == (1000, 800)
    torch.testing.assert_close(factor_BE, factor_BE[:, :1].expand(-1, 800))
    share_B = (factor_BE[:, 0] / 0.3).log() / np.log(4)
    assert stats.kstest(share_B.numpy(), "uniform").pvalue > 0.001


def test_a_tilt_is_smooth_and_has_its_deviation():
    log_BE = draw(ResponseVariation(tilt=0.1), 4000).log()
    knots = [int((ENERGY_E - at).abs().argmin()) for at in (0.3, 1.0, 3.0, 10.0)]
    at_knots_BN = log_BE[:, knots]
    assert at_knots_BN.std(0).tolist() == pytest.approx([0.1] * 4, rel=5 / np.sqrt(2 * 4000))
    assert at_knots_BN.mean(0).tolist() == pytest.approx([0] * 4, abs=5 * 0.1 / np.sqrt(4000))
    # Linear in the logarithm of energy between knots, constant beyond them.
    middle = int((ENERGY_E - np.sqrt(3.0)).abs().argmin())
    between_B = at_knots_BN[:, 1:3].mean(1)
    torch.testing.assert_close(log_BE[:, middle], between_B, rtol=0, atol=0.01)
    torch.testing.assert_close(log_BE[:, 0], log_BE[:, knots[0]], rtol=0, atol=0.01)


@pytest.mark.parametrize(("own", "known"), [("Thin1", "thin"), ("Medium", "medium"), ("", "thin")])
def test_filters_are_relative_to_the_responses_own(own, known):
    factor_BE = draw(ResponseVariation(filters=("thick",)), 3, own)
    ratio_E = (epic_pn.area(ENERGY_E, "thick") / epic_pn.area(ENERGY_E, known)).float()
    torch.testing.assert_close(factor_BE, ratio_E.expand(3, -1), rtol=1e-5, atol=0)


def test_each_filter_has_its_share():
    factor_BE = draw(ResponseVariation(filters=("thin", "thick")), 2000)
    is_thin_B = (factor_BE == 1).all(1)
    assert float(is_thin_B.float().mean()) == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(2000))


def test_factors_follow_from_the_seed():
    assert torch.equal(draw(VARIED, 5), draw(VARIED, 5))
    assert not torch.equal(draw(VARIED, 5), draw(VARIED, 5, seed=1))


def test_band_means_are_means_over_each_band():
    energy_E = torch.tensor([1.0, 1.5, 2.0, 2.5, 5.0])
    values_BE = torch.tensor([[1.0, 3.0, 5.0, 7.0, 9.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    got_BA = band_means(energy_E, values_BE, (1.0, 2.0, 3.0, 4.0, 6.0))
    # No energy lies in the third band: that of 2.5 keV is nearest to its middle.
    assert got_BA.tolist() == [[2.0, 6.0, 7.0, 9.0], [2.0] * 4]


@pytest.mark.parametrize("bad", [{"area": (0.0, 1.0)}, {"area": (2.0, 1.0)}, {"tilt": -0.1}])
def test_bad_ranges_are_refused(bad):
    with pytest.raises(InputError, match="give 0 < low <= high"):
        ResponseVariation(**bad)


def test_an_unknown_filter_is_refused():
    with pytest.raises(InputError, match="unknown EPIC-pn filter 'open'"):
        draw(ResponseVariation(filters=("open",)))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    grid = tuple(np.geomspace(0.3, 10.0, 33).round(6).tolist())
    return Simulator(SimulateConfig(variety=VARIED, n_backgrounds=2, energy_edges=grid))


@pytest.fixture
def drawn(simulator, monkeypatch):
    """A batch, and the factors that it was drawn with."""
    kept = []

    def keep(*arguments):
        kept.append(throughputs(*arguments))
        return kept[-1]

    monkeypatch.setattr(simulators, "throughputs", keep)
    monkeypatch.setattr(simulators, "BLOCK", 64)
    return simulator.draw(3, 0), kept[0]


def test_records_tell_the_area_that_they_were_seen_with(simulator, drawn):
    batch, factor_BE = drawn
    response = simulator.forward.response
    weight_E = response.area_E * response.energy_edges_E1.diff()
    expected_BA = response.area_between(AREA_EDGES) * band_means(
        simulator.energy_E, factor_BE, AREA_EDGES, weight_E
    )
    torch.testing.assert_close(batch.area_BA, expected_BA)
    for row in range(4):  # the product of means is nearly the mean of the product
        seen = replace(response, matrix_EC=response.matrix_EC * factor_BE[row, :, None])
        exact_A = seen.area_between(AREA_EDGES)
        torch.testing.assert_close(batch.area_BA[row], exact_A, rtol=0.01, atol=0)


def test_expected_counts_are_seen_with_the_factors(simulator, drawn):
    batch, factor_BE = drawn
    plain_BKC = simulator.expected(batch.parameters_BP, batch.exposure_B)
    with_BKC = simulator.expected(batch.parameters_BP, batch.exposure_B, factor_BE)
    assert torch.equal(batch.expected_BKC, with_BKC)
    ratio_B = batch.expected_BKC.sum((1, 2)) / plain_BKC.sum((1, 2))
    assert (ratio_B > factor_BE.amin(1)).all()
    assert (ratio_B < factor_BE.amax(1)).all()


def test_a_batch_follows_from_the_seed_and_without_variety_areas_are_equal(simulator, monkeypatch):
    monkeypatch.setattr(simulators, "BLOCK", 64)
    assert torch.equal(simulator.draw(3, 0).area_BA, simulator.draw(3, 0).area_BA)
    assert not torch.equal(simulator.draw(3, 0).area_BA, simulator.draw(3, 1).area_BA)
    monkeypatch.setattr(simulator, "config", replace(simulator.config, variety=ResponseVariation()))
    area_BA = simulator.draw(3, 0).area_BA
    assert torch.equal(area_BA, simulator.area_A.expand(64, -1))


def test_areas_between_energies_are_direct_integrals():
    edges_E1 = torch.tensor([0.5, 1.0, 1.2, 2.0, 4.0, 4.1, 7.0], dtype=torch.float64)
    matrix_EC = torch.rand(6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    response = Response(edges_E1, matrix_EC, torch.linspace(0.4, 8, 10, dtype=torch.float64), 0)
    bands = (0.1, 0.3, 0.7, 0.9, 1.1, 3.0, 4.05, 6.5, 9.0)
    # Midpoints of cells of which every edge is one.
    cells_F1 = torch.arange(100, 9001, dtype=torch.float64) / 1000
    middle_F = (cells_F1[1:] + cells_F1[:-1]) / 2
    which_F = torch.searchsorted(edges_E1, middle_F) - 1
    inside_F = (which_F >= 0) & (which_F < 6)
    area_F = torch.where(inside_F, matrix_EC.sum(1)[which_F.clamp(0, 5)], 0.0)
    for (low, high), got in zip(
        itertools.pairwise(bands), response.area_between(bands), strict=True
    ):
        chosen_F = (middle_F > low) & (middle_F < high)
        assert float(got) == pytest.approx(float(area_F[chosen_F].mean()), rel=1e-9, abs=1e-12)


def test_the_options_of_the_command_line_reach_the_config():
    words = "--variety.filters thin thick --variety.area 0.3 1.1 --variety.tilt 0.05"
    command = tyro.cli(SimulateSpectra, args=[*words.split(), "--variety.backgrounds"])
    config = command.config()
    assert config.variety == ResponseVariation(("thin", "thick"), (0.3, 1.1), 0.05, True)
    assert configs.from_dict(SimulateConfig, configs.to_dict(config)) == config
    assert tyro.cli(SimulateSpectra, args=[]).config().variety == ResponseVariation()
