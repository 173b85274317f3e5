"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real files; tests that ask for it are skipped, visibly, where it is missing."""
    folder = Path(os.environ.get("WOLTER_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"reference data not found at {folder}; set WOLTER_REFERENCE_DATA")
    return folder.resolve()
