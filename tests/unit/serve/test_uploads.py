import gzip
import io
import zlib

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from wolter.errors import InputError
from wolter.serve.config import ServeConfig
from wolter.serve.uploads import TooLargeError, plain_name, store

CONFIG = ServeConfig(max_file_mb=0.5, max_inflated_mb=2.0)


def fits_bytes(n=100) -> bytes:
    stream = io.BytesIO()
    table = fits.BinTableHDU.from_columns([fits.Column("COUNTS", "J", array=np.arange(n))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()


def kept(tmp_path, data: bytes, config=CONFIG) -> bytes:
    path = tmp_path / "upload.fits"
    try:
        store(io.BytesIO(data), path, "a.pha", config)
    except InputError:
        assert not path.exists()
        raise
    return path.read_bytes()


def test_plain_and_gzipped_files_are_kept_inflated(tmp_path):
    data = fits_bytes()
    half = len(data) // 2
    assert kept(tmp_path, data) == data
    assert kept(tmp_path, gzip.compress(data)) == data
    members = gzip.compress(data[:half]) + gzip.compress(data[half:])
    assert kept(tmp_path, members) == data
    assert kept(tmp_path, members + b"\0" * 512) == data


def test_files_longer_than_a_piece_survive(tmp_path):
    noise = np.random.default_rng(0).integers(0, 200, 400_000, dtype=np.uint8)
    stream = io.BytesIO()
    fits.PrimaryHDU(noise).writeto(stream)
    data = stream.getvalue()
    assert kept(tmp_path, data) == data
    assert kept(tmp_path, gzip.compress(data)) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"hello", "not a FITS file"),
        (gzip.compress(b"hello"), "not a FITS file"),
        (gzip.compress(gzip.compress(b"SIMPLE  =")), "not a FITS file"),
        (b"BZh91AY&SY", "not a FITS file"),
        (b"SIMPLE  =" + b" " * 1000, "truncated or damaged FITS header"),
        (fits_bytes()[:-2880], "truncated FITS file"),
        (fits_bytes()[:2880] + fits_bytes()[2880:4000], "truncated or damaged FITS header"),
        (gzip.compress(fits_bytes())[:-20], "truncated gzip"),
        (gzip.compress(fits_bytes())[:10] + b"\xff" * 50, "damaged gzip"),
        (fits_bytes().replace(b"NAXIS2  =                  100", b"NAXIS2  =                   -1"),
         "damaged FITS header"),
        (fits_bytes().replace(b"NAXIS   =                    2", b"NAXIS   =           9999999999"),
         "damaged FITS header"),
    ],
)  # fmt: skip
def test_bad_files_are_refused(tmp_path, data, message):
    with pytest.raises(InputError, match=f"^a.pha: {message}") as caught:
        kept(tmp_path, data)
    assert not isinstance(caught.value, TooLargeError)


def test_large_files_are_refused(tmp_path):
    with pytest.raises(TooLargeError, match=r"more than 0\.5 MB"):
        kept(tmp_path, fits_bytes() + bytes(600_000))


def test_gzip_bombs_are_refused_before_they_are_inflated(tmp_path):
    bomb = gzip.compress(fits_bytes() + bytes(200 * 2**20))
    assert len(bomb) < 0.5 * 2**20
    with pytest.raises(TooLargeError, match="more than 2 MB once inflated"):
        kept(tmp_path, bomb)


def test_headers_that_announce_too_much_are_refused(tmp_path):
    rows = fits_bytes().replace(
        b"NAXIS2  =                  100", b"NAXIS2  =       99999999999999"
    )
    with pytest.raises(TooLargeError, match="its header announces"):
        kept(tmp_path, rows)


def test_records_after_the_last_hdu_are_allowed(tmp_path):
    data = fits_bytes() + b"junk" * 100
    assert kept(tmp_path, data) == data


@given(st.binary(max_size=6000))
def test_any_bytes_are_refused_in_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("bytes")
    for sent in (data, b"SIMPLE  =" + data, zlib.compress(data, wbits=31)):
        with pytest.raises(InputError) as caught:
            kept(folder, sent)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.pha", "a.pha"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\a b.fits", "a b.fits"),
        ("/abs/x\n.fits", "x_.fits"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("a" * 300, "a" * 100),
        ("<script>", "_script_"),
    ],
)
def test_names_are_made_plain(name, plain):
    assert plain_name(name) == plain
