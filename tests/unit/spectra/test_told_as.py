"""Spectra told with the response of another instrument."""

import pytest
import torch
from tests.chandra_sources import SPEC, make_sources

from wolter.errors import InputError
from wolter.spectra.told_as import recorded_by
from wolter.xray.instruments import instrument

EDGES = torch.tensor(SPEC.energy_edges)
MIDDLE_C = (EDGES[1:] + EDGES[:-1]) / 2


@pytest.fixture(scope="module")
def bright():
    return make_sources(60, seed=5, counts=(4000, 6000))


def told(name, batch, seed=1):
    return recorded_by(name, batch, EDGES, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", instrument.names())
def test_counts_are_as_many_and_the_response_is_the_records_own(name, bright):
    other = told(name, bright)
    change_B = other.counts_BC.sum(1) / bright.counts_BC.sum(1)
    assert float(change_B.mean()) == pytest.approx(1, abs=0.02)
    assert torch.equal(other.folding_area_BF, bright.folding_area_BF)
    assert torch.equal(other.exposure_B, bright.exposure_B)
    assert torch.equal(told(name, bright).counts_BC, other.counts_BC)
    assert not torch.equal(told(name, bright, seed=2).counts_BC, other.counts_BC)


def test_its_own_instrument_changes_little_and_another_much(bright):
    """Shares of the counts below 0.8 keV, where areas differ most."""
    soft_C = MIDDLE_C < 0.8

    def share(batch):
        return float(batch.counts_BC[:, soft_C].sum() / batch.counts_BC.sum())

    own = share(bright)
    assert share(told("acis_s", bright)) == pytest.approx(own, rel=0.1)
    assert share(told("epic_pn", bright)) > 1.1 * own


def test_an_unknown_instrument_is_named(bright):
    with pytest.raises(InputError, match="unknown instrument 'nustar'; choose one of: acis_i"):
        told("nustar", bright)
