"""Injected oddities and their ranks."""

import numpy as np
import pytest
import torch
from tests.chandra_sources import SPEC, make_sources

from wolter.spectra.latents.anomalies import TOP, ranks, vetoes
from wolter.spectra.latents.oddities import ODDITIES
from wolter.spectra.latents.shown import classifier_scores
from wolter.spectra.latents.sources import Sources

EDGES = torch.tensor(SPEC.energy_edges)
MIDDLE_C = (EDGES[1:] + EDGES[:-1]) / 2


@pytest.fixture(scope="module")
def bright():
    return make_sources(60, seed=5, counts=(4000, 6000))


def odd(name, batch):
    return ODDITIES[name](batch, EDGES, torch.Generator().manual_seed(1))


def test_a_rank_is_the_percentage_of_records_above_or_as_high():
    assert ranks(np.array([10.0, 3.0, 0.0]), np.arange(1.0, 5.0)).tolist() == [0, 50, 100]


@pytest.mark.parametrize("name", [name for name in ODDITIES if name != "no source at all"])
def test_oddities_have_as_many_counts_as_the_source(name, bright):
    change_B = odd(name, bright).counts_BC.sum(1) / bright.counts_BC.sum(1)
    assert float(change_B.mean()) == pytest.approx(1, abs=0.02)
    assert float(change_B.std()) < 0.05


def test_shapes_are_what_their_names_say(bright):
    total_BC = {name: odd(name, bright).counts_BC for name in ODDITIES}

    def share(name, low, high):
        inside_C = (low <= MIDDLE_C) & (high > MIDDLE_C)
        counts_BC = total_BC[name]
        return float(counts_BC[:, inside_C].sum() / counts_BC.sum())

    assert share("very hard", 4, 8) > 0.85
    assert share("very soft", 0.5, 0.8) > 0.9
    # Of a line, a quarter of a keV holds nearly all.
    peak_B = MIDDLE_C[total_BC["pure line"].argmax(1)]
    near_BC = (MIDDLE_C - peak_B[:, None]).abs() < 0.25
    line_BC = total_BC["pure line"]
    assert float((line_BC * near_BC).sum() / line_BC.sum()) > 0.9
    assert float(peak_B.min()) < 2 < 5 < float(peak_B.max())
    assert total_BC["no source at all"].sum(1).mean() < 20


def test_epic_pn_sees_more_below_one_kev(bright):
    soft_C = MIDDLE_C < 0.8
    own = float(bright.counts_BC[:, soft_C].sum() / bright.counts_BC.sum())
    seen = odd("EPIC-pn told as ACIS", bright)
    assert float(seen.counts_BC[:, soft_C].sum() / seen.counts_BC.sum()) > 1.1 * own
    assert torch.equal(seen.folding_area_BF, bright.folding_area_BF)  # told as ACIS


def test_vetoes_name_what_is_wrong():
    batch = make_sources(4)
    batch.counts_BC[0] = 0
    batch.background_scale_B[1] = 0
    batch.folding_area_BF[2, 100:] = 0
    found = vetoes(Sources(batch, SPEC))
    assert [name.split(":")[0] for name in found] == [
        "fewer than 10 net counts",
        "no background spectrum",
        "band not covered",
    ]
    few, none, uncovered = found.values()
    assert few[0]
    assert none.tolist() == [False, True, False, False]
    assert uncovered.tolist() == [False, False, True, False]


def test_a_classifier_that_was_shown_some_tells_others():
    generator = np.random.default_rng(0)

    def drawn(n, middle):
        return generator.normal(size=(n, 3)) + np.array([middle, 0, 0])

    odd, usual = classifier_scores(
        drawn(800, 0.0), drawn(200, 4.0), (drawn(100, 4.0), drawn(1000, 0.0)), seed=0
    )
    assert (ranks(odd, usual) <= TOP).mean() > 0.9
    none, usual = classifier_scores(
        drawn(800, 0.0), drawn(200, 0.0), (drawn(100, 0.0), drawn(1000, 0.0)), seed=0
    )
    assert (ranks(none, usual) <= TOP).mean() < 0.1
