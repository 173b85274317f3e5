from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from wolter.answering.uploads import Upload
from wolter.errors import TooLargeError
from wolter.images import uploads
from wolter.images.reading import load_picture
from wolter.images.uploads import Job, read_image, read_job


def upload(path):
    return Upload(path.name, str(path))


@pytest.mark.filterwarnings("ignore:The following header keyword is invalid")
def test_headers_that_cannot_be_written_again_lose_what_is_bad(picture_file, tmp_path):
    content = picture_file.read_bytes()
    named = content.replace(b"OBJECT  = 'a field '", b"OBJECT  'a field '  ")
    assert named != content
    picture_file.write_bytes(named)
    read_job(Job(upload(picture_file), str(tmp_path / "read"), 10_000))
    header = load_picture(tmp_path / "read").header
    again = fits.Header.fromstring(header.tostring())
    again.tofile(tmp_path / "again.hdr")  # fails where a card cannot be written
    assert list(again.items()) == list(header.items())
    assert (header["CRPIX1"], header["EXPOSURE"]) == (25.5, 2e4)


def test_pixels_of_images_and_maps_are_counted_before_they_are_read(picture_file, tmp_path):
    height, width = fits.getdata(picture_file).shape
    most, result = height * width, str(tmp_path / "read")
    read_job(Job(upload(picture_file), result, most))
    with pytest.raises(TooLargeError, match=rf": {most} pixels; send at most {most - 1}$"):
        read_job(Job(upload(picture_file), result, most - 1))
    wide = tmp_path / "wide.fits"
    fits.PrimaryHDU(np.ones((height, width + 1), np.float32)).writeto(wide)
    for role in ("exposure_map", "mask"):
        with pytest.raises(TooLargeError, match=r"^wide\.fits"):
            read_job(Job(upload(picture_file), result, most, **{role: (upload(wide),)}))


def test_maps_reach_the_picture(picture_file, tmp_path):
    exposure = tmp_path / "exposure.fits"
    with fits.open(picture_file) as hdus:
        hdus[0].data = np.full(hdus[0].data.shape, 1234.0, np.float32)
        hdus[0].header["BUNIT"] = "s"
        hdus.writeto(exposure)
    job = Job(upload(picture_file), str(tmp_path / "read"), 10_000, (upload(exposure),))
    read_job(job)
    assert load_picture(tmp_path / "read").exposure_HW.max() <= 1234


def test_headers_keep_what_can_be_written_in_its_order():
    header = fits.Header()
    header["FIRST"] = 1
    header["COMMENT"] = "words"
    header["HISTORY"] = "more"
    header["SECOND"] = (2.5, "about it")
    header["COMMENT"] = "last"
    header.append(fits.Card.fromstring("BAD     = 'open".ljust(80)), end=True)
    header["THIRD"] = "three"
    plain = uploads._plain(header)
    assert [card.keyword for card in plain.cards] == [
        card.keyword for card in header.cards if card.keyword != "BAD"
    ]
    assert plain.comments["SECOND"] == "about it"
    assert (plain["FIRST"], plain["SECOND"], plain["THIRD"]) == (1, 2.5, "three")


def test_only_pictures_are_counted_in_pixels(tmp_path):
    """Cubes, lists of numbers and tables are no images of so many pixels."""
    path = tmp_path / "a.fits"
    cube = fits.ImageHDU(np.zeros((2, 9, 9), np.float32))
    row = fits.ImageHDU(np.zeros(500, np.float32))
    table = fits.BinTableHDU.from_columns([fits.Column("A", "J", array=np.arange(500))])
    small = fits.ImageHDU(np.zeros((5, 7), np.float32))
    fits.HDUList([fits.PrimaryHDU(), cube, row, table, small]).writeto(path)
    uploads._check_pixels(upload(path), 35)
    with pytest.raises(TooLargeError, match=r": 35 pixels; send at most 34$"):
        uploads._check_pixels(upload(path), 34)


def test_an_image_is_read_within_its_bounds(picture_file, tmp_path):
    mask = tmp_path / "mask.fits"
    fits.writeto(mask, np.ones((61, 50), np.uint8))
    asked = []

    def read(job, name):
        asked.append((job, name))
        read_job(job)

    files = {"image": (upload(picture_file),), "exposure_map": (), "mask": (upload(mask),)}
    stored = SimpleNamespace(files=files, folder=tmp_path, read=read)
    assert read_image(stored, 5.0, 7000).exposure_s == 5.0
    ((job, name),) = asked
    assert name == "field.fits"
    assert (job.max_pixels, job.exposure_s, job.exposure_map) == (7000, 5.0, ())
    assert job.mask == (upload(mask),)
