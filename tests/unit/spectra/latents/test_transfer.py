"""Sources of the population as EPIC-pn sees them."""

import numpy as np
import pytest
import torch

from wolter.spectra.latents.ratios import hardness_ratios
from wolter.spectra.latents.sources import Sources
from wolter.spectra.latents.transfer import MOST_BACKGROUND, seen_by
from wolter.spectra.population.classes import NAMES
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.quantities import PARAMETERS
from wolter.spectra.schema import SpectraSpec

CONFIG = PopulationConfig(thermal="bremsstrahlung", mix="equal", counts=(300.0, 3000.0))


@pytest.fixture(scope="module")
def sources():
    batch = seen_by("epic_pn", CONFIG, 300, torch.Generator().manual_seed(2))
    return Sources(batch, SpectraSpec(CONFIG.energy_edges, PARAMETERS, classes=NAMES))


def test_labels_are_of_the_population(sources):
    assert set(sources.class_N.tolist()) == set(range(8))
    assert np.isfinite(sources.label("nh")).all()
    assert np.isnan(sources.label("slope")[sources.class_N == NAMES.index("YSO")]).all()
    measured_N = hardness_ratios(sources)["hard_hs"]
    assert np.corrcoef(measured_N, sources.label("hard_hs"))[0, 1] > 0.95
    assert np.abs(measured_N - sources.label("hard_hs")).mean() < 0.15


def test_counts_are_within_their_range_and_the_source_is_brighter_than_its_background(sources):
    batch = sources.batch
    expected_B = batch.expected_BKC.sum((1, 2))
    assert float(expected_B.min()) >= 299
    assert float(expected_B.max()) <= 3001
    share_B = batch.expected_background_BC.sum(1) / expected_B
    assert float(share_B.max()) <= MOST_BACKGROUND + 1e-4
    mean = float((batch.counts_BC.sum(1) - batch.expected_background_BC.sum(1)).mean())
    assert mean == pytest.approx(float(expected_B.mean()), rel=0.02)


def test_the_response_is_that_of_epic_pn(sources):
    """Above 700 cm^2 at 1.5 keV, several times ACIS's."""
    area_BF = sources.batch.folding_area_BF
    assert float(area_BF.max()) > 1000
    assert bool(torch.isfinite(sources.batch.folding_offsets_BTA).any())


def test_one_seed_gives_the_same_sources(sources):
    again = seen_by("epic_pn", CONFIG, 300, torch.Generator().manual_seed(2))
    assert torch.equal(again.counts_BC, sources.batch.counts_BC)


def test_bins_of_five_channels_are_told_from_those_of_six(sources):
    """EPIC-pn's channels of 5 eV do not nest in bins of 29.2; per width, counts are smooth."""
    assert sources.batch.filled_BC is not None
    filled_C = sources.batch.filled_BC[0]
    assert float(filled_C.min()) == pytest.approx(5 * 5 / 29.2, abs=1e-3)
    assert float(filled_C.max()) == pytest.approx(6 * 5 / 29.2, abs=1e-3)
    total_C = sources.batch.expected_BKC.sum((0, 1))
    bends = [each.log().diff(n=2).abs().quantile(0.7) for each in (total_C, total_C / filled_C)]
    assert bends[1] < 0.3 * bends[0]
    own = seen_by("acis_s", CONFIG, 10, torch.Generator().manual_seed(2))
    assert own.filled_BC is None
