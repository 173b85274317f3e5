"""Pictures of the sky from tiles: what a model reads, and which layers it gives."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests import skies
from tests.synthetic import IMAGES, SPEC, make_image_dataset

from wolter import family as families
from wolter.answering.sky_picture import PLACES
from wolter.data.shards import open_dataset
from wolter.images.picturing import EnhancedPictures
from wolter.registry.checkpoint import load_model

PICTURING = EnhancedPictures()


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    picture = skies.picture(skies.header(30, 40, 0, 40), [(30.0, 40.0)], 40)
    return open_dataset(skies.dataset(tmp_path_factory.mktemp("data") / "d", [picture], tile=40))


def test_what_a_model_does_not_read_is_said(enhancer):
    model = load_model(enhancer(2))
    assert PICTURING.problem(model, IMAGES) == ""
    assert PICTURING.problem(model, SPEC) == "reads images, not spectra"
    assert PICTURING.problem(model, replace(IMAGES, pixel_arcsec=4.35)) == ""
    told = PICTURING.problem(model, replace(IMAGES, pixel_arcsec=2.0))
    assert told.startswith("reads pixels of 4 arcsec, these are 2")


def test_the_main_model_of_images_is_published():
    loaded = [families.load(name) for name in ("sweere2022", "superres", "vago2025")]
    assert PICTURING.default(loaded).name == "superres"
    assert PICTURING.default(loaded[:1]).name == "sweere2022"


def test_simulated_pairs_are_told_from_observed_ones(observed, tmp_path):
    simulated = make_image_dataset(tmp_path / "simulated", 2, 1)
    assert PICTURING.simulated(simulated)
    assert not PICTURING.simulated(observed)
    places = PICTURING.places(simulated.read(0), simulated.spec)
    assert places.schema.equals(PLACES)
    assert all("simulated" in reason for reason in places["reason"].to_pylist())


def test_layers_are_photons_and_the_rate_where_there_was_exposure(observed, enhancer):
    model, table = load_model(enhancer(2)), observed.read(0)
    assert PICTURING.places(table, observed.spec)["reason"].to_pylist() == [""]
    photons, rate = PICTURING.layers(model)
    (picture,) = PICTURING.pictures(model, pa.concat_tables([table]), observed.spec)
    counts_HW = table["counts"].combine_chunks().to_numpy_ndarray()[0]
    seen_HW = np.isfinite(picture[photons.name])
    assert np.array_equal(picture[photons.name][seen_HW], counts_HW[seen_HW])
    assert (~seen_HW).sum() == 2 * 40
    assert np.array_equal(np.isfinite(picture[rate.name]), seen_HW.repeat(2, 0).repeat(2, 1))
