"""Another telescope's image on our pixels, and how it compares."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter

from wolter.cli import main
from wolter.images.evaluate.comparison import compare
from wolter.images.evaluate.other_telescope import read_other
from wolter.xray.instruments.pointing import celestial

SHAPE = (122, 100)  # of an answer to the 61 x 50 pixels of 4 arcsec of `picture_file`


@pytest.fixture
def world(picture_file):
    return celestial(fits.getheader(picture_file))


def cards(picture_file, arcsec, size, **others):
    header = fits.getheader(picture_file)
    header.update({"CRPIX1": (size + 1) / 2, "CRPIX2": (size + 1) / 2} | others)
    header.update({"CDELT1": -arcsec / 3600, "CDELT2": arcsec / 3600})
    return header


def put(picture_file, image, arcsec, **others):
    path = picture_file.with_name("other.fits")
    fits.writeto(path, image, cards(picture_file, arcsec, len(image), **others), overwrite=True)
    return path


def test_every_count_goes_to_its_place(picture_file, world):
    sharp = np.zeros((200, 200), np.int32)
    sharp[120, 90] = 100
    path = put(picture_file, sharp, 1.0)
    other = read_other(path, world, SHAPE, 2)
    assert np.nansum(other.image_HW) == pytest.approx(100)
    sky = WCS(fits.getheader(path)).pixel_to_world_values(90, 120)
    column, row = world.world_to_pixel_values(*sky)
    place = np.unravel_index(np.nanargmax(other.image_HW), SHAPE)
    assert place == (int((row + 0.5) * 2), int((column + 0.5) * 2))
    assert np.isnan(other.image_HW).any()  # the field is 244 arcsec high
    assert (other.unit, other.arcsec) == ("counts", pytest.approx(1.0))


@pytest.mark.parametrize("arcsec", [0.5, 1.3, 4.0, 10.0, 45.0])
def test_density_is_kept_whatever_the_pixels(picture_file, world, arcsec):
    """1 count in each arcsec^2: 4 in each pixel of 2 arcsec."""
    size = int(800 / arcsec)
    path = put(picture_file, np.full((size, size), arcsec**2, np.float32), arcsec, BUNIT="ct")
    image_HW = read_other(path, world, SHAPE, 2).image_HW
    assert np.isfinite(image_HW).all()
    assert image_HW.mean() == pytest.approx(4, rel=0.01)
    bright = put(picture_file, np.full((size, size), 3.0, np.float32), arcsec, BUNIT="MJy/sr")
    assert np.allclose(read_other(bright, world, SHAPE, 2).image_HW, 3, rtol=1e-5)


def test_pixels_without_a_value_are_not_zero(picture_file, world):
    image = np.ones((400, 400), np.float32)
    image[:, :200] = np.nan
    image_HW = read_other(put(picture_file, image, 1.0), world, SHAPE, 2).image_HW
    assert 0.45 < np.isnan(image_HW).mean() < 0.55


def test_a_wide_survey_is_cut_to_the_field_first(picture_file, world, monkeypatch):
    """512 x 512 pixels of 45 arcsec: in pieces of ours, 500 million of them."""
    import wolter.images.evaluate.other_telescope as module

    seen = []
    for name in ("_summed", "_looked_up"):
        function = getattr(module, name)

        def noted(values_HW, *others, function=function):
            seen.append(values_HW.shape)
            return function(values_HW, *others)

        monkeypatch.setattr(module, name, noted)
    for arcsec, most in ((45.0, 12), (1.0, 260)):
        read_other(put(picture_file, np.ones((512, 512), np.int16), arcsec), world, SHAPE, 2)
        assert max(seen.pop()) <= most


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"CRVAL1": 90.0}, "another part of the sky"),
        ({"CRVAL1": 210.0, "CRVAL2": 20.0}, "another part of the sky"),  # the antipode
        ({"CTYPE1": "X", "CTYPE2": "Y"}, "no sky coordinates"),
    ],
)
def test_what_cannot_be_compared_ends_before_the_prediction(
    picture_file, enhancer, capsys, monkeypatch, others, words
):
    path = put(picture_file, np.ones((50, 50), np.int32), 1.0, **others)

    def never(*_):
        raise AssertionError("predicted before")

    monkeypatch.setattr("wolter.images.tasks.enhance_picture", never)
    arguments = ["predict", "superres", str(picture_file), "--compare", str(path)]
    arguments += ["-o", str(path.with_name("out.fits")), "--checkpoint", str(enhancer(2))]
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
    assert not path.with_name("out.fits").exists()


def field(columns, rows, width, seed=None):
    """Sources of 2,000 and 200 counts as a telescope of some width sees them, shifted."""
    image = np.zeros((300, 300))
    image[150 + rows, 130 + columns] = 2000
    image[190 + rows, 180 + columns] = 200
    image = gaussian_filter(image, width)
    return image if seed is None else np.random.default_rng(seed).poisson(image + 0.05)


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (5, -3)])
def test_offset_and_ratio_of_a_shifted_image(picture_file, world, columns, rows):
    """Columns go to the west, where pixels of 1 arcsec have a negative CDELT1."""
    ours = put(picture_file, field(0, 0, 4).astype(np.float32), 1.0, BUNIT="ct/s")
    rate_HW = read_other(ours, world, SHAPE, 2).image_HW / 2e4
    photons = field(columns, rows, 1, seed=0)
    other = read_other(put(picture_file, photons, 1.0, EXPOSURE=1e4), world, SHAPE, 2)
    fine = celestial(cards(picture_file, 2.0, 0, CRPIX1=50.5, CRPIX2=61.5))
    found = compare(other, rate_HW, rate_HW * 2e4 > 0.1, fine)
    assert found.east_arcsec == pytest.approx(-columns, abs=0.7)
    assert found.north_arcsec == pytest.approx(rows, abs=0.7)
    assert found.ratio == pytest.approx(2e4, rel=0.07)
    assert f"{found.ratio:.4g} counts for 1 ct/s of the answer" in str(found)
    assert f"{found.ratio / 1e4:.4g} of the rate by its EXPOSURE" in str(found)


def test_nothing_is_measured_where_nothing_is_seen(picture_file, world):
    fine = celestial(cards(picture_file, 2.0, 0, CRPIX1=50.5, CRPIX2=61.5))
    none_HW = np.zeros(SHAPE, bool)
    other = read_other(put(picture_file, np.ones((400, 400), np.int16), 1.0), world, SHAPE, 2)
    found = compare(other, np.ones(SHAPE, np.float32), none_HW, fine)
    assert (found.east_arcsec, found.ratio) == (None, None)
    assert "no significant source" in str(found)
    wide = read_other(put(picture_file, np.ones((40, 40), np.int16), 45.0), world, SHAPE, 2)
    assert "pixels of 45 arcsec" in str(compare(wide, np.ones(SHAPE, np.float32), ~none_HW, fine))
