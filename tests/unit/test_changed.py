"""`make check` finds the tests of a file by where it lies."""

from tests.changed import ROOT, unit_tests_of


def names(path: str) -> list[str]:
    return [str(test.relative_to(ROOT)) for test in unit_tests_of(path)]


def test_unit_tests_mirror_the_package():
    assert names("platform/wolter/xray/ogip/pha.py") == ["tests/unit/xray/ogip/test_pha.py"]
    assert names("models/_anomaly.py") == ["tests/unit/models/test_anomaly.py"]
    assert names("tests/unit/test_config.py") == ["tests/unit/test_config.py"]
    assert names("README.md") == []
