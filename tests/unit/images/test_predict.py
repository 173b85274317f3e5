import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS

from wolter import family as families
from wolter.cli import main
from wolter.errors import InputError
from wolter.images.fits_output import to_hdus, write
from wolter.images.predict import enhance_picture, variant_name
from wolter.images.reading import load_picture, save_picture
from wolter.registry.checkpoint import load_model
from wolter.xray.imaging.counts_image import read_counts_image

pytestmark = pytest.mark.usefixtures("one_thread")


def change(path, image=None, **cards):
    with fits.open(path, mode="update") as hdus:
        if image is not None:
            hdus[0].data = image
        hdus[0].header.update(cards)
    return path


@pytest.mark.parametrize("scale", [1, 2])
def test_the_answer_lies_on_the_same_sky_with_its_units_and_exposure(picture_file, enhancer, scale):
    task = "superres" if scale == 2 else "denoise"
    out = picture_file.with_name("out.fits")
    arguments = ["predict", "superres", str(picture_file), "--task", task, "-o", str(out)]
    assert main([*arguments, "--checkpoint", str(enhancer(scale))]) == 0
    with fits.open(picture_file) as hdus:
        own = WCS(hdus[0].header)
    with fits.open(out) as hdus:
        names = [hdu.name for hdu in hdus]
        assert names == [
            "PRIMARY", "UNCERTAINTY", "LOWER", "UPPER", "CHECK", "EXPMAP", "BACKGROUND"
        ]  # fmt: skip
        header = hdus[0].header
        assert (header["BUNIT"], header["EXPOSURE"], header["OBJECT"]) == ("ct/s", 2e4, "a field")
        rate_HW, half_HW, lower_HW, upper_HW, check_HW = (hdu.data for hdu in hdus[:5])
        assert rate_HW.shape == (61 * scale, 50 * scale)
        assert check_HW.shape == (61, 50)
        assert (rate_HW > 0).all()
        assert np.allclose(half_HW, (upper_HW - lower_HW) / 2)
        edges = np.array([[-0.5, -0.5], [49.5, 60.5], [9.5, 20.5]])  # corners of pixels
        fine = (edges + 0.5) * scale - 0.5
        for hdu in hdus[:4]:
            assert np.allclose(
                WCS(hdu.header).pixel_to_world_values(fine), own.pixel_to_world_values(edges)
            )
        for hdu in hdus[4:]:
            assert hdu.data.shape == (61, 50)
            assert np.allclose(
                WCS(hdu.header).pixel_to_world_values(edges), own.pixel_to_world_values(edges)
            )
        if scale == 2:  # an untrained network answers with the smoothed photons
            place = np.unravel_index(rate_HW.argmax(), rate_HW.shape)
            assert np.abs(np.array(place) - (61, 41)).max() <= 2
            total = rate_HW.sum() * 2e4
            assert total == pytest.approx(0.4 * 61 * 50 + 40, rel=0.5)


def test_detector_coordinates_come_with_the_sky(tmp_path, enhancer):
    cards = {
        "EXPOSURE": 2e4, "INSTRUME": "EPN", "CTYPE1": "DETX", "CTYPE2": "DETY", "CRPIX1": 1,
        "CRPIX2": 1, "CRVAL1": -3000.0, "CRVAL2": -2000.0, "CDELT1": 80.0, "CDELT2": 80.0,
        "RA_PNT": 50.0, "DEC_PNT": 41.0, "PA_PNT": 262.0, "LTV1": 10.0, "LTM1_1": 0.0125,
    }  # fmt: skip
    photons = np.random.default_rng(0).poisson(1.0, (40, 50))
    fits.writeto(tmp_path / "a.fits", photons, fits.Header(cards))
    enhanced = enhance_picture(load_model(enhancer(2)), read_counts_image(tmp_path / "a.fits"))
    header = to_hdus(enhanced)[0].header
    assert (header["CTYPE1"], header["CDELT1"], header["CRPIX1"]) == ("DETX", 40.0, 1.5)
    # physical = (image - LTV) / LTM, at the first pixel's lower edge
    assert (0.5 - header["LTV1"]) / header["LTM1_1"] == pytest.approx((0.5 - 10) / 0.0125)
    sky = WCS(header, key="S")
    pixel = (-52.4 / 0.05 + 3000) / 40 + 0.5, (75.9 / 0.05 + 2000) / 40 + 0.5
    assert np.allclose(sky.pixel_to_world_values(*pixel), (50.0, 41.0))


def test_pixels_that_saw_nothing_are_nan(picture_file, enhancer):
    mask = np.ones((61, 50), np.uint8)
    mask[:, :10] = 0
    fits.writeto(picture_file.with_name("mask.fits"), mask)
    picture = read_counts_image(picture_file, mask=picture_file.with_name("mask.fits"))
    enhanced = enhance_picture(load_model(enhancer(2)), picture)
    for image_HW, n in ((enhanced.rate_HW, 20), (enhanced.lower_HW, 20), (enhanced.check_HW, 10)):
        assert image_HW[:, :n].isnan().all()
        assert not image_HW[:, n:].isnan().any()


def test_what_was_assumed_is_said_and_kept(picture_file, enhancer, capsys):
    change(picture_file, EXPOSURE=1e3)
    out = picture_file.with_name("out.fits")
    arguments = ["predict", "superres", str(picture_file), "-o", str(out)]
    assert main([*arguments, "--checkpoint", str(enhancer(2))]) == 0
    printed = capsys.readouterr().out
    comments = " ".join(map(str, fits.getheader(out)["COMMENT"]))
    for words in ("exposure of 1000 s", "no exposure map"):
        assert words in printed
        assert words in comments


@pytest.mark.parametrize(
    ("spoil", "options", "words"),
    [
        (lambda path: change(path, CDELT1=-8 / 3600, CDELT2=8 / 3600), [], "pixels of 8 arcsec"),
        (lambda path: change(path, np.zeros((5, 5), np.int32)), [], "no photon"),
        (lambda path: path.write_text("words"), [], "FITS"),
        (lambda path: path, ["--task", "colour"], "superres has superres, denoise"),
        (lambda path: path, ["--out", "/proc/none/out.fits"], "/proc/none: cannot be created"),
    ],
)
def test_bad_input_ends_in_one_line_and_no_file(
    picture_file, enhancer, capsys, spoil, options, words
):
    spoil(picture_file)
    out = picture_file.with_name("out.fits")
    own = [] if "--out" in options else ["-o", str(out)]
    arguments = ["predict", "superres", str(picture_file), *own, *options]
    assert main([*arguments, "--checkpoint", str(enhancer(2))]) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1
    assert not out.exists()


def test_models_are_named_by_their_task():
    assert variant_name(families.load("superres"), "superres") == "superres"
    assert variant_name(families.load("superres"), "denoise") == "superres-denoise"
    with pytest.raises(InputError, match="--task sharpen"):
        variant_name(families.load("superres"), "sharpen")


def test_pictures_pass_from_process_to_process_unchanged(picture_file):
    picture = read_counts_image(picture_file)
    save_picture(picture, picture_file.with_suffix(".safetensors"))
    back = load_picture(picture_file.with_suffix(".safetensors"))
    assert torch.equal(back.counts_HW, picture.counts_HW)
    assert torch.equal(back.exposure_HW, picture.exposure_HW)
    for name in ("file", "exposure_s", "pixel_arcsec", "axis_yx", "header", "remarks"):
        assert getattr(back, name) == getattr(picture, name)


def test_nothing_is_half_written(picture_file, enhancer, monkeypatch):
    enhanced = enhance_picture(load_model(enhancer(1)), read_counts_image(picture_file))
    out = picture_file.with_name("out.fits")

    def fail(*_):
        raise OSError(28, "disk is full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(InputError, match=r"out\.fits: cannot be written: no space left"):
        write(enhanced, out)
    assert not out.exists()


def test_made_up_photons_are_taken_back_as_far_as_may_be_and_said_where_not(picture_file, enhancer):
    model = load_model(enhancer(2))
    last = model.module.generator.last
    fluxes = {}
    for factor in (1.0, 1.5, 16.0):
        with torch.no_grad():
            last.weight.zero_()  # what is left is the smoothed image, times a factor
            last.bias[0] = math.log(factor)
        enhanced = enhance_picture(model, read_counts_image(picture_file))
        fluxes[factor] = float(enhanced.rate_HW.sum())
    assert 1 < fluxes[1.5] / fluxes[1.0] < 1.35
    assert fluxes[16.0] / fluxes[1.0] >= 16 / 2 / 1.5
    assert any("do not measure fluxes" in remark for remark in enhanced.remarks)


LEVEL = 0.4  # counts of the background in a pixel


def source():
    """Expected counts of a source of 2,000, as wide as the telescope sees it."""
    rows, columns = torch.arange(61.0), torch.arange(50.0)
    off_HW = torch.hypot(rows[:, None] - 30, columns - 20)
    return 2000 / (2 * math.pi) * (1 + off_HW**2 / 4).pow(-3)


def bright(picture, times=1):
    """The picture with the source and even background, so many times as bright."""
    expected_HW = times * (LEVEL + source())
    photons_HW = torch.poisson(expected_HW, torch.Generator().manual_seed(0))
    return replace(picture, counts_HW=photons_HW)


def that_answers(enhancer, rate_HW):
    """A model that denoises to a rate, whatever it sees."""
    model = load_model(enhancer(1))
    family = replace(model.family, predict=lambda *_: {"rate": rate_HW[None]})
    return replace(model, family=family)


@pytest.mark.parametrize(("factor", "said"), [(0.85, True), (1.0, False), (1.15, True)])
def test_too_few_photons_are_said_as_too_many_are(picture_file, enhancer, factor, said):
    """3 % of 31,000 photons and 4 sigma are 1,630; 15 % of the source are 3,000."""
    picture = bright(read_counts_image(picture_file), times=10)
    answer = that_answers(enhancer, factor * 10 * source() / 2e4)
    remarks = enhance_picture(answer, picture).remarks
    assert any("do not measure fluxes" in remark for remark in remarks) is said


def test_the_lower_end_is_zero_where_photons_need_no_source(picture_file, enhancer):
    picture = bright(read_counts_image(picture_file))
    model = load_model(enhancer(2))
    enhanced = enhance_picture(model, picture)
    needed_HW = enhanced.needed_HW.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert needed_HW[60, 40]
    assert 0.002 < needed_HW.float().mean() < 0.5
    assert (enhanced.lower_HW[needed_HW] > 0).all()
    assert (enhanced.lower_HW[~needed_HW] == 0).all()
    even_HW = torch.poisson(torch.full((61, 50), 0.4), torch.Generator().manual_seed(0))
    empty = enhance_picture(model, replace(picture, counts_HW=even_HW))
    assert (empty.lower_HW == 0).all()
    assert (empty.upper_HW > 0).all()


def test_an_answer_that_photons_contradict_is_told(picture_file, enhancer):
    """Photons of a source that the answer shows elsewhere."""
    picture = bright(read_counts_image(picture_file))
    good = enhance_picture(that_answers(enhancer, source() / 2e4), picture)
    assert not good.agreement.bad
    assert not any("contradict" in remark for remark in good.remarks)
    bad = enhance_picture(that_answers(enhancer, source().roll(12, 1) / 2e4), picture)
    assert any("the photons contradict the answer: CHECK" in remark for remark in bad.remarks)
    header = to_hdus(bad)[0].header
    assert header["CHECKRMS"] == pytest.approx(bad.agreement.rms)
    assert header["CHECKFAR"] == pytest.approx(bad.agreement.beyond)
    assert header["CHECKRMS"] > 2
    assert header["CHECKFAR"] > 0.01


def test_that_sources_fill_the_image_is_said(picture_file, enhancer):
    """Then no background is told, and the answer holds it."""
    model, picture = load_model(enhancer(2)), read_counts_image(picture_file)
    rows, columns = (torch.arange(float(n)) for n in picture.counts_HW.shape)
    hill_HW = 300 * torch.exp(-(torch.hypot(rows[:, None] - 20, columns - 20) / 10))
    counts_HW = torch.poisson(hill_HW, torch.Generator().manual_seed(0))
    full = replace(picture, counts_HW=counts_HW * (picture.exposure_HW > 0))
    for each, said in ((picture, False), (full, True)):
        remarks = enhance_picture(model, each).remarks
        assert any("sources fill the image" in remark for remark in remarks) == said
