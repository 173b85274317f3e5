import pytest


@pytest.fixture(scope="module", autouse=True)
def on_one_thread(one_thread):
    """All tests of this folder."""
