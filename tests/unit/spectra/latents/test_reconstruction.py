"""Deviances of reconstructions, of the spectra themselves and of a second draw."""

import numpy as np
import pytest
import torch
from tests.chandra_sources import make_sources

from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import locate
from wolter.spectra.latents import reconstruction
from wolter.spectra.latents.components import principal_components
from wolter.spectra.latents.sources import Sources, encode, refine
from wolter.spectra.schema import SpectraBatch, SpectraSpec

EDGES = tuple(float(edge) for edge in np.linspace(0.5, 8, 33))


@pytest.fixture(scope="module")
def test():
    """Two thousand faint spectra of one shape, ten expected counts a channel in half of them."""
    generator = torch.Generator().manual_seed(0)
    expected_BC = torch.full((2000, 32), 10.0)
    expected_BC[1000:] = 1.0
    batch = SpectraBatch(
        torch.poisson(expected_BC, generator),
        torch.zeros(2000, 32),
        torch.zeros(2000),
        torch.ones(2000),
        expected_BKC=expected_BC[:, None],
        expected_background_BC=torch.zeros(2000, 32),
    )
    return Sources(batch, SpectraSpec(EDGES, components=("source",)))


def test_the_second_draw_has_other_noise_of_the_same_mean(test):
    second_NC = reconstruction.second_draw(test, seed=1)
    assert second_NC is not None
    assert not torch.equal(second_NC, test.batch.counts_BC)
    assert float(second_NC[:1000].mean()) == pytest.approx(10, abs=0.1)
    assert torch.equal(second_NC, reconstruction.second_draw(test, seed=1))


def test_following_the_noise_looks_good_in_the_same_spectrum_alone(test):
    counts_NC = test.batch.counts_BC
    follows = {"follower": {"reconstruction": counts_NC.numpy(), "latent": np.zeros((2000, 0))}}
    components = principal_components(counts_NC, torch.zeros_like(counts_NC), 2)
    first = reconstruction.deviances(test, follows, components)
    second_NC = reconstruction.second_draw(test, seed=1)
    second = reconstruction.deviances(test, follows, components, second_NC)
    bright = slice(0, 1000)
    truth = reconstruction.TRUTH
    assert first["follower"][1][bright].mean() == pytest.approx(0, abs=1e-6)
    assert second["follower"][1][bright].mean() > 1.5 * second[truth][1][bright].mean()
    # C-stat of Poisson counts of mean 10 is 1.017 (Kaastra 2017), in both draws.
    assert first[truth][1][bright].mean() == pytest.approx(1.017, abs=0.03)
    assert second[truth][1][bright].mean() == pytest.approx(1.017, abs=0.03)


def test_latents_that_can_be_are_fitted_to_the_counts(model):
    batch = make_sources(16)
    assert refine(model, batch) is None
    autoencoder = load_model(locate("autoencoder", "pretrained"))
    plain, fitted = encode(autoencoder, batch), refine(autoencoder, batch)
    assert fitted is not None
    assert fitted.keys() == plain.keys()
    assert fitted["deviance"].sum() < plain["deviance"].sum()


def test_spectra_of_the_sky_have_no_second_draw(test):
    batch = test.batch
    plain = SpectraBatch(
        batch.counts_BC, batch.background_BC, batch.background_scale_B, batch.exposure_B
    )
    assert reconstruction.second_draw(Sources(plain, test.spec), seed=0) is None
