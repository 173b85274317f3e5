"""A dataset of sources of three classes, and an embedding of them without training."""

import pytest
from tests.chandra_sources import bands_model, make_source_dataset

from wolter.spectra.latents.analysis import study
from wolter.spectra.latents.options import EmbeddingEvaluation


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    return make_source_dataset(tmp_path_factory.mktemp("sources"), 4000)


@pytest.fixture(scope="session")
def model():
    return bands_model()


@pytest.fixture(scope="session")
def prepared(sources, model):
    return study([model], ["bands 1"], sources, "test", None, EmbeddingEvaluation(clusters=8))
