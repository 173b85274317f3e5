"""One Ray for all tests of this folder."""

from collections.abc import Iterator

import pytest

from wolter.cluster import connected


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A light local Ray, shut down at the end."""
    with connected():
        yield
