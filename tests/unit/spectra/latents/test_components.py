"""Principal components of spectra."""

import pytest
import torch
from tests.chandra_sources import make_sources

from wolter.spectra.latents.components import amplitude, normalised, principal_components
from wolter.xray.stats.likelihood import cstat


def test_spectra_of_few_components_are_decoded_exactly():
    generator = torch.Generator().manual_seed(0)
    shape_KC = torch.rand(3, 40, generator=generator) + 0.1
    mix_NK = torch.rand(300, 3, generator=generator)
    net_NC = 1e6 * normalised(mix_NK @ shape_KC)
    none_NC = torch.zeros_like(net_NC)
    found = principal_components(net_NC, none_NC, 2)  # of sum 1: one dimension less
    torch.testing.assert_close(found.expected(net_NC, none_NC), net_NC, rtol=2e-3, atol=0)


def test_the_amplitude_is_the_most_likely_one():
    batch = make_sources(20, seed=3)
    background_NC = batch.expected_background_BC
    shape_NC = normalised(batch.expected_BKC.sum(1))
    level_N = amplitude(shape_NC, batch.counts_BC, background_NC)

    def deviance(factor: float):
        return cstat(batch.counts_BC, factor * level_N[:, None] * shape_NC + background_NC)

    assert bool((deviance(1.0) <= deviance(1.01) + 1e-4).all())
    assert bool((deviance(1.0) <= deviance(0.99) + 1e-4).all())


def test_more_components_reconstruct_bright_spectra_better():
    batch = make_sources(2000, seed=1, counts=(500, 5000))
    background_NC = batch.expected_background_BC
    found = {}
    for n in (1, 8):
        components = principal_components(batch.counts_BC, background_NC, n)
        expected_NC = components.expected(batch.counts_BC, background_NC) + background_NC
        found[n] = float(cstat(batch.counts_BC, expected_NC).mean()) / 155
    truth = float(cstat(batch.counts_BC, batch.expected_BKC.sum(1) + background_NC).mean()) / 155
    assert truth < 1.1
    assert found[8] < 0.6 * found[1]
    assert found[8] == pytest.approx(truth, rel=0.15)
