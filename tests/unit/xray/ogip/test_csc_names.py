"""ARF and RMF of spectra of the Chandra Source Catalog, found by their names."""

import pytest

from wolter.xray.ogip.csc_names import companion, same_source

OWN = "acisf04487_001N023_r0009_pha3.fits.gz"


@pytest.fixture
def beside(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).touch()
        return tmp_path / OWN

    return make


def test_versions_may_differ_and_sources_may_not(beside):
    pha = beside(
        OWN,
        "acisf04487_001N022_r0009_arf3.fits.gz",
        "acisf04487_001N022_r0009_rmf3.fits",
        "acisf04487_001N023_r0010_arf3.fits.gz",  # another region
        "acisf04487_002N023_r0009_arf3.fits.gz",  # another interval
        "acisf14487_001N023_r0009_arf3.fits.gz",  # another observation
        "acisf04487_001N023_r0009_regimg3.fits.gz",
    )
    assert companion(pha, "arf").name == "acisf04487_001N022_r0009_arf3.fits.gz"
    assert companion(pha, "rmf").name == "acisf04487_001N022_r0009_rmf3.fits"


def test_of_several_versions_the_nearest_is_taken_and_then_the_later(beside):
    versions = [f"acisf04487_001N{version}_r0009_arf3.fits.gz" for version in ("019", "022", "024")]
    pha = beside(OWN, *versions)
    assert companion(pha, "arf").name == versions[2]
    (pha.parent / versions[2]).unlink()
    assert companion(pha, "arf").name == versions[1]


def test_interleaved_exposures_are_apart(beside):
    beside("acisf04487_001N022_e1_r0009_arf3.fits.gz", "acisf04487_001N022_e2_r0009_arf3.fits.gz")
    pha = beside("acisf04487_001N023_e2_r0009_pha3.fits.gz")
    pha = pha.with_name("acisf04487_001N023_e2_r0009_pha3.fits.gz")
    assert companion(pha, "arf").name == "acisf04487_001N022_e2_r0009_arf3.fits.gz"


def test_other_names_have_no_companions(beside):
    pha = beside("PN.pha", "PN.arf", "acisf04487_001N022_r0009_rmf3.fits.gz")
    assert companion(pha.with_name("PN.pha"), "arf") is None
    assert companion(pha, "arf") is None
    assert companion(pha.with_name("acisf04487_001N022_r0009_rmf3.fits.gz"), "arf") is None


def test_files_of_one_source():
    assert same_source(OWN, "acisf04487_001N022_r0009_pha3.fits")
    assert not same_source(OWN, "acisf04487_001N022_r0008_pha3.fits")
    assert not same_source(OWN, "acisf04487_001N023_r0009_arf3.fits")
    assert not same_source("", OWN)
    assert not same_source("PN.pha", "PN.pha")
