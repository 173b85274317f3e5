"""Similar sources equal brute force; sources without latents are never among them."""

import numpy as np
import pytest
from tests.releases import random_release

from wolter.catalogue import release as releases
from wolter.catalogue.neighbours import similar_to_latent, similar_to_source
from wolter.catalogue.store import Snapshot
from wolter.errors import InputError


def test_the_nearest_are_those_of_brute_force(snapshot):
    latents_NL = np.load(snapshot.path / releases.LATENTS).astype(np.float64)
    rng, columns = np.random.default_rng(0), snapshot.source.columns[:1]
    for latent_L in [*rng.normal(size=(100, 8)), np.full(8, 1e6), np.zeros(8)]:
        found = similar_to_latent(snapshot, latent_L.tolist(), columns, 10)
        distance_N = np.linalg.norm(latents_NL - latent_L.astype(np.float32), axis=1)
        expected = np.sort(distance_N)[:10]
        np.testing.assert_allclose(found.rows["distance"].to_numpy(), expected, rtol=1e-6)
        told = distance_N[found.rows["source_id"].to_numpy() - 10**12]
        np.testing.assert_allclose(told, expected, rtol=1e-6)


def test_a_source_is_not_similar_to_itself(snapshot):
    found = similar_to_source(snapshot, 10**12 + 3, snapshot.source.columns, 20)
    assert len(found.rows) == 20
    assert 10**12 + 3 not in found.rows["source_id"].to_pylist()
    assert (np.diff(found.rows["distance"].to_numpy()) >= 0).all()
    every = similar_to_source(snapshot, 10**12 + 3, snapshot.source.columns[:1], 5_000)
    assert len(every.rows) == 2_999
    assert not every.truncated


def test_sources_without_latents_are_left_out(tmp_path):
    path = random_release(tmp_path, 50)
    latents_NL = np.load(path / releases.LATENTS)
    latents_NL[[3, 49]] = np.nan
    np.save(path / releases.LATENTS, latents_NL)
    snapshot = Snapshot(releases.load(path), path)
    found = similar_to_source(snapshot, 10**12, snapshot.source.columns[:1], 100)
    assert len(found.rows) == 47
    assert not {10**12 + 3, 10**12 + 49} & set(found.rows["source_id"].to_pylist())
    for none in (3, 49):
        with pytest.raises(InputError, match="no latents"):
            similar_to_source(snapshot, 10**12 + none, snapshot.source.columns, 5)
    (path / releases.LATENTS).unlink()
    again = Snapshot(releases.load(path), path)
    with pytest.raises(InputError, match="release R1: no latents"):
        similar_to_source(again, 10**12, snapshot.source.columns, 5)
    snapshot.close()


@pytest.mark.parametrize(
    "latent", [[], [0.0] * 7, [float("nan")] * 8, [1e30] * 8, [float("inf")] * 8]
)
def test_what_is_no_latent_is_refused(snapshot, latent):
    with pytest.raises(InputError, match="latent: "):
        similar_to_latent(snapshot, latent, snapshot.source.columns, 5)
    with pytest.raises(InputError, match="no source 7"):
        similar_to_source(snapshot, 7, snapshot.source.columns, 5)
