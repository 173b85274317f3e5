"""Anomaly: spectra like the training set are let pass, and others are not, from counts alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.synthetic import SPEC, make_batch, make_dataset

from wolter import family as families
from wolter.data.batches import sample_split
from wolter.data.record_kinds import MOST_SAMPLED
from wolter.errors import InputError
from wolter.models._anomaly import Anomaly, anscombe, unbiased_inverse
from wolter.registry import pretrained
from wolter.registry.checkpoint import Card, load_model, save_model
from wolter.spectra.flags import ANOMALOUS, estimate_flags
from wolter.spectra.predict import estimate
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.train.loop import build

EDGES = torch.tensor(SPEC.energy_edges)


@pytest.fixture(scope="module")
def anomaly() -> Anomaly:
    module = Anomaly(SPEC.n_channels)
    module.learn(make_batch(8192, seed=1).counts_BC)
    return module


def share(anomaly, counts_BC) -> float:
    return float((anomaly(counts_BC) > ANOMALOUS).float().mean())


def test_the_inverse_of_the_mean_transform():
    expected_M = torch.tensor([0.0, 0.5, 1, 2, 5, 20, 100], dtype=torch.float64)
    poisson = torch.distributions.Poisson(expected_M)
    counts_N1 = torch.arange(400, dtype=torch.float64)[:, None]
    mean_M = (poisson.log_prob(counts_N1).exp() * anscombe(counts_N1)).sum(0)
    # Makitalo & Foi (2011): the closed form is the exact inverse to 0.03 counts at the worst.
    torch.testing.assert_close(unbiased_inverse(mean_M), expected_M, rtol=0.003, atol=0.03)


def test_spectra_like_those_learnt_are_not_novel(anomaly):
    counts_BC = make_batch(8192, seed=2).counts_BC
    sigmas_B = anomaly(counts_BC)
    assert abs(float(sigmas_B.median())) < 0.7  # the larger of two standardised distances
    assert share(anomaly, counts_BC) < 0.003


def test_what_was_not_learnt_is_novel_and_the_more_so_the_larger_it_is(anomaly):
    batch = make_batch(2000, seed=3)
    generator = torch.Generator().manual_seed(0)
    counts_BC = batch.counts_BC
    dead_BC = counts_BC.clone()
    dead_BC[:, 10:16] = 0
    assert share(anomaly, dead_BC) > 0.8
    line_C = torch.zeros(SPEC.n_channels)
    line_C[8] = 1
    shares = []
    for strength in (0.02, 0.05, 0.2):
        more_BC = strength * counts_BC.sum(1, keepdim=True) * line_C
        shares.append(share(anomaly, counts_BC + torch.poisson(more_BC, generator)))
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    bright_BC = torch.poisson(10 * counts_BC, generator)
    assert share(anomaly, bright_BC) > 0.95
    assert share(anomaly, torch.zeros_like(counts_BC)) == 1


def test_few_rows_tell_nothing():
    module = Anomaly(SPEC.n_channels)
    module.learn(make_batch(20).counts_BC)
    assert module(make_batch(3).counts_BC).isnan().all()
    module.learn(make_batch(64).counts_BC)
    assert module(make_batch(3).counts_BC).isfinite().all()


SPECTRAL = [name for name in families.names() if families.load(name).kind == "spectra"]
# Embeddings learn what is unusual while they train, or do not tell.
LEARNT_BEFORE = [name for name in SPECTRAL if families.load(name).task != "spectra/embedding"]


@pytest.mark.parametrize("name", LEARNT_BEFORE)
def test_every_family_says_what_is_novel_without_a_response(name, tmp_path):
    batch = make_batch(4096, seed=1)
    family = families.load(name)
    module = build(family, family.config(), SPEC, seed=0)
    family.normalise(module, batch)
    save_model(tmp_path, Card(name, {}, SPEC), module)
    few = replace(make_batch(3), area_BA=None)
    few.counts_BC[1, 10:20] = 0
    model = load_model(tmp_path)
    values = estimate(model, few)
    flags = estimate_flags(model.card, few, values)
    assert ["anomalous" in each for each in flags] == [False, True, False]
    assert not any("anomaly_unknown" in each for each in flags)


@pytest.fixture
def older(tmp_path):
    """A dataset, a model trained on it, and its weights from before anomaly was learnt."""
    dataset = make_dataset(tmp_path / "data", 400)
    family = families.load("mlp")
    module = build(family, family.config(), SPEC, seed=0)
    family.normalise(module, sample_split(dataset, "train", MOST_SAMPLED))
    save_model(tmp_path / "model", Card("mlp", {}, SPEC, layout=0), module)
    kept = {k: v for k, v in module.state_dict().items() if not k.startswith("features.anomaly.")}
    save_file(kept, tmp_path / "model" / "model.safetensors")
    return dataset, module, tmp_path / "model"


def test_older_weights_answer_with_an_unknown_anomaly(older):
    model, batch = load_model(older[2]), make_batch(4)
    values = estimate(model, batch)
    assert np.isnan(values["anomaly"]).all()
    assert np.isfinite(values["slope"]).all()
    assert all("anomaly_unknown" in flags for flags in estimate_flags(model.card, batch, values))


def test_anomaly_alone_is_learnt_for_older_weights(older, tmp_path):
    dataset, module, folder = older
    model = load_model(folder)
    with torch.no_grad():
        model.module.features.root.mean.add_(1e-6)  # it keeps its own, whatever the rounding
    own = model.module.features.root.mean.clone()
    assert pretrained.backfill(model, dataset)
    assert torch.equal(model.module.features.root.mean, own)
    batch = make_batch(16)
    learnt, again = module.features.anomaly, model.module.features.anomaly
    torch.testing.assert_close(again(batch.counts_BC), learnt(batch.counts_BC))
    assert not pretrained.backfill(model, dataset)
    other = make_dataset(tmp_path / "other", 60, seed=4)
    with pytest.raises(InputError, match=r"not what mlp was trained on \(features"):
        pretrained.backfill(load_model(folder), other)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["mlp", "posterior"])
def test_shipped_weights_let_pass_what_they_were_trained_on_alone(reference_data, name):
    folder = reference_data / "xmm" / "ngc7793_ulx4"
    config = SimulateConfig(
        rmf=str(folder / "PN.rmf"),
        arf=str(folder / "PN.arf"),
        backgrounds=(str(folder / "PNbackground_spectrum.fits"),),
        source_backscal=2_010_100,
        exposure_s=(25e3, 25e3),
    )
    batch = Simulator(config).draw(77, 0)
    anomaly = load_model(pretrained.find(name, "pretrained")[0]).module.features.anomaly
    flagged = partial(share, anomaly)
    assert flagged(batch.counts_BC) < 0.006  # 0.1 % expected: six of 1024 come by chance in 1e-3
    generator = torch.Generator().manual_seed(0)
    dead_BC = batch.counts_BC.clone()
    dead_BC[:, 40:50] = 0  # 1.1-1.3 keV
    assert flagged(dead_BC) > 0.99
    line_BC = torch.zeros_like(dead_BC)
    line_BC[:, 28:34] = 0.2 / 6 * batch.counts_BC.sum(1, keepdim=True)  # 0.86-0.98 keV
    assert flagged(batch.counts_BC + torch.poisson(line_BC, generator)) > 0.95
