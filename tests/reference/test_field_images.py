"""Images and event lists that the field hands in: each is read with its right value, or refused."""

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.images.headers import Maps, classify
from wolter.images.pairs import pair_of_images
from wolter.images.predict import enhance_picture
from wolter.images.reading import check_compatible
from wolter.images.schema import ImageSpec
from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import find
from wolter.xray.imaging.counts_image import read_counts_image
from wolter.xray.imaging.events import read_events

pytestmark = pytest.mark.reference

SPEC = ImageSpec((128, 128), exposure_s=(5e3, 1e5), instrument="XMM/EPN/Thin")
STAY = 1 - 0.063  # share of EPIC-pn's events that are not out of time
PHOTONS = 5839  # of base.fits


@pytest.fixture
def field(reference_data):
    folder = reference_data.parent / "field" / "images"
    if not folder.is_dir():
        pytest.skip(f"no inputs of the field at {folder}")
    return folder


@pytest.fixture(scope="module")
def model():
    return load_model(find("superres", "pretrained")[0])


def rate(picture):
    """ct/s of all photons, each by its own exposure."""
    seen_HW = picture.exposure_HW > 0
    return float((picture.counts_HW[seen_HW] / picture.exposure_HW[seen_HW]).sum())


@pytest.mark.parametrize("name", ["map_good", "map_ks"])
@pytest.mark.parametrize("image", ["base", "no_exposure", "ext_keys_in_primary"])
def test_maps_in_seconds_and_kiloseconds(field, name, image):
    picture = read_counts_image(field / f"{image}.fits", field / f"{name}.fits")
    good = read_counts_image(field / "base.fits", field / "map_good.fits")
    assert picture.exposure_s == pytest.approx(30_000)
    assert torch.allclose(picture.exposure_HW, good.exposure_HW)
    assert torch.equal(picture.counts_HW, good.counts_HW)


def test_the_answer_s_total(field, model):
    picture = read_counts_image(field / "base.fits", field / "map_ks.fits")
    enhanced = enhance_picture(model, picture)
    assert float(enhanced.rate_HW.nansum()) == pytest.approx(0.111, rel=0.01)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("map_elsewhere", r"its pixels lie 77\.98"),
        ("map_half_offset", r"its pixels lie 28\.28"),
        ("map_cm2s", "a map in"),
        ("map_relative", "a relative map"),
    ],
)
def test_maps_of_another_sky_or_unit(field, name, words):
    with pytest.raises(InputError, match=words):
        read_counts_image(field / "base.fits", field / f"{name}.fits")


def test_an_exposure_that_is_given_fits_the_rates(field):
    relative = read_counts_image(field / "base.fits", field / "map_relative.fits", exposure_s=3e4)
    good = read_counts_image(field / "base.fits", field / "map_good.fits")
    assert relative.exposure_s == 3e4
    assert torch.allclose(relative.exposure_HW, good.exposure_HW)
    with pytest.raises(InputError, match="no exposure of 10000 s can be given, too"):
        read_counts_image(field / "base.fits", field / "map_good.fits", exposure_s=1e4)
    own = read_counts_image(field / "det_pn_ontime.fits")
    given = read_counts_image(field / "det_pn_ontime.fits", exposure_s=1e4)
    assert (own.exposure_s, given.exposure_s) == (3e4, 1e4)
    assert rate(given) * given.exposure_s == pytest.approx(rate(own) * own.exposure_s)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("name", ["base", "det_pn_ontime"])
def test_exposures_that_make_no_sense(field, name, seconds):
    with pytest.raises(InputError, match="give the exposure in seconds") as caught:
        read_counts_image(field / f"{name}.fits", exposure_s=seconds)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["sky_411x403", "sky_411x403_mos", "det_mos1"])
def test_the_header_and_not_the_shape_tells_the_instrument(field, name):
    picture = read_counts_image(field / f"{name}.fits")
    stay = STAY if name == "sky_411x403" else 1.0
    assert torch.allclose(picture.exposure_HW, torch.tensor(3e4 * stay))
    assert picture.pixel_arcsec == pytest.approx(4.0, rel=1e-4)
    assert picture.axis_yx is None
    assert picture.out_of_time == 0


@pytest.mark.slow  # a whole frame
@pytest.mark.parametrize("name", ["sky_411x403", "sky_411x403_mos", "det_mos1"])
def test_the_source_of_a_whole_frame(field, model, name):
    picture = read_counts_image(field / f"{name}.fits")
    enhanced = enhance_picture(model, picture)
    rows, columns = np.mgrid[: enhanced.rate_HW.shape[0], : enhanced.rate_HW.shape[1]]
    near = np.hypot(rows - 202, columns - 301) <= 40  # 80 arcsec
    photons = float(enhanced.rate_HW[torch.from_numpy(near)].sum() * picture.exposure_HW.max())
    assert photons == pytest.approx(2910, abs=60)


def test_a_round_field_without_a_map(field, model):
    image = field / "fov_nomap.fits"
    picture, mapped = read_counts_image(image), read_counts_image(image, field / "fov_map.fits")
    outside, truth = picture.exposure_HW <= 0, mapped.exposure_HW <= 0
    assert float(outside.float().mean()) == pytest.approx(0.42, abs=0.02)
    assert float((outside & ~truth).float().mean()) < 0.01
    assert any("41% of the pixels" in remark for remark in picture.remarks)
    enhanced = enhance_picture(model, picture)
    rate_HW, check_HW = enhanced.rate_HW, enhanced.check_HW
    near_HW = rate_HW[203 - 20 : 203 + 20, 301 - 20 : 301 + 20]
    assert float(near_HW.sum() * picture.exposure_HW.max()) == pytest.approx(1400, abs=100)
    assert float(check_HW[~check_HW.isnan()].square().mean().sqrt()) == pytest.approx(1, abs=0.1)
    assert not any("do not measure" in remark for remark in enhanced.remarks)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hard_band", "photons of 4.5-12 keV, and the model is for 0.5-2 keV"),
        ("chandra_4arcsec", "an image of CHANDRA/ACIS, and the model is for XMM/EPN"),
        ("erosita", "an image of EROSITA/TM1, and the model is for XMM/EPN"),
        ("det_mos1", "an image of XMM/EMOS1, and the model is for XMM/EPN"),
        ("pixel_4.35", "pixels of 4.35 arcsec, and the model was trained on 4"),
        ("pixel_4.1", "pixels of 4.1 arcsec, and the model was trained on 4"),
    ],
)
def test_what_the_model_was_not_trained_on_is_told(field, name, words):
    assert any(
        words in remark
        for remark in check_compatible(read_counts_image(field / f"{name}.fits"), SPEC)
    )
    own = check_compatible(read_counts_image(field / "base.fits"), SPEC)
    assert own == ["the header tells no energy band: taken to be 0.5-2 keV"]


@pytest.mark.parametrize("name", ["rate_fits", "rate_pow", "rate_photon", "rate_slash"])
def test_rates_are_refused_alike(field, name):
    with pytest.raises(InputError, match=r"pixels in '.*'; give an image of counts"):
        read_counts_image(field / f"{name}.fits")


def test_cubes(field):
    with pytest.raises(InputError, match="a cube of 1 x 96 x 96 pixels; give one of its planes"):
        read_counts_image(field / "cube.fits")


@pytest.mark.parametrize("name", ["rot_pc_only", "no_crpix"])
def test_coordinates_without_the_usual_words(field, name):
    picture = read_counts_image(field / f"{name}.fits")
    assert picture.pixel_arcsec == pytest.approx(4.0, rel=1e-3)
    assert float(picture.counts_HW.sum()) == PHOTONS


def test_good_events_of_the_first_15_ks(field):
    events = read_events(field / "events" / "e01_base.fits")
    assert len(events.slices(15_000)[0]) == 5055


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("e05_noflag", "no column FLAG"),
        ("e06_nopattern", "no column PATTERN"),
        ("e13_nustar", "events of NUSTAR/FPMA, whose grades and channels are not known"),
        ("e15_erosita", "events of EROSITA/TM1, whose grades and channels are not known"),
    ],
)
def test_events_that_cannot_be_judged(field, name, words):
    with pytest.raises(InputError, match=words):
        read_events(field / "events" / f"{name}.fits")


@pytest.mark.parametrize("band", [(0.5, 2.0), (0.2, 12.0), (0.2, 0.5)])
def test_images_of_two_bands_are_no_pair(field, band):
    files = [field / "twobands" / f"{name}.fits" for name in ("soft", "total")]
    looks = [classify(file, Maps(), 4.0, band) for file in files]
    assert sum(not each.reason for each in looks) == sum(
        own == band for own in ((0.2, 0.5), (0.2, 12.0))
    )
    assert all("keV, and pairs are to be of" in each.reason for each in looks if each.reason)
    pictures = [read_counts_image(file) for file in files]
    with pytest.raises(InputError, match=r"photons of 0\.2-0\.5 keV and 0\.2-12 keV"):
        pair_of_images(*pictures)
