"""Quick looks at spectra: bins, and what models expect in them."""

import dataclasses

import numpy as np
import pytest
import torch

from wolter.registry.checkpoint import load_model
from wolter.spectra.explained import gridded_of
from wolter.spectra.model_check import Likelihood
from wolter.spectra.quick_looks import AXIS, BINS, COUNTS, quick_looks, starts_of
from wolter.spectra.reading import read_record


@pytest.fixture
def spec(untrained):
    return load_model(untrained("posterior")).card.spec


@pytest.fixture
def batch(pha, spec):
    return read_record(pha, spec).batch


def looked(spec, batch, values, informed=True):
    (look,) = quick_looks(spec, batch, values, np.array([informed]))
    return look


def drawn(spec, n=50):
    """Samples (1, n, P) of the prior."""
    quantiles = torch.rand(n, len(spec.names), generator=torch.Generator().manual_seed(1))
    return spec.prior.quantile(0.3 + 0.4 * quantiles)[None].float().numpy()


def test_bins_are_even_in_the_logarithm_and_hold_all_counts(spec, batch):
    look = looked(spec, batch, {})
    total = float(batch.counts_BC.sum())
    assert look.counts_G.sum() == total
    assert len(look.counts_G) <= max(BINS[0], total / COUNTS)
    assert (look.edges_G1[0], look.edges_G1[-1]) == (spec.energy_edges[0], spec.energy_edges[-1])
    assert look.exposure_s == float(batch.exposure_B[0])
    background = float(batch.background_BC.sum() * batch.background_scale_B[0])
    assert look.background_G.sum() == pytest.approx(background)
    ratio = look.edges_G1[1:] / look.edges_G1[:-1]
    assert ratio.max() < 1.3 * ratio.min()
    assert AXIS.scale == "log"


def test_bins_are_never_empty_where_channels_are_wide():
    edges = np.array([1.0, 1.1, 4.0, 9.0, 10.0])
    assert starts_of(edges, 8).tolist() == [0, 1, 2, 3]
    assert starts_of(edges, 1).tolist() == [0]


def test_the_band_is_that_of_the_likelihoods_expected_counts(spec, batch):
    samples_BSP = drawn(spec)
    look = looked(spec, batch, {"samples": samples_BSP})
    likelihood = Likelihood(gridded_of(batch, 0, spec), spec)
    expected_SC = likelihood.expected(torch.from_numpy(samples_BSP[0])).double().numpy()
    starts_G = np.searchsorted(spec.energy_edges, look.edges_G1[:-1])
    grouped_SG = np.add.reduceat(expected_SC, starts_G, axis=1)
    for quantile, found in ((0.5, look.model_G), (0.16, look.low_G), (0.84, look.high_G)):
        assert found == pytest.approx(np.quantile(grouped_SG, quantile, axis=0), rel=1e-3)


def test_a_single_answer_and_a_reconstruction_are_lines(spec, batch):
    values = {name: drawn(spec, 1)[0, :, i] for i, name in enumerate(spec.names)}
    look = looked(spec, batch, values)
    assert look.model_G.sum() > look.background_G.sum()
    assert look.low_G is None
    look = looked(spec, batch, {"reconstruction": np.ones((1, spec.n_channels), np.float32)})
    assert look.model_G.sum() == spec.n_channels
    assert look.high_G is None


def test_without_a_response_or_with_the_prior_alone_there_is_no_model(spec, batch):
    values = {"samples": drawn(spec)}
    assert looked(spec, batch, values, informed=False).model_G is None
    bare = dataclasses.replace(batch, folding_area_BF=None)
    assert looked(spec, bare, values).model_G is None
    unknown = dataclasses.replace(
        batch, folding_area_BF=torch.full_like(batch.folding_area_BF, torch.nan)
    )
    assert looked(spec, unknown, values).model_G is None
