"""A dataset of sources of three classes, and an embedding of them without training."""

import pytest
from tests.chandra_sources import bands_model, make_source_dataset


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    return make_source_dataset(tmp_path_factory.mktemp("sources"), 3000)


@pytest.fixture(scope="session")
def model():
    return bands_model()
