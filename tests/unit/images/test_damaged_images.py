"""Damaged images and event lists: an answer or one line, whatever the damage."""

import tracemalloc

import numpy as np
import pytest
from astropy.io import fits
from tests import event_lists
from tests.damage import damaged, odd_names

from wolter.errors import InputError
from wolter.images.fits_output import scaled_header
from wolter.images.headers import FileKind, Maps, classify
from wolter.images.ingest import ImageIngestConfig, make_pairs
from wolter.images.reading import check_compatible, load_picture, save_picture
from wolter.images.schema import ImageSpec
from wolter.xray.imaging.counts_image import read_counts_image
from wolter.xray.instruments.pointing import celestial

SPEC = ImageSpec((128, 128), exposure_s=(5e3, 1e5), instrument="XMM/EPN/Thin")
SKY = {
    "TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": "0000000001", "EXPOSURE": 2e4,
    "SUBMODE": "PrimeFullWindow", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 24.5,
    "CRPIX2": 24.5, "CRVAL1": 30.0, "CRVAL2": -20.0, "CDELT1": -4 / 3600, "CDELT2": 4 / 3600,
    "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "FK5", "EQUINOX": 2000.0, "BUNIT": "count",
    "DSTYP1": "PI", "DSVAL1": "500:2000", "DSUNI1": "eV", "ONTIME01": 2e4, "LIVETI01": 1.9e4,
}  # fmt: skip
DETECTOR = SKY | {
    "CTYPE1": "DETX", "CTYPE2": "DETY", "CRVAL1": -1000.0, "CRVAL2": -1000.0, "CDELT1": 80.0,
    "CDELT2": 80.0, "CUNIT1": "", "CUNIT2": "", "RA_PNT": 30.0, "DEC_PNT": -20.0, "PA_PNT": 70.0,
}  # fmt: skip
CONFIG = ImageIngestConfig(exposure_s=9000.0, coordinates="detector", tile=64, overlap=8)
TURNED = ImageIngestConfig(exposure_s=9000.0, coordinates="sky", tile=64, overlap=8)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Name -> bytes of whole files."""
    folder = tmp_path_factory.mktemp("whole")
    photons = np.random.default_rng(0).poisson(0.5, (48, 48)).astype(np.int16)
    fits.writeto(folder / "sky.fits", photons, fits.Header(SKY))
    fits.writeto(folder / "detector.fits", photons, fits.Header(DETECTOR))
    words = fits.Header({k: SKY[k] for k in ("TELESCOP", "INSTRUME", "OBS_ID", "EXPOSURE")})
    world = fits.Header({k: v for k, v in SKY.items() if k not in words})
    both = [fits.PrimaryHDU(header=words), fits.ImageHDU(photons.astype(np.float32), world)]
    fits.HDUList(both).writeto(folder / "extension.fits")
    packed = [fits.PrimaryHDU(header=words), fits.CompImageHDU(photons.astype(np.int32), world)]
    fits.HDUList(packed).writeto(folder / "packed.fits")
    map_HW = np.full((48, 48), 1.9e4, np.float32)
    fits.writeto(folder / "map.fits", map_HW, fits.Header(SKY | {"BUNIT": "s"}))
    event_lists.epic_pn(folder / "events.fits", 400)
    return {path.stem: path.read_bytes() for path in folder.iterdir()}


def one_line(error):
    assert isinstance(error, InputError)
    assert "\n" not in str(error)
    assert str(error)


def predict(path, exposure_map=None):
    """What `predict` reads and keeps of an image."""
    try:
        picture = read_counts_image(path, exposure_map)
        check_compatible(picture, SPEC)
    except InputError as error:
        one_line(error)
        return
    assert bool((picture.counts_HW >= 0).all())
    assert bool(picture.exposure_HW.isfinite().all())
    assert 0 < picture.exposure_s < np.inf
    save_picture(picture, path.with_suffix(".kept"))
    again = load_picture(path.with_suffix(".kept"))
    celestial(again.header)
    header = scaled_header(again.header, 2)
    fits.PrimaryHDU(np.zeros((96, 96), np.float32), header).writeto(
        path.with_suffix(".out"), overwrite=True, output_verify="fix+ignore"
    )


def ingest(path, other, maps):
    """What `ingest images` does with a file; `other` is a whole image of the same observation."""
    seen = classify(path, maps, 4.0)
    assert isinstance(seen.reason, str)
    try:
        if seen.kind is FileKind.EVENTS:
            for config in (CONFIG, TURNED):
                make_pairs(path, path, config, maps)
        elif seen.kind is FileKind.IMAGE and not seen.reason:
            make_pairs(path, other, CONFIG, maps)
    except InputError as error:
        one_line(error)


def damage(whole, folder, seeds):
    (folder / "other.fits").write_bytes(whole["sky"])
    (folder / "image.fits").write_bytes(whole["sky"])
    tried = []
    for seed in seeds:
        rng = np.random.default_rng([14, seed])
        name = str(rng.choice(["sky", "detector", "extension", "packed", "map", "events"]))
        label, content = damaged(rng, whole[name])
        tried.append(f"{seed} {name}: {label}")
        path = folder / "a.fits"
        path.write_bytes(content)
        try:
            if name == "map":
                predict(folder / "image.fits", path)
                maps = Maps(exposure={"": str(path)})
                ingest(folder / "image.fits", folder / "other.fits", maps)
            else:
                predict(path)
                ingest(path, folder / "other.fits", Maps())
        except Exception as error:
            raise AssertionError(tried[-1]) from error
    return tried


def test_damaged_files_end_in_one_line(whole, tmp_path):
    assert len(damage(whole, tmp_path, [*range(100), 2450])) == 101


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_damaged_files_end_in_one_line(whole, tmp_path, part):
    assert len(damage(whole, tmp_path, range(1000 + 200 * part, 1200 + 200 * part))) == 200


def test_odd_names(whole, tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(40):
        path = tmp_path / odd_names(rng, ".fits")
        path.write_bytes(whole["sky"])
        assert read_counts_image(path).exposure_s == 2e4
        assert classify(path, Maps(), 4.0).kind is FileKind.IMAGE


def test_folders_and_what_is_no_file(tmp_path):
    (tmp_path / "folder.fits").mkdir()
    for name in ("folder.fits", "none.fits", "a\0b.fits"):
        with pytest.raises(InputError):
            read_counts_image(tmp_path / name)
        assert classify(tmp_path / name, Maps(), 4.0).reason


def test_bounds_of_values(whole, tmp_path):
    photons = np.ones((20, 20), np.float32)
    for value, words in ((3e38, "so many photons"), (np.inf, "NaN or infinite"), (2e7, "so many")):
        photons[3, 4] = value
        fits.writeto(tmp_path / "a.fits", photons, fits.Header(SKY), overwrite=True)
        with pytest.raises(InputError, match=words):
            read_counts_image(tmp_path / "a.fits")
    photons[3, 4] = 2**24
    fits.writeto(tmp_path / "a.fits", photons, fits.Header(SKY), overwrite=True)
    assert float(read_counts_image(tmp_path / "a.fits").counts_HW.max()) == 2**24


def test_a_small_file_takes_little_memory(whole, tmp_path):
    """Sizes that a header invents are not believed."""
    size = b"NAXIS1  =                   48"
    content = whole["sky"].replace(size, b"NAXIS1  =             99999999")
    (tmp_path / "a.fits").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(InputError):
        read_counts_image(tmp_path / "a.fits")
    assert tracemalloc.get_traced_memory()[1] < 2e7
    tracemalloc.stop()


def test_columns_that_a_header_invents_are_not_believed(whole, tmp_path):
    for value in (b"1000", b"9999999999", b"9" * 20):
        card = b"TFIELDS =                   11"
        assert card in whole["events"]
        content = whole["events"].replace(card, b"TFIELDS = " + value.rjust(20))
        (tmp_path / "a.fits").write_bytes(content)
        tracemalloc.start()
        assert "TFIELDS" in classify(tmp_path / "a.fits", Maps(), 4.0).reason
        assert tracemalloc.get_traced_memory()[1] < 2e7
        tracemalloc.stop()
