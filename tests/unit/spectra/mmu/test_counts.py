import numpy as np
import pytest
from tests.multimodal import CHANNEL_KEV, FIRST, LAST, Grouped, draw, group

from wolter.errors import InputError
from wolter.spectra.grid import acis_grid
from wolter.spectra.mmu.counts import GAUSSIAN, GEHRELS, GroupedSpectrum, recover, spread

EDGES = np.array(acis_grid())


def spectrum_of(row: Grouped) -> GroupedSpectrum:
    return GroupedSpectrum.of(row.low, row.high, row.flux, row.flux_err)


@pytest.mark.parametrize("counts", [40, 300, 3000])
@pytest.mark.parametrize("seed", range(5))
def test_exposure_and_counts_of_a_catalogue_source_are_found_again(counts, seed):
    row = draw(seed, counts=counts, background=0.05 * counts)
    found = recover(spectrum_of(row))
    assert found.law is GEHRELS
    assert found.exposure_s == pytest.approx(row.exposure_s, rel=2e-3)
    np.testing.assert_array_equal(found.counts_G, row.counts_G)
    background = row.background_G.sum()
    assert found.background_G.sum() == pytest.approx(background, abs=2e-3 * counts + 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_gaussian_errors_are_noticed(seed):
    row = draw(seed, counts=400, gehrels=False)
    found = recover(spectrum_of(row))
    assert found.law is GAUSSIAN
    assert found.exposure_s == pytest.approx(row.exposure_s, rel=2e-3)
    np.testing.assert_array_equal(found.counts_G, row.counts_G)


def test_the_ratio_of_rate_and_error_alone_loses_half_the_counts():
    row = draw(counts=800)
    ratio_G = row.flux / row.flux_err
    assert np.square(ratio_G).sum() < 0.6 * row.counts_G.sum()


def test_a_bright_source_has_its_exposure_from_its_rates():
    row = draw(counts=2_000_000, background=50, exposure_s=50_000.0)
    assert row.counts_G[:-1].min() > 6
    found = recover(spectrum_of(row))
    assert found.law is GEHRELS
    assert found.exposure_s == pytest.approx(row.exposure_s, rel=2e-3)
    assert found.counts_G.sum() == pytest.approx(row.counts_G.sum(), rel=5e-3)


def test_a_poor_background_costs_what_is_said():
    rows = [draw(seed, counts=33, background=17, scale=0.5) for seed in range(20)]
    found = [recover(spectrum_of(row)) for row in rows]
    exposures = [each.exposure_s / row.exposure_s for each, row in zip(found, rows, strict=True)]
    counts = [
        each.counts_G.sum() / row.counts_G.sum() for each, row in zip(found, rows, strict=True)
    ]
    assert np.mean(exposures) == pytest.approx(0.97, abs=0.03)
    assert np.mean(counts) == pytest.approx(1.15, abs=0.1)
    for each, row, exposure in zip(found, rows, exposures, strict=True):
        net = (row.counts_G - row.background_G).clip(min=0).sum()
        assert (each.counts_G - each.background_G).sum() == pytest.approx(exposure * net, rel=0.02)


def test_counts_are_spread_within_their_groups_and_end_with_a_count():
    row = draw(1, counts=120)
    spectrum = spectrum_of(row)
    found = recover(spectrum)
    fine = CHANNEL_KEV * np.arange(FIRST, LAST + 1)
    counts_C, background_C = spread(spectrum, found, fine)
    assert counts_C.sum() == pytest.approx(row.counts_G.sum(), rel=1e-6)
    assert background_C.sum() == pytest.approx(found.background_G.sum(), rel=1e-6)
    ends = np.searchsorted(fine, row.high - 1e-4) - 1
    last = counts_C[ends[:-1]]
    assert (last >= row.counts_G[:-1] - 4 - 1e-3).all()
    assert (row.counts_C[ends[:-1]] >= 1).all()
    begins = np.searchsorted(fine, row.low - 1e-4)
    np.testing.assert_allclose(np.add.reduceat(counts_C, begins), row.counts_G, atol=1e-3)


def test_on_the_grid_counts_are_nearer_to_the_truth_than_an_even_spread():
    rows = [draw(seed, counts=200) for seed in range(30)]
    fine = CHANNEL_KEV * np.arange(FIRST, LAST + 1)
    ours, even = 0.0, 0.0
    for row in rows:
        spectrum = spectrum_of(row)
        counts_C, _ = spread(spectrum, recover(spectrum), EDGES)
        assert counts_C.sum() == pytest.approx(row.counts_G.sum(), rel=1e-6)
        truth_C = np.histogram(fine[:-1] + CHANNEL_KEV / 2, EDGES, weights=row.counts_C)[0]
        knots = np.stack([row.low, row.high], 1).ravel()
        sums = np.cumsum(row.counts_G)
        summed = np.stack([sums - row.counts_G, sums], 1).ravel()
        even_C = np.diff(np.interp(EDGES, knots, summed))
        ours += np.square(counts_C - truth_C).sum()
        even += np.square(even_C - truth_C).sum()
    assert ours < 0.9 * even


def test_other_groupings_are_spread_by_their_own_least_group():
    edges = CHANNEL_KEV * np.arange(FIRST, LAST + 1)
    counts_C = np.full(len(edges) - 1, 2)
    row = group(edges, counts_C, np.zeros_like(counts_C), 0.05, 1e4, least=20)
    spectrum = spectrum_of(row)
    found = recover(spectrum)
    counts_C, _ = spread(spectrum, found, edges)
    ends = np.searchsorted(edges, row.high - 1e-4) - 1
    assert found.exposure_s == pytest.approx(1e4, rel=0.1)
    assert counts_C[ends[:-1]].max() < 4


GOOD = ([0.51, 1.0, 2.0], [1.0, 2.0, 7.9], [1.0, 1.0, 0.5], [0.6, 0.6, 0.3])


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        (0, [0.51, 1.0], "lengths differ: 2 lower energies, 3 upper"),
        (2, [1.0, np.nan, 1.0], "fluxes: nan in group 1"),
        (3, [0.6, np.inf, 0.6], "errors: inf in group 1"),
        (3, [0.6, 0.0, 0.3], "errors: 0 in group 1 is not above 0"),
        (3, [0.6, 0.5, -0.3], "errors: -0.3 in group 2 is not above 0"),
        (0, [0.51, 2.0, 1.0], "do not ascend"),
        (0, [0.51, 0.8, 2.0], "overlap"),
        (1, [1.0, 2.0, 6.0], "band not covered: groups from 0.51 to 6 keV"),
        (0, [0.9, 1.0, 2.0], "band not covered: groups from 0.9"),
    ],
)
def test_bad_rows_are_refused_with_their_reason(column, values, reason):
    columns = [list(each) for each in GOOD]
    columns[column] = values
    with pytest.raises(InputError, match=reason):
        GroupedSpectrum.of(*columns)


def test_no_spectrum_and_one_group_are_refused():
    for nothing in ([None] * 4, [[], [], [], []]):
        with pytest.raises(InputError, match="no spectrum"):
            GroupedSpectrum.of(*nothing)
    with pytest.raises(InputError, match="one group only"):
        GroupedSpectrum.of([0.5], [8.0], [1.0], [0.5])


def test_a_source_below_its_background_has_counts_and_no_net_ones():
    row = draw(3, counts=3, background=40)
    found = recover(spectrum_of(row))
    np.testing.assert_allclose(found.counts_G, row.counts_G, atol=1)
    assert (found.background_G >= 0).all()
    assert (found.background_G <= found.counts_G).all()
    assert np.isfinite(found.exposure_s)
