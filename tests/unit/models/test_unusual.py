"""What is unusual: a spectrum that is told with the response of another instrument."""

from dataclasses import replace

import pytest
import torch
from tests.chandra_sources import SPEC, make_sources

from wolter.errors import InputError
from wolter.models._autoencoder import Config
from wolter.models.autoencoder import FAMILY
from wolter.registry.migrations import LAYOUT, migrate_weights
from wolter.spectra.told_as import recorded_by
from wolter.train.loop import build

EDGES = torch.tensor(SPEC.energy_edges)
SMALL = Config(width=16, layers=1, heads=2, decoder=32, mixture=4)


@pytest.fixture(scope="module")
def sources():
    return make_sources(3000, seed=3, counts=(2000, 4000))


def settled(batch, config=SMALL):
    """A network that was not trained, and learnt what is unusual."""
    module = build(FAMILY, config, SPEC, seed=0).eval()
    FAMILY.normalise(module, batch)
    with torch.no_grad():
        FAMILY.settle(module, iter([batch]))
    return module


def beyond(module, batch):
    """Share of spectra beyond two sigmas."""
    with torch.no_grad():
        anomaly_B = FAMILY.predict(module, batch)["anomaly"]
    assert anomaly_B.isfinite().all()
    return float((anomaly_B > 2).float().mean())


def test_what_another_instrument_sees_is_unusual():
    """EPIC-pn's, where EPIC-MOS's was learnt; without any, fewer."""
    # Fewer would leave the ratio to chance: 1.4 to 2.0 of 3,000 sources.
    sources = make_sources(6000, seed=3, counts=(2000, 4000))
    seen, fresh = sources[:4000], sources[4000:]
    odd = recorded_by("epic_pn", fresh, EDGES, torch.Generator().manual_seed(1))
    told, untold = settled(seen), settled(seen, replace(SMALL, others=()))
    assert beyond(told, fresh) < 0.06
    assert beyond(untold, fresh) < 0.06
    assert beyond(told, odd) > 1.5 * beyond(untold, odd)


def test_records_without_noise_free_counts_tell_nothing_of_others(sources):
    seen, untold = replace(sources, expected_BKC=None), replace(SMALL, others=())
    assert beyond(settled(seen), sources) == beyond(settled(sources, untold), sources)


def test_observed_records_among_simulated_ones_are_left_out(sources):
    """Their noise-free counts are NaN, and so is the area where the response is not known."""
    expected_BKC, area_BF = sources.expected_BKC.clone(), sources.folding_area_BF.clone()
    expected_BKC[::3] = torch.nan
    area_BF[1::3] = torch.nan
    mixed = settled(replace(sources, expected_BKC=expected_BKC, folding_area_BF=area_BF))
    alone = settled(sources[torch.arange(2, len(sources), 3)])
    for module in (mixed, alone):
        assert module.unusual.others.mean_KX.isfinite().all()
        assert (module.unusual.others.log_weight_K > -torch.inf).any()
    odd = recorded_by("epic_pn", sources, EDGES, torch.Generator().manual_seed(1))
    assert beyond(mixed, odd) > 2 * beyond(mixed, sources)


def test_weights_of_before_give_the_numbers_that_they_gave(sources):
    module = settled(sources, replace(SMALL, others=()))
    now = module.state_dict()
    ranks = "unusual.each.quantile_NQP"
    old = {k: v for k, v in now.items() if not k.startswith("unusual.others.")}
    old[ranks] = now[ranks][:, :3]
    fresh = build(FAMILY, SMALL, SPEC, seed=1).eval()
    fresh.load_state_dict(migrate_weights(old, LAYOUT - 1, fresh.state_dict()))
    with torch.no_grad():
        before, after = (FAMILY.predict(each, sources)["anomaly"] for each in (module, fresh))
    torch.testing.assert_close(after, before)


def test_an_unknown_instrument_is_told_before_training(sources):
    module = build(FAMILY, replace(SMALL, others=("nustar",)), SPEC, seed=0)
    with pytest.raises(InputError, match="unknown instrument 'nustar'"):
        FAMILY.normalise(module, sources)
