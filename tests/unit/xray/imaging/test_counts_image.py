import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.imaging.counts_image import read_counts_image
from wolter.xray.instruments import epic_pn_camera as camera

SKY = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20.0, "CRPIX2": 20.0,
    "CRVAL1": 30.0, "CRVAL2": -20.0, "CDELT1": -4 / 3600, "CDELT2": 4 / 3600,
    "CUNIT1": "deg", "CUNIT2": "deg",
}  # fmt: skip
DETECTOR = {
    "CTYPE1": "DETX", "CTYPE2": "DETY", "CRPIX1": 1, "CRPIX2": 1,
    "CRVAL1": -18243.5, "CRVAL2": -17487.5, "CDELT1": 80.0, "CDELT2": 80.0, "INSTRUME": "EPN",
}  # fmt: skip


def write(path, image, exposure=2e4, **cards):
    header = fits.Header()
    if exposure is not None:
        header["EXPOSURE"] = exposure
    header.update(cards)
    fits.writeto(path, np.asarray(image), header)
    return path


@pytest.fixture
def photons():
    return np.random.default_rng(0).poisson(0.5, (41, 40)).astype(np.int32)


def test_a_sky_image_keeps_its_photons_its_pixels_and_its_exposure(tmp_path, photons):
    picture = read_counts_image(write(tmp_path / "a.fits", photons, **SKY))
    assert (picture.counts_HW.numpy() == photons).all()
    assert picture.exposure_s == 2e4
    assert picture.pixel_arcsec == pytest.approx(4.0, rel=1e-6)
    assert (picture.exposure_HW == 2e4).all()
    assert len(picture.remarks) == 1
    assert "no exposure map" in picture.remarks[0]


def test_the_first_image_is_found_behind_an_empty_primary(tmp_path, photons):
    image = fits.ImageHDU(photons, fits.Header({"EXPOSURE": 10.0, **SKY}))
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / "a.fits.gz")
    assert read_counts_image(tmp_path / "a.fits.gz").exposure_s == 10.0


def test_detector_images_have_vignetting_gaps_and_the_time_of_every_ccd(tmp_path):
    live = camera.live()[camera.native()]
    image = live.int().numpy()
    path = write(tmp_path / "a.fits", image, **DETECTOR, ONTIME04=5e3)
    picture = read_counts_image(path)
    assert picture.remarks == ()
    assert ((picture.exposure_HW > 0) == live).all()
    row, column = (int(at) for at in camera.BORESIGHT)
    assert picture.exposure_HW[row, column] == pytest.approx(5e3, rel=1e-3)  # on CCD 4
    vignetting = camera.vignetting(camera.off_axis()[camera.native()])
    lower = picture.exposure_HW[:200] / vignetting[:200]
    assert torch.allclose(lower[live[:200]], torch.tensor(2e4))


@pytest.mark.parametrize(
    ("mode", "share"), [("PrimeFullWindow", 0.063), ("PrimeFullWindowExtended", 0.023), ("", 0.0)]
)
def test_the_mode_tells_how_many_events_are_out_of_time(tmp_path, mode, share):
    image = camera.live()[camera.native()].int().numpy()
    cards = {**DETECTOR, "INSTRUME": "EPN", "SUBMODE": mode}
    picture = read_counts_image(write(tmp_path / "a.fits", image, **cards))
    assert picture.out_of_time == share
    assert float(picture.exposure_HW.max()) == pytest.approx(2e4 * (1 - share), rel=1e-3)


def test_columns_of_the_sky_are_not_those_that_events_move_along(tmp_path, photons):
    path = write(tmp_path / "a.fits", photons, INSTRUME="EPN", SUBMODE="PrimeFullWindow", **SKY)
    picture = read_counts_image(path)
    assert picture.out_of_time == 0
    assert float(picture.exposure_HW.max()) == pytest.approx(2e4 * 0.937)
    assert any("6.3% of the events are out of time" in remark for remark in picture.remarks)


def test_a_part_of_the_detector_is_placed_by_its_coordinates(tmp_path):
    whole = np.ones(camera.NATIVE, np.int32)
    cards = {**DETECTOR, "CRVAL1": DETECTOR["CRVAL1"] + 80 * 30, "CRVAL2": -17487.5 + 80 * 11}
    part = read_counts_image(write(tmp_path / "part.fits", whole[11:, 30:], **cards))
    picture = read_counts_image(write(tmp_path / "whole.fits", whole, **DETECTOR))
    assert torch.equal(part.exposure_HW, picture.exposure_HW[11:, 30:])


def test_photons_all_over_the_gaps_mean_an_image_without_them(tmp_path):
    picture = read_counts_image(write(tmp_path / "a.fits", np.ones(camera.NATIVE), **DETECTOR))
    assert (picture.exposure_HW > 0).all()
    assert "gaps" in picture.remarks[0]


def test_a_map_and_a_mask_say_where_pixels_were_exposed(tmp_path, photons):
    map_HW = np.linspace(0, 1e4, photons.size, dtype=np.float32).reshape(photons.shape)
    mask_HW = np.ones(photons.shape, np.uint8)
    mask_HW[:, :7] = 0
    picture = read_counts_image(
        write(tmp_path / "a.fits", photons, **SKY),
        exposure_map=write(tmp_path / "map.fits", map_HW),
        mask=write(tmp_path / "mask.fits", mask_HW),
    )
    assert picture.exposure_s == 1e4
    assert np.array_equal(picture.exposure_HW.numpy(), map_HW * mask_HW)
    kept = picture.counts_HW.numpy()
    assert np.array_equal(kept, photons * (picture.exposure_HW.numpy() > 0))
    assert any(f"{photons.sum() - kept.sum():.0f} photons" in each for each in picture.remarks)


def test_what_the_header_does_not_say_can_be_given(tmp_path, photons):
    path = write(tmp_path / "a.fits", photons, exposure=None)
    picture = read_counts_image(path, exposure_s=123.0, pixel_arcsec=2.0)
    assert (picture.exposure_s, picture.pixel_arcsec) == (123.0, 2.0)
    assert any("no world coordinates" in remark for remark in picture.remarks)


def test_brightness_that_is_no_count_is_remarked_on(tmp_path, photons):
    picture = read_counts_image(write(tmp_path / "a.fits", photons * 0.5, **SKY))
    assert "pixels are not whole counts" in picture.remarks


def spoilt(photons, value):
    image = photons.astype(np.float32)
    image[3, 4] = value
    return image


@pytest.mark.parametrize(
    ("make", "cards", "words"),
    [
        (lambda p: p, {"exposure": None}, "no EXPOSURE"),
        (lambda p: p, {"exposure": 0.0}, "EXPOSURE = 0"),
        (lambda p: p, {"exposure": "long"}, "EXPOSURE = long"),
        (lambda p: p, {"BUNIT": "ct / s"}, "counts"),
        (lambda p: spoilt(p, np.nan), {}, "1 pixels are NaN"),
        (lambda p: spoilt(p, -1), {}, "pixels down to -1"),
        (lambda p: p * 0, {}, "no photon"),
        (lambda p: p[:1], {}, "1 x 40"),
        (lambda p: p[None], {}, "a cube of 1 x 41 x 40 pixels; give one of its planes"),
    ],
)
def test_bad_images_are_refused_with_the_remedy(tmp_path, photons, make, cards, words):
    path = write(tmp_path / "a.fits", make(photons), **cards)
    with pytest.raises(InputError, match=words) as caught:
        read_counts_image(path)
    assert str(path) in str(caught.value)


def test_what_is_no_image_is_refused(tmp_path, photons):
    with pytest.raises(InputError, match="no such file"):
        read_counts_image(tmp_path / "none.fits")
    (tmp_path / "words.fits").write_text("words")
    with pytest.raises(InputError, match="not a FITS file"):
        read_counts_image(tmp_path / "words.fits")
    cut = write(tmp_path / "cut.fits", photons)
    cut.write_bytes(cut.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"cut\.fits"):
        read_counts_image(cut)
    image = write(tmp_path / "a.fits", photons)
    with pytest.raises(InputError, match="41 x 39 pixels, and"):
        read_counts_image(image, mask=write(tmp_path / "mask.fits", photons[:, 1:]))
    with pytest.raises(InputError, match="no photon where there is exposure"):
        read_counts_image(image, mask=write(tmp_path / "nothing.fits", photons * 0))
