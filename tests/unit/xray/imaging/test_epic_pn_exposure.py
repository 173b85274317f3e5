import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.imaging.counts_image import read_counts_image
from wolter.xray.imaging.epic_pn_exposure import ccd_seconds, find
from wolter.xray.instruments import epic_pn_camera as camera

DETECTOR = {
    "TELESCOP": "XMM", "INSTRUME": "EPN", "CTYPE1": "DETX", "CTYPE2": "DETY", "CRPIX1": 1,
    "CRPIX2": 1, "CRVAL1": -18243.5, "CRVAL2": -17487.5, "CDELT1": 80.0, "CDELT2": 80.0,
}  # fmt: skip
SKY = {
    "TELESCOP": "XMM", "INSTRUME": "EPN", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
    "CRPIX1": 202.0, "CRPIX2": 206.0, "CRVAL1": 30.0, "CRVAL2": -20.0, "CDELT1": -4 / 3600,
    "CDELT2": 4 / 3600,
}  # fmt: skip


def write(path, image, cards):
    fits.writeto(path, image, fits.Header({"EXPOSURE": 2e4} | cards), overwrite=True)
    return path


@pytest.fixture
def live():
    return camera.live()[camera.native()].int().numpy()


def times(key, *values):
    return {f"{key}{i + 1:02d}": value for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("cards", "given", "longest", "of_ccd_4"),
    [
        ({"EXPOSURE": 2e4}, None, 2e4, 2e4),
        ({"EXPOSURE": 2e4} | times("ONTIME", *[2e4] * 3, 1e4, *[2e4] * 8), None, 2e4, 1e4),
        ({"EXPOSURE": 2e4, "ONTIME04": 5e3}, None, 2e4, 5e3),
        # What the user gives stands for the longest.
        ({"EXPOSURE": 2e4} | times("ONTIME", *[2e4] * 3, 1e4), 1e4, 1e4, 5e3),
        (times("ONTIME", *[2e4] * 12), 1e4, 1e4, 1e4),
        # A small window: ONTIME includes the dead time.
        ({"EXPOSURE": 7.1e3, "ONTIME04": 1e4}, None, 7.1e3, 7.1e3),
        ({"EXPOSURE": 1e4, "ONTIME04": 1e4, "LIVETI04": 7.1e3}, None, 7.1e3, 7.1e3),
        (times("ONTIME", *[1e4] * 12) | times("LIVETI", *[9e3] * 12), None, 9e3, 9e3),
        # Stale live times of the whole list, of which the image is a part.
        ({"EXPOSURE": 1e4} | times("LIVETI", *[2e4] * 12), None, 1e4, 1e4),
        ({"LIVETIME": 9e3, "ONTIME": 1e4}, None, 9e3, 9e3),
    ],
)
def test_live_time_of_the_ccds_fits_the_exposure(tmp_path, cards, given, longest, of_ccd_4):
    seconds_C, found, _ = ccd_seconds(tmp_path, fits.Header(cards), given)
    assert found == pytest.approx(longest)
    assert float(seconds_C[3]) == pytest.approx(of_ccd_4)
    assert float(seconds_C.max()) <= longest * (1 + 1e-6)


def test_the_rate_is_that_of_the_exposure_told(tmp_path, live):
    path = write(tmp_path / "a.fits", live, DETECTOR | times("ONTIME", *[2e4] * 12))
    own, given = read_counts_image(path), read_counts_image(path, exposure_s=1e4)
    assert (own.exposure_s, given.exposure_s) == (2e4, 1e4)
    assert torch.allclose(given.exposure_HW, own.exposure_HW / 2)


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ({}, "no EXPOSURE"),
        (times("ONTIME", *[1e4] * 12), "no EXPOSURE"),  # dead time and all
        ({"EXPOSURE": 2e4, "ONTIME03": -1.0}, "ONTIME03 = -1"),
        ({"EXPOSURE": 2e4, "LIVETI03": "long"}, "LIVETI03 = long"),
        ({"EXPOSURE": 2e4, "ONTIME03": 1e300}, "ONTIME03 = 1e"),
    ],
)
def test_times_that_make_no_sense_are_named(tmp_path, cards, words):
    with pytest.raises(InputError, match=words):
        ccd_seconds(tmp_path, fits.Header(cards), None)


def test_a_window_that_counts_its_dead_time_is_told(tmp_path):
    cards = {"EXPOSURE": 1e4, "ONTIME04": 1e4, "SUBMODE": "PrimeSmallWindow"}
    assert "71%" in ccd_seconds(tmp_path, fits.Header(cards), None)[2][0]
    cards["EXPOSURE"] = 7.1e3
    assert ccd_seconds(tmp_path, fits.Header(cards), None)[2] == []


def test_a_window_leaves_the_rest_of_the_camera_unexposed(tmp_path):
    image = np.zeros(camera.NATIVE, np.int32)
    image[207:270, 205:268] = np.random.default_rng(0).poisson(1.0, (63, 63))
    cards = DETECTOR | {"SUBMODE": "PrimeSmallWindow", "EXPOSURE": 7.1e3, "ONTIME04": 1e4}
    seen_HW = read_counts_image(write(tmp_path / "a.fits", image, cards)).exposure_HW > 0
    assert seen_HW[207:270, 205:268].float().mean() > 0.9
    assert seen_HW.float().mean() < 0.03


@pytest.mark.parametrize("step", [20.0, 82.0, 87.0, 160.0])
def test_other_pixels_of_the_detector_have_its_exposure_too(tmp_path, step):
    """The pipeline's 87 steps are 4.35 arcsec."""
    ends = np.array([403, 411]) * 80 / step
    columns, rows = ends.astype(int)
    cards = DETECTOR | {
        "CDELT1": step, "CDELT2": step, "CRVAL1": -18283.5 + step / 2, "CRVAL2": -17527.5 + step / 2
    }  # fmt: skip
    path = write(tmp_path / "a.fits", np.ones((rows, columns), np.int32), cards)
    picture = read_counts_image(path)
    assert picture.pixel_arcsec == pytest.approx(step / 20)
    assert picture.axis_yx == pytest.approx((223.5 * 80 / step, 243.5 * 80 / step))
    whole = read_counts_image(
        write(tmp_path / "b.fits", np.ones(camera.NATIVE, np.int32), DETECTOR)
    )
    at = (np.array([100, 300]) + 0.5) * 80 / step
    assert float(picture.exposure_HW[int(at[0]), int(at[1])]) == pytest.approx(
        float(whole.exposure_HW[100, 300]), rel=0.01
    )


def test_missing_words_have_the_defaults_of_the_standard(tmp_path, live):
    cards = {k: v for k, v in DETECTOR.items() if not k.startswith("CRPIX")}
    cards |= {"CRVAL1": DETECTOR["CRVAL1"] - 80, "CRVAL2": DETECTOR["CRVAL2"] - 80}  # of pixel 0
    one = read_counts_image(write(tmp_path / "a.fits", live, cards))
    other = read_counts_image(write(tmp_path / "b.fits", live, DETECTOR))
    assert torch.equal(one.exposure_HW, other.exposure_HW)
    assert one.axis_yx == pytest.approx(other.axis_yx)


@pytest.mark.parametrize(
    "cards",
    [SKY, DETECTOR | {"INSTRUME": "EMOS1"}, DETECTOR | {"TELESCOP": "ROSAT"}, {"INSTRUME": "EPN"},
     {k: v for k, v in DETECTOR.items() if k != "INSTRUME"}],
)  # fmt: skip
def test_no_shape_makes_an_image_epic_pn_s(tmp_path, live, cards):
    path = write(tmp_path / "a.fits", live, cards)
    assert find(path, fits.getheader(path), live.shape) is None
    picture = read_counts_image(path)
    assert picture.axis_yx is None
    exposed_HW = picture.exposure_HW[picture.exposure_HW > 0]
    assert float(exposed_HW.min()) == float(exposed_HW.max())  # no vignetting
    assert any("evenly exposed" in remark for remark in picture.remarks)


def test_streaks_run_along_columns_of_unturned_images_alone(tmp_path, live):
    cards = DETECTOR | {"SUBMODE": "PrimeFullWindow"}
    assert read_counts_image(write(tmp_path / "a.fits", live, cards)).out_of_time == 0.063
    turned = cards | {"PC1_1": 0.0, "PC1_2": 1.0, "PC2_1": -1.0, "PC2_2": 0.0}
    picture = read_counts_image(write(tmp_path / "b.fits", live, turned))
    assert picture.out_of_time == 0
    assert any("out of time" in remark for remark in picture.remarks)
