"""Layers as codes: exact counts, rates within what is promised, few bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wolter.answering.sky_picture import Layer
from wolter.catalogue.pictures.codes import SOFT, Coded

COUNTS = Layer("photons", "photons", "count", True)
RATE = Layer("rate", "rate", "ct/s", False, 2)


def back(layer, values_HW):
    coded = Coded.of(layer, values_HW)
    again = Coded.from_bytes(layer, coded.to_bytes(layer), coded.highest, values_HW.shape)
    assert np.array_equal(again.codes_HW, coded.codes_HW)
    return again.values(layer)


@given(arrays(np.float32, (5, 7), elements=st.integers(0, 65_534).map(float)))
def test_counts_come_back_as_they_are(counts_HW):
    counts_HW[0, 0] = np.nan
    assert np.array_equal(back(COUNTS, counts_HW), counts_HW, equal_nan=True)


@given(arrays(np.float32, (6, 4), elements=st.floats(0, 1e4, width=32)))
def test_rates_come_back_to_a_few_percent(rate_HW):
    rate_HW[2, 1] = np.nan
    found_HW = back(RATE, rate_HW)
    assert np.array_equal(np.isnan(found_HW), np.isnan(rate_HW))
    highest = np.nanmax(rate_HW, initial=0)
    wrong_HW = np.abs(np.nan_to_num(found_HW - rate_HW))
    assert (wrong_HW <= 0.0245 * np.nan_to_num(rate_HW) + 0.025 * SOFT * highest + 1e-30).all()


def test_a_layer_of_few_photons_is_a_byte_a_pixel():
    counts_HW = np.full((4, 4), 254, np.float32)
    assert len(Coded.of(COUNTS, counts_HW).to_bytes(COUNTS)) == 16
    assert len(Coded.of(COUNTS, counts_HW + 1).to_bytes(COUNTS)) == 32


@pytest.mark.parametrize(("row", "column"), [(-2, -1), (2, 3), (-9, 0), (9, 9)])
def test_what_lies_outside_was_not_exposed(row, column):
    counts_HW = np.arange(20, dtype=np.float32).reshape(4, 5)
    found_HW = Coded.of(COUNTS, counts_HW).cut(row, column, (4, 4)).values(COUNTS)
    padded_HW = np.pad(counts_HW, 10, constant_values=np.nan)
    expected_HW = padded_HW[10 + row : 14 + row, 10 + column : 14 + column]
    assert np.array_equal(found_HW, expected_HW, equal_nan=True)
