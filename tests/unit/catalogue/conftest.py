"""A release to ask, open."""

import pytest
from tests.releases import random_release

from wolter.catalogue import release as releases
from wolter.catalogue.store import Store


@pytest.fixture(scope="session")
def release_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("releases")
    random_release(root, 3_000)
    releases.make_current("R1", root)
    return root


@pytest.fixture(scope="session")
def snapshot(release_root):
    store = Store(release_root)
    with store.open() as snapshot:
        yield snapshot
    store.close()
