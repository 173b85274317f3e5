"""Latents fitted to counts: a closed form, where fits end, and what a refined answer holds."""

from dataclasses import replace

import pytest
import torch
from tests.chandra_sources import make_sources

from wolter.models._latent_fit import PRIOR, TOLERANCE, fit_latents
from wolter.models._spectrum_decoder import LEAST, deviance
from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import locate
from wolter.spectra.latents.components import amplitude
from wolter.spectra.refinement import NOT_CONVERGED, REFINED, refined


@pytest.fixture(scope="module")
def model():
    return load_model(locate("autoencoder", "pretrained"))


@pytest.fixture(scope="module")
def batch():
    return make_sources(48, seed=3)


def objective(network, batch, latent_BL):
    source_BC, background_BC, _ = network.reconstruct(latent_BL, batch)
    deviance_B = deviance(batch.counts_BC.double(), (source_BC + background_BC).double())
    return deviance_B + (latent_BL / PRIOR).square().sum(1)


@pytest.fixture(scope="module")
def fit(model, batch):
    with torch.no_grad():
        return fit_latents(model.module, batch, model.module.encode(batch)[0])


def test_the_amplitude_of_a_fixed_shape_is_the_most_likely_one(batch):
    network = load_model(locate("autoencoder", "pretrained")).module
    with torch.no_grad():
        network.decoder.network[0].weight.zero_()
        start_BL = torch.full((len(batch), 8), 0.5)
        fit = fit_latents(network, batch, start_BL)
        source_BC, background_BC, _ = network.reconstruct(fit.latent_BL, batch)
        shape_BC = source_BC / source_BC.sum(1, keepdim=True)
        likely_B = amplitude(shape_BC, batch.counts_BC, background_BC)
    error_B = (source_BC.sum(1) - likely_B).abs() / likely_B.sqrt()
    assert float(error_B.max()) < 1.1 * TOLERANCE**0.5
    assert fit.converged_B.all()
    torch.testing.assert_close(fit.latent_BL[:, 1:], torch.zeros(len(batch), 7), rtol=0, atol=0.1)
    torch.testing.assert_close(fit.sigma_BL[:, 1:], torch.full((len(batch), 7), PRIOR))


def test_no_gradient_is_left_where_a_fit_has_converged(model, batch, fit):
    network = model.module
    rows = fit.converged_B.nonzero()[:, 0]
    assert len(rows) > 0.8 * len(batch)
    some, latent_BL = batch[rows], fit.latent_BL[rows]

    def expected(at_BL):
        source_BC, background_BC, _ = network.reconstruct(at_BL, some)
        return source_BC + background_BC

    slope_CBL = torch.autograd.functional.jacobian(lambda at_BL: expected(at_BL).sum(0), latent_BL)
    expected_BC = expected(latent_BL).clamp_min(LEAST).detach()
    information_BLL = torch.einsum("cbl,cbk,bc->blk", slope_CBL, slope_CBL, 1 / expected_BC)
    covariance_BLL = torch.linalg.inv(information_BLL + torch.eye(8) / PRIOR**2)
    sigma_BL = covariance_BLL.diagonal(dim1=1, dim2=2).sqrt()
    torch.testing.assert_close(fit.sigma_BL[rows], sigma_BL, rtol=2e-2, atol=0)
    at_BL = latent_BL.clone().requires_grad_()
    (gradient_BL,) = torch.autograd.grad(objective(network, some, at_BL).sum(), at_BL)
    fall_B = torch.einsum("bl,blk,bk->b", gradient_BL, covariance_BLL, gradient_BL) / 4
    assert float(fall_B.max()) < 1.05 * TOLERANCE


def test_the_deviance_with_the_prior_never_rises(model, batch, fit):
    network = model.module
    with torch.no_grad():
        start_BL = network.encode(batch)[0]
        before_B = objective(network, batch, start_BL)
        after_B = objective(network, batch, fit.latent_BL)
        odd_BL = torch.full_like(start_BL, 3.0)  # far from all: fits begin with bad steps
        from_odd_BL = fit_latents(network, batch, odd_BL).latent_BL
        fall_B = objective(network, batch, odd_BL) - objective(network, batch, from_odd_BL)
    assert (after_B <= before_B + 1e-3).all()
    assert float((before_B - after_B).mean()) > 1
    assert (fall_B >= -1e-3).all()
    assert float(fall_B.median()) > 100


def test_a_spectrum_has_the_same_fit_alone(model, batch, fit):
    with torch.no_grad():
        alone = fit_latents(model.module, batch[7:8], model.module.encode(batch[7:8])[0])
    torch.testing.assert_close(alone.latent_BL, fit.latent_BL[7:8], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(alone.expected_BC, fit.expected_BC[7:8], rtol=1e-2, atol=1e-3)


def test_answers_are_the_fit_s_and_classes_stay(model, batch, fit):
    counts_BC = batch.counts_BC.clone()
    counts_BC[0] = 0
    some = replace(batch, counts_BC=counts_BC)
    plain = model.family.predict(model.module, some)
    found = refined(model.family, model.module, some)
    assert found.values.keys() == plain.keys()
    torch.testing.assert_close(found.values["latent"][1:], fit.latent_BL[1:], rtol=1e-3, atol=1e-2)
    told_B = deviance(some.counts_BC, found.values["reconstruction"])
    torch.testing.assert_close(found.values["deviance"][1:], told_B[1:])
    for name in ("anomaly", "p_agn"):
        torch.testing.assert_close(found.values[name], plain[name])
    for name, value in plain.items():  # nothing is fitted to no counts
        torch.testing.assert_close(found.values[name][0], value[0])
    flags = found.flags()
    assert flags[0] == []
    assert all(flag[0] == REFINED for flag in flags[1:])
    assert [NOT_CONVERGED in flag for flag in flags[1:]] == (~found.converged_B[1:]).tolist()
