import numpy as np
import pytest
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.imaging.counts_image import read_counts_image

SKY = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20.0, "CRPIX2": 20.0,
    "CRVAL1": 30.0, "CRVAL2": -20.0, "CDELT1": -4 / 3600, "CDELT2": 4 / 3600,
    "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "FK5",
}  # fmt: skip
SHAPE = (40, 44)


def write(path, image, cards):
    fits.writeto(path, image, fits.Header(cards), overwrite=True)
    return path


@pytest.fixture
def image(tmp_path):
    photons = np.random.default_rng(0).poisson(1.0, SHAPE).astype(np.int32)
    return write(tmp_path / "a.fits", photons, SKY | {"EXPOSURE": 2e4})


@pytest.fixture
def with_map(tmp_path, image):
    values = np.linspace(1.0, 0.25, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)

    def read(factor, cards, **options):
        path = write(tmp_path / "map.fits", values * np.float32(factor), SKY | cards)
        return read_counts_image(image, path, **options), values

    return read


@pytest.mark.parametrize(
    ("factor", "cards", "seconds"),
    [
        (3e4, {"BUNIT": "s"}, 3e4),
        (30, {"BUNIT": "ks"}, 3e4),
        (500, {"BUNIT": "min"}, 3e4),
        (2.5e4, {}, 2.5e4),  # no unit, and like the image's exposure
    ],
)
def test_units_of_time_become_seconds(with_map, factor, cards, seconds):
    picture, values = with_map(factor, cards)
    assert picture.exposure_s == pytest.approx(seconds)
    assert np.allclose(picture.exposure_HW, values * seconds)
    assert any("no unit" in remark for remark in picture.remarks) == (not cards)


@pytest.mark.parametrize(
    ("factor", "cards"), [(1, {}), (1, {"BUNIT": ""}), (100, {"BUNIT": "%"}), (0.9, {})]
)
def test_relative_maps_are_shares_of_the_exposure_that_is_given(with_map, factor, cards):
    with pytest.raises(InputError, match=r"map\.fits: a relative map"):
        with_map(factor, cards)
    picture, values = with_map(factor, cards, exposure_s=1e4)
    share = factor / 100 if cards.get("BUNIT") == "%" else factor
    assert picture.exposure_s == 1e4
    assert np.allclose(picture.exposure_HW, values * share * 1e4)


@pytest.mark.parametrize(
    ("factor", "cards", "words"),
    [
        (1e7, {"BUNIT": "cm**2 s"}, r"a map in 'cm\*\*2 s'"),
        (1e7, {"BUNIT": "s cm**2 count/photon"}, "give one of the exposure time"),
        (1e7, {}, r"no BUNIT, and values up to 1e\+07"),
        (30, {}, "no BUNIT, and values up to 30"),
        (5, {"BUNIT": "%"}, "a relative map"),
        (np.inf, {"BUNIT": "s"}, "infinite values"),
        (0, {"BUNIT": "s"}, "no pixel has any exposure"),
        (-1, {"BUNIT": "s"}, "no pixel has any exposure"),
        (1e30, {"BUNIT": "s"}, "give the exposure in seconds"),
        (3e4, {"BUNIT": "s", "CRVAL1": 30.1}, "its pixels lie 84"),
        (3e4, {"BUNIT": "s", "CRPIX1": 20.5}, r"its pixels lie 0\.5 pixels away"),
        (3e4, {"BUNIT": "s", "CRPIX2": 0.0}, "pixels away"),
        (3e4, {"BUNIT": "s", "CDELT1": 4 / 3600}, "pixels away"),
        (3e4, {"BUNIT": "s", "CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "its pixels lie"),
        (3e4, {"BUNIT": "s", "CTYPE1": "DETX", "CTYPE2": "DETY"}, "elsewhere"),
        (3e4, {"BUNIT": "s", "CDELT1": 0.0}, "world coordinates"),
    ],
)
def test_other_units_and_other_skies_are_refused(with_map, factor, cards, words):
    with pytest.raises(InputError, match=words) as caught, np.errstate(invalid="ignore"):
        with_map(factor, cards)
    assert "map.fits" in str(caught.value)


def test_coordinates_are_compared_on_the_sky_and_not_by_their_words(with_map, image):
    with fits.open(image) as hdus:
        cards = {
            "CRPIX1": 10.0, "CRPIX2": 31.0, "BUNIT": "s", "CD1_1": -4 / 3600, "CD1_2": 0.0,
            "CD2_1": 0.0, "CD2_2": 4 / 3600,
        }  # fmt: skip
        from astropy.wcs import WCS

        right, up = WCS(hdus[0].header).wcs_pix2world([[10.0, 31.0]], 1)[0]
    picture, _ = with_map(3e4, cards | {"CRVAL1": right, "CRVAL2": up})
    assert picture.exposure_s == pytest.approx(3e4)


def test_an_exposure_in_seconds_is_not_given_twice(with_map):
    with pytest.raises(InputError, match="no exposure of 10000 s can be given, too"):
        with_map(3e4, {"BUNIT": "s"}, exposure_s=1e4)


def test_maps_in_any_unit_tell_how_the_exposure_is_spread(with_map):
    for factor, cards in ((1e7, {"BUNIT": "cm**2 s"}), (0.5, {}), (3e4, {"BUNIT": "s"})):
        picture, values = with_map(factor, cards, spread=True)
        assert picture.exposure_s == 2e4
        assert np.allclose(picture.exposure_HW, values * 2e4)


def test_masks_of_another_sky_are_refused(tmp_path, image):
    mask = write(tmp_path / "mask.fits", np.ones(SHAPE, np.uint8), SKY | {"CRPIX1": 22.0})
    with pytest.raises(InputError, match=r"mask\.fits: its pixels lie 2 pixels away"):
        read_counts_image(image, mask=mask)


def test_an_image_without_exposure_takes_the_map_s(tmp_path, image):
    del_exposure = write(tmp_path / "b.fits", fits.getdata(image), SKY)
    path = write(tmp_path / "map.fits", np.full(SHAPE, 12.5, np.float32), SKY | {"BUNIT": "ks"})
    assert read_counts_image(del_exposure, path).exposure_s == pytest.approx(12_500)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, 1e300, 1e-9])
def test_exposures_that_make_no_sense_are_refused(image, value):
    with pytest.raises(InputError, match="give the exposure in seconds"):
        read_counts_image(image, exposure_s=value)
    with fits.open(image, mode="update") as hdus:
        hdus[0].header["EXPOSURE"] = value if np.isfinite(value) else str(value)
    with pytest.raises(InputError, match=r"EXPOSURE = .*; give the exposure in seconds"):
        read_counts_image(image)
