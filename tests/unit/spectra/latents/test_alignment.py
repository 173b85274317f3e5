"""Ranks of true partners among spectra and catalogue rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wolter.spectra.latents import alignment
from wolter.spectra.latents.sources import Sources
from wolter.spectra.schema import SpectraBatch, SpectraSpec

EDGES = (0.5, 1.2, 2.0, 7.0)


def sources(n=200, noise=0.0, seed=0):
    """Spectra of three channels, one a band, and rows of the same fluxes with errors."""
    generator = np.random.default_rng(seed)
    counts_N3 = torch.from_numpy(generator.uniform(5, 500, (n, 3))).float()
    batch = SpectraBatch(
        counts_N3, torch.zeros(n, 3), torch.zeros(n), torch.full((n,), 1e4), class_B=torch.zeros(n)
    )
    spec = SpectraSpec(EDGES, catalogue=("log_flux_s", "log_flux_m", "log_flux_h"))
    plain = Sources(batch, spec)
    flux = {k: 1.602177e-9 * v for k, v in alignment.band_fluxes(plain).items()}
    log_NX = np.stack([np.log10(flux[k]) for k in "smh"], 1)
    log_NX += noise * generator.normal(size=log_NX.shape)
    return Sources(replace(batch, catalogue_BX=torch.from_numpy(log_NX).float()), spec)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_ranks_count_those_that_are_more_similar():
    similarity_NN = np.array([[0.9, 0.1, 0.2], [0.8, 0.5, 0.1], [0.7, 0.6, 0.5]])
    np.testing.assert_allclose(alignment.ranks(similarity_NN), [0, 100 / 3, 200 / 3])


def test_equal_ones_count_half():
    np.testing.assert_allclose(alignment.ranks(np.ones((4, 4))), 100 * 1.5 / 4)


def test_figures_of_ranks():
    found = alignment.figures_of(np.array([0.0, 0.5, 2.0, 4.9, 30.0]))
    assert found == pytest.approx({"recall_1": 40, "recall_5": 80, "median_rank": 2.0})


def test_search_finds_the_partner_first():
    key_KL = unit(np.random.default_rng(0).normal(size=(50, 4)))
    found = alignment.nearest(key_KL[[7, 30]], key_KL, 3)
    assert found.shape == (2, 3)
    assert found[:, 0].tolist() == [7, 30]


class TestTable:
    @pytest.fixture
    def vectors(self):
        return unit(np.random.default_rng(1).normal(size=(200, 4)))

    def line(self, table, label):
        return next(line.values for line in table.lines if line.label == label)

    def test_perfect_vectors_find_each_other(self, vectors):
        outputs = {"aligner": {"latent": vectors, "row_latent": vectors}}
        table = alignment.aligned(sources(), outputs)
        found = self.line(table, "aligner, spectrum finds row")
        assert found == pytest.approx({"recall_1": 100, "recall_5": 100, "median_rank": 0})

    def test_unrelated_vectors_rank_by_chance(self, vectors):
        other = unit(np.random.default_rng(2).normal(size=(200, 4)))
        outputs = {"aligner": {"latent": vectors, "row_latent": other}}
        found = self.line(alignment.aligned(sources(), outputs), "aligner, row finds spectrum")
        assert 40 < found["median_rank"] < 60
        assert found["recall_1"] < 5

    def test_ratios_find_rows_of_the_same_fluxes(self, vectors):
        outputs = {"aligner": {"latent": vectors, "row_latent": vectors}}
        exact = alignment.aligned(sources(noise=0.0), outputs)
        noisy = alignment.aligned(sources(noise=0.3), outputs)
        for label in ("hardness ratios", "hardness ratios and flux"):
            assert self.line(exact, label)["recall_1"] > 95
            assert self.line(noisy, label)["recall_1"] < 90

    def test_no_rows_no_table(self, vectors):
        test = sources()
        assert alignment.aligned(test, {"autoencoder": {"latent": vectors}}) is None
        outputs = {"aligner": {"latent": vectors, "row_latent": vectors * np.nan}}
        assert alignment.aligned(test, outputs) is None
