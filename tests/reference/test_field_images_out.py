"""Answers to the images of the field: empty sky, its check, and other telescopes beside it."""

import resource

import numpy as np
import pytest
from astropy.io import fits

from wolter.cli import main
from wolter.images.fits_output import expected_counts

pytestmark = [pytest.mark.reference, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def field(reference_data):
    folder = reference_data.parent / "field" / "images"
    if not folder.is_dir():
        pytest.skip(f"no images of the field at {folder}")
    return folder


def answer(image, out, *options):
    arguments = ["predict", "superres", str(image), "-o", str(out), "--version", "pretrained"]
    assert main([*arguments, *map(str, options)]) == 0
    return out


def test_empty_sky_holds_no_source(field, tmp_path):
    with fits.open(answer(field / "flat.fits", tmp_path / "out.fits")) as hdus:
        assert (hdus["LOWER"].data == 0).all()
        assert (hdus["UPPER"].data > 0).all()
        assert 0.9 < hdus[0].header["CHECKRMS"] < 1.1


def test_a_source_keeps_its_lower_end_and_counts_come_from_the_file(field, tmp_path):
    options = ["--exposure-map", field / "map_good.fits"]
    out = answer(field / "base.fits", tmp_path / "out.fits", *options)
    with fits.open(out) as hdus:
        header, lower_HW = hdus[0].header, hdus["LOWER"].data
        assert lower_HW[82, 121] > 0.5 * hdus[0].data[82, 121]
        assert 0.02 < (lower_HW > 0).mean() < 0.15
        assert 0.9 < header["CHECKRMS"] < 1.1
        assert header["CHECKFAR"] < 0.005
    photons_HW = fits.getdata(field / "base.fits")
    expected_HW = expected_counts(out).numpy()
    assert expected_HW.sum() == pytest.approx(photons_HW.sum(), rel=0.02)
    core = np.s_[36:46, 55:66]
    assert expected_HW[core].sum() == pytest.approx(photons_HW[core].sum(), rel=0.03)


def test_a_round_field_with_its_map_agrees(field, tmp_path):
    options = ["--exposure-map", field / "fov_map.fits"]
    with fits.open(answer(field / "fov_nomap.fits", tmp_path / "out.fits", *options)) as hdus:
        assert 0.9 < hdus[0].header["CHECKRMS"] < 1.1
        assert ((hdus["EXPMAP"].data == 0) == np.isnan(hdus["CHECK"].data)).all()
        assert (hdus["LOWER"].data > 0).sum() * 4 < 3e4  # arcsec^2, of one source


def test_a_wide_survey_is_compared_in_little_memory(field, tmp_path, capsys):
    """Pixels of 45 arcsec: they tell no offset."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    options = ["--compare", field / "wide_45arcsec.fits"]
    answer(field / "base.fits", tmp_path / "out.fits", *options)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1e6  # kB
    assert "wide_45arcsec.fits: pixels of 45 arcsec" in capsys.readouterr().out
    assert (tmp_path / "out.png").exists()


def test_another_telescope_keeps_its_unit(field, tmp_path, capsys, monkeypatch):
    """The same source at the same place: 7e-6 photon/cm^2/s in all, 0.1 ct/s of source."""
    import wolter.images.plot as module

    shown, side_by_side = [], module.side_by_side
    monkeypatch.setattr(
        module, "side_by_side", lambda panels, *a: shown.extend(panels) or side_by_side(panels, *a)
    )
    options = ["--compare", field / "chandra_flux.fits"]
    answer(field / "base.fits", tmp_path / "out.fits", *options)
    assert shown[-1].unit == "photon/cm**2/s / pixel of the answer"
    total = fits.getdata(field / "chandra_flux.fits").sum()
    assert shown[-1].image_HW.sum() == pytest.approx(total, rel=1e-4)
    line = next(each for each in capsys.readouterr().out.splitlines() if "offset" in each)
    words = line.split("offset ")[1].split()
    east, north = float(words[0]), float(words[3])
    assert np.hypot(east, north) < 2
    assert "photon/cm**2/s for 1 ct/s of the answer" in line
