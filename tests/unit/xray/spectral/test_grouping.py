"""Grouping, bands and rebinning of observations."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wolter.errors import InputError
from wolter.xray.ogip.pha import Spectrum
from wolter.xray.spectral.grouping import (
    DUBIOUS,
    group_by_factor,
    group_index,
    group_min_counts,
    grouping_flags,
    turned,
)
from wolter.xray.spectral.observation import Observation
from wolter.xray.spectral.response import Response


def spectrum(counts, **options) -> Spectrum:
    return Spectrum(torch.tensor(counts, dtype=torch.float64), 100.0, **options)


def flags(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int16)


def observation(counts, **options) -> Observation:
    n = len(counts)
    response = Response(
        torch.linspace(1, 3, 3).double(),
        torch.arange(2.0 * n, dtype=torch.float64).reshape(2, n),
        torch.arange(n + 1).double(),
        first_channel=5,
    )
    background = spectrum([1.0] * n, first_channel=5, backscale=2.0)
    return Observation(spectrum(counts, first_channel=5, **options), response, background)


@pytest.mark.parametrize(
    ("given_flags", "index"),
    [
        ((1, -1, -1, 1, -1), [0, 0, 0, 1, 1]),
        ((0, 0, 0), [0, 1, 2]),
        ((-1, -1, 1), [0, 0, 1]),  # a file that forgets the first start
        ((0, 1, -1, 0), [0, 1, 1, 2]),
    ],
)
def test_flags_to_groups(given_flags, index):
    assert group_index(flags(*given_flags)).tolist() == index


@given(st.lists(st.sampled_from([1, -1]), min_size=1, max_size=30))
def test_flags_of_groups_give_the_groups(values):
    index = group_index(flags(*values))
    assert group_index(grouping_flags(index)).tolist() == index.tolist()


def test_by_factor():
    assert group_by_factor(spectrum([1] * 5), 2).grouping_C.tolist() == [1, -1, 1, -1, 1]
    with pytest.raises(InputError, match="must be 1 or more"):
        group_by_factor(spectrum([1]), 0)


def test_min_counts():
    grouped = group_min_counts(spectrum([1, 2, 3, 0, 5, 1, 1]), 3)
    assert grouped.grouping_C.tolist() == [1, -1, 1, 1, -1, 1, -1]
    assert grouped.quality_C.tolist() == [0, 0, 0, 0, 0, DUBIOUS, DUBIOUS]
    with pytest.raises(InputError, match="must be positive"):
        group_min_counts(grouped, 0)


def test_min_counts_stops_at_bad_channels():
    grouped = group_min_counts(spectrum([1, 1, 9, 2, 2], quality_C=flags(0, 0, 1, 0, 0)), 3)
    assert grouped.grouping_C.tolist() == [1, -1, 1, 1, -1]
    assert grouped.quality_C.tolist() == [DUBIOUS, DUBIOUS, 1, 0, 0]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.lists(st.booleans(), min_size=60, max_size=60),
    st.integers(1, 30),
)
def test_every_group_of_good_quality_holds_the_minimum(counts, bad, minimum):
    quality = flags(*[int(b) for b in bad[: len(counts)]])
    grouped = group_min_counts(spectrum(counts, quality_C=quality), minimum)
    index = group_index(grouped.grouping_C)
    for group in index.unique():
        inside = index == group
        good = grouped.good_C[inside]
        assert good.all() or not good.any()
        if good.all():
            total = grouped.counts_C[inside].sum()
            assert total >= minimum
            assert total - grouped.counts_C[inside][-1] < minimum  # and no more than it needs


def test_grouped_sums_counts_background_and_response():
    whole = observation([1, 2, 3, 4, 5], grouping_C=flags(1, -1, 1, -1, -1))
    grouped = whole.grouped()
    assert grouped.spectrum.counts_C.tolist() == [3, 12]
    assert grouped.background.counts_C.tolist() == [2, 3]
    assert grouped.response.matrix_EC.tolist() == [[1, 9], [11, 24]]
    assert grouped.response.channel_edges_C1.tolist() == [0, 2, 5]
    assert grouped.spectrum.first_channel == grouped.response.first_channel == 5
    assert grouped.background_scale == 0.5
    assert grouped.spectrum.grouping_C is None


def test_grouped_leaves_bad_channels_out():
    whole = observation(
        [1, 2, 3, 4, 5, 6], grouping_C=flags(1, 1, -1, 1, -1, 1), quality_C=flags(5, 0, 0, 0, 2, 5)
    )
    grouped = whole.grouped()
    assert grouped.spectrum.counts_C.tolist() == [5, 4]
    assert grouped.response.matrix_EC.tolist() == [[3, 3], [15, 9]]
    assert grouped.response.channel_edges_C1.tolist() == [1, 3, 4]
    assert grouped.response.first_channel == grouped.spectrum.first_channel == 6


def test_bad_channels_of_the_background_are_left_out_too():
    whole = observation([1, 2, 3])
    background = replace(whole.background, quality_C=flags(0, 1, 0))
    assert replace(whole, background=background).grouped().spectrum.counts_C.tolist() == [1, 3]


def test_nothing_good_left():
    whole = observation([1, 2], quality_C=flags(1, 1))
    for change in (whole.grouped, lambda: whole.rebin([0.0, 2.0])):
        with pytest.raises(InputError, match="no channel of good QUALITY"):
            change()


def test_band_cuts_everything_alike():
    whole = observation(
        [1, 2, 3, 4],
        grouping_C=flags(1, -1, 1, -1),
        areascale=torch.tensor([1.0, 2, 3, 4]).double(),
    )
    band = whole.band(1, 3)
    assert band.spectrum.counts_C.tolist() == [2, 3]
    assert band.background.counts_C.tolist() == [1, 1]
    assert band.spectrum.areascale.tolist() == [2, 3]
    assert band.spectrum.grouping_C.tolist() == [-1, 1]
    assert band.background_scale.tolist() == [1, 1.5]
    assert band.spectrum.first_channel == band.response.first_channel == 6


def test_rebin_sums_alike_and_averages_scales():
    areascale = torch.tensor([1.0, 3.0, 3.0, 5.0]).double()
    rebinned = observation([1, 2, 3, 4], areascale=areascale).rebin([0, 2, 4])
    assert rebinned.spectrum.counts_C.tolist() == [3, 7]
    assert rebinned.spectrum.areascale.tolist() == [2, 4]
    assert rebinned.response.matrix_EC.tolist() == [[1, 5], [9, 13]]


def test_turning_round_twice_changes_nothing():
    once = turned(
        spectrum([1, 2, 3], grouping_C=flags(1, 1, -1), backscale=torch.tensor([1.0, 2.0, 3.0]))
    )
    assert once.counts_C.tolist() == [3, 2, 1]
    assert once.grouping_C.tolist() == [1, -1, 1]
    assert once.descending
    twice = turned(once)
    assert twice.counts_C.tolist() == [1, 2, 3]
    assert twice.grouping_C.tolist() == [1, 1, -1]
    assert twice.backscale.tolist() == [1, 2, 3]
    assert not twice.descending
