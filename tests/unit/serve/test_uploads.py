import gzip
import io
import zlib
from functools import partial

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from wolter.errors import InputError, TooLargeError
from wolter.serve import uploads
from wolter.serve.config import ServeConfig
from wolter.serve.uploads import PIECE, measure, store
from wolter.xray.ogip.blocks import BLOCK, CARD, MAX_CARDS

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


packed = partial(gzip.compress, mtime=0)  # names of tests hold the bytes, and must not change


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"hello", "not a FITS file"),
        (packed(b"hello"), "not a FITS file"),
        (packed(packed(b"SIMPLE  =")), "not a FITS file"),
        (b"BZh91AY&SY", "not a FITS file"),
        (b"SIMPLE  =" + b" " * 1000, "truncated or damaged FITS header"),
        (fits_bytes()[:-2880], "truncated FITS file"),
        (fits_bytes()[:2880] + fits_bytes()[2880:4000], "truncated or damaged FITS header"),
        (packed(fits_bytes())[:-20], "truncated gzip"),
        (packed(fits_bytes())[:10] + b"\xff" * 50, "damaged gzip"),
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


def test_gzip_files_of_very_many_members_are_refused(tmp_path):
    empty, data = gzip.compress(b""), fits_bytes()
    assert kept(tmp_path, gzip.compress(data) + empty * 2_000) == data
    with pytest.raises(TooLargeError, match="more than 10000 gzip members"):
        kept(tmp_path, gzip.compress(data) + empty * 20_000)


def test_the_limit_of_inflated_bytes_is_exact(tmp_path):
    data = fits_bytes()
    full = data + bytes(2 * 2**20 - len(data))
    assert kept(tmp_path, gzip.compress(full)) == full
    with pytest.raises(TooLargeError, match="more than 2 MB once inflated"):
        kept(tmp_path, gzip.compress(full + b"\0"))


def test_the_limit_of_sent_bytes_is_exact(tmp_path):
    data = fits_bytes()
    full = data + bytes(2**19 - len(data))
    assert kept(tmp_path, full) == full
    with pytest.raises(TooLargeError, match=r"more than 0\.5 MB"):
        kept(tmp_path, full + b"\0")


def test_the_sum_of_a_request_s_files_is_bounded_before_any_is_stored():
    half = gzip.compress(fits_bytes() + bytes(2**20 - len(fits_bytes())))
    files = [(io.BytesIO(half), "a.pha"), (io.BytesIO(half), "b.pha")]
    measure(files, CONFIG)
    assert all(file.tell() == 0 for file, _ in files)  # as they were, to be stored
    with pytest.raises(TooLargeError, match=r"^c\.pha: with it the files are more than 2 MB"):
        measure([*files, (io.BytesIO(gzip.compress(b"\0")), "c.pha")], CONFIG)
    with pytest.raises(InputError, match=r"^d\.pha: truncated gzip"):
        measure([(io.BytesIO(half[:-9]), "d.pha")], CONFIG)


def test_headers_of_very_many_cards_are_refused(tmp_path):
    """Blocks of a file: so many cards in all its headers, and one block more."""
    config = ServeConfig(max_inflated_mb=20.0)
    head = b"SIMPLE  =                    T".ljust(80) + b"BITPIX  =                    8".ljust(80)
    head += b"NAXIS   =                    0".ljust(80)

    def blocks(n):
        cards = head + b"COMMENT".ljust(CARD) * (n * BLOCK // CARD - 4) + b"END".ljust(CARD)
        return gzip.compress(cards, 1)

    most = MAX_CARDS // (BLOCK // CARD)
    assert len(kept(tmp_path, blocks(most), config)) == most * BLOCK
    with pytest.raises(InputError, match="damaged FITS header"):
        kept(tmp_path, blocks(most + 1), config)


def test_headers_that_announce_too_much_are_refused(tmp_path):
    rows = fits_bytes().replace(
        b"NAXIS2  =                  100", b"NAXIS2  =       99999999999999"
    )
    with pytest.raises(InputError, match="truncated FITS file"):
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


def test_what_looks_like_gzip_after_the_first_piece_is_kept_as_it_is(tmp_path):
    data = bytearray(fits_bytes(120_000))
    data[PIECE : PIECE + 2] = b"\x1f\x8b"
    assert len(data) > PIECE
    assert kept(tmp_path, bytes(data)) == bytes(data)


class Noted(io.BytesIO):
    """Bytes that note in what pieces they are read."""

    def __init__(self, data):
        super().__init__(data)
        self.asked = []

    def read(self, size=-1):
        self.asked.append(size)
        return super().read(size)


def test_uploads_are_read_a_quarter_of_a_megabyte_at_a_time(tmp_path):
    upload = Noted(fits_bytes())
    upload.seek(100)  # wherever it was read to before
    measure([(upload, "a.pha")], CONFIG)
    assert upload.tell() == 0
    store(upload, tmp_path / "a", "a.pha", CONFIG)
    assert set(upload.asked) == {2**18}


def test_inflated_pieces_are_no_larger(tmp_path, monkeypatch):
    sizes, plain = [], uploads._inflated

    def noted(pieces, name):
        for piece in plain(pieces, name):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(uploads, "_inflated", noted)
    data = fits_bytes() + bytes(2**20)
    assert kept(tmp_path, gzip.compress(data)) == data
    assert max(sizes) == 2**18


def test_both_limits_are_told(tmp_path):
    config = ServeConfig(max_file_mb=1.5, max_inflated_mb=2.5)
    with pytest.raises(TooLargeError) as caught:
        kept(tmp_path, fits_bytes() + bytes(2**21), config)
    assert str(caught.value) == "a.pha: more than 1.5 MB; send it gzipped, or a smaller one"
    with pytest.raises(TooLargeError) as caught:
        kept(tmp_path, gzip.compress(fits_bytes() + bytes(2**22)), config)
    assert str(caught.value) == "a.pha: more than 2.5 MB once inflated; send a smaller file"
