"""Small supervised classifiers."""

import numpy as np
import torch
from tests.chandra_sources import SPEC, make_sources

from wolter.spectra.latents.networks import Recipe, classes_of, spectrum_inputs, train
from wolter.spectra.latents.scores import balanced_accuracy
from wolter.spectra.latents.sources import UNKNOWN, Sources


def test_rings_are_told_apart_where_a_plane_cannot():
    generator = np.random.default_rng(0)
    points_ND = generator.normal(size=(1500, 2))
    class_N = (np.hypot(*points_ND.T) > 1.18).astype(int)
    class_N[:50] = UNKNOWN
    inputs_ND = torch.from_numpy(points_ND).float()
    model = train(lambda _: inputs_ND, class_N, 2, Recipe(width=32, epochs=25, dropout=0.0))
    told_N = classes_of(model, inputs_ND)
    assert balanced_accuracy(class_N, told_N, 2).value > 0.95


def test_one_seed_gives_one_network():
    inputs_ND = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    class_N = (inputs_ND[:, 0] > 0).long().numpy()
    recipe = Recipe(width=8, epochs=2)
    state = torch.get_rng_state()
    first, again = (train(lambda _: inputs_ND, class_N, 2, recipe, 3) for _ in range(2))
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)


def test_inputs_of_spectra_are_finite_and_tell_the_response():
    batch = make_sources(20)
    inputs_ND = spectrum_inputs(batch)
    assert bool(torch.isfinite(inputs_ND).all())
    batch.folding_area_BF = 2 * batch.folding_area_BF
    assert not torch.equal(spectrum_inputs(batch), inputs_ND)
    batch.counts_BC = torch.zeros_like(batch.counts_BC)
    assert bool(torch.isfinite(spectrum_inputs(batch)).all())
    assert len(Sources(batch, SPEC)) == 20
