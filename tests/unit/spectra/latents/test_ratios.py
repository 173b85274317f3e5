"""Hardness ratios measured from counts."""

import numpy as np
import torch
from tests.chandra_sources import SPEC, make_sources

from wolter.spectra.latents.ratios import hardness_ratios, ratio
from wolter.spectra.latents.sources import Sources


def test_bright_sources_have_the_ratios_of_their_fluxes():
    """Bands of one mean area lose the spectrum's slope inside them: good to 0.1."""
    sources = Sources(make_sources(300, counts=(2e4, 4e4)), SPEC)
    for name, measured_N in hardness_ratios(sources).items():
        true_N = sources.label(name)
        assert np.abs(measured_N - true_N).mean() < 0.12
        assert np.corrcoef(measured_N, true_N)[0, 1] > 0.97


def test_no_counts_are_a_ratio_of_zero():
    batch = make_sources(3)
    batch.counts_BC = torch.zeros_like(batch.counts_BC)
    for value_N in hardness_ratios(Sources(batch, SPEC)).values():
        assert value_N.tolist() == [0, 0, 0]


def test_one_band_alone_is_a_ratio_of_one():
    assert ratio(np.array([2.0, 0.0]), np.array([0.0, 3.0])).tolist() == [1, -1]
