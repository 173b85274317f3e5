import numpy as np
import pytest
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.imaging.image_file import MOST_PIXELS, read_image


def spoil(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new.ljust(len(old))[: len(old)], 1))


def test_words_of_the_primary_hdu_stand_in(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header.update({"EXPOSURE": 10.0, "INSTRUME": "EPN", "OBJECT": "A", "BUNIT": "Jy"})
    image = fits.ImageHDU(np.ones((4, 5), np.int16), fits.Header({"OBJECT": "B"}))
    fits.HDUList([primary, image]).writeto(tmp_path / "a.fits")
    values, header = read_image(tmp_path / "a.fits")
    assert values.shape == (4, 5)
    assert (header["EXPOSURE"], header["INSTRUME"], header["OBJECT"]) == (10.0, "EPN", "B")
    assert "BUNIT" not in header  # of the primary HDU's own pixels
    assert header["NAXIS"] == 2


def test_coordinates_are_of_one_hdu(tmp_path):
    world = {"CTYPE1": "RA---TAN", "CRVAL1": 10.0, "CDELT1": 0.1}
    primary = fits.PrimaryHDU()
    primary.header.update(world)
    own = fits.ImageHDU(np.ones((4, 5), np.int16), fits.Header({"CTYPE1": "DETX"}))
    none = fits.ImageHDU(np.ones((4, 5), np.int16))
    fits.HDUList([primary, own]).writeto(tmp_path / "own.fits")
    fits.HDUList([primary, none]).writeto(tmp_path / "none.fits")
    assert "CRVAL1" not in read_image(tmp_path / "own.fits")[1]
    assert read_image(tmp_path / "none.fits")[1]["CRVAL1"] == 10.0


def test_compressed_images_are_images(tmp_path):
    image = np.arange(400, dtype=np.int32).reshape(20, 20)
    hdu = fits.CompImageHDU(image, fits.Header({"EXPOSURE": 5.0}))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits")
    values, header = read_image(tmp_path / "a.fits")
    assert np.array_equal(values, image)
    assert header["EXPOSURE"] == 5.0


def test_every_word_of_the_header_can_be_read(tmp_path):
    path = tmp_path / "a.fits"
    cards = fits.Header({"GOOD": 1.5, "BAD": 12345.678, "EMPTY": 98765.4321})
    fits.writeto(path, np.ones((4, 5), np.int16), cards)
    spoil(path, b"           12345.678", b"       1.2.3 / broken")
    spoil(path, b"          98765.4321", b"")
    _, header = read_image(path)
    assert header["GOOD"] == 1.5
    assert str(header["BAD"]).startswith("1.2.3")
    assert "EMPTY" not in header  # without a value: its default
    header.tostring()


def test_cubes_and_giants_are_refused_with_the_remedy(tmp_path):
    fits.writeto(tmp_path / "cube.fits", np.ones((3, 4, 5), np.int16))
    with pytest.raises(InputError, match=r"a cube of 3 x 4 x 5 pixels; give one of its planes"):
        read_image(tmp_path / "cube.fits")
    side = int(MOST_PIXELS**0.5) + 1
    header = fits.PrimaryHDU(np.ones((4, 5), np.int16)).header
    header["NAXIS1"] = header["NAXIS2"] = side
    (tmp_path / "giant.fits").write_bytes(header.tostring().encode() + bytes(2880))
    with pytest.raises(InputError, match=r"giant\.fits"):
        read_image(tmp_path / "giant.fits")
