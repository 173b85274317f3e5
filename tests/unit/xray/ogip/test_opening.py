"""Opening of FITS files, whole, padded and broken."""

import gzip
import os

import numpy as np
import pytest
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.ogip import opening
from wolter.xray.ogip.opening import open_fits, open_tables
from wolter.xray.ogip.tables import beside
from wolter.xray.spectral.observation import read_spectrum

COUNTS = [1, 2, 3]


@pytest.mark.parametrize(
    "tail",
    [
        b"\0",
        b"\n",
        b"\x1a",
        b"\0" * 2880,
        b" " * 2880,
        b"junk" * 2000,
        b"END".ljust(2880),
        b"-" * 80,
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bytes_after_the_last_block_do_no_harm(files, tail, packed):
    path = files.pha(COUNTS)
    content = path.read_bytes() + tail
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_spectrum(path).counts_C.tolist() == COUNTS


def test_a_last_block_that_is_not_filled_up_is_read(files):
    path = files.pha(COUNTS)
    path.write_bytes(path.read_bytes().rstrip(b"\0"))
    assert read_spectrum(path).counts_C.tolist() == COUNTS


@pytest.mark.parametrize("begun", [b"XTENSION", b"XTENSION= 'BINTABLE'".ljust(2880), b"XTE"])
def test_a_further_hdu_that_is_cut_short_is_no_padding(files, begun):
    path = files.pha(COUNTS)
    path.write_bytes(path.read_bytes() + begun)
    with pytest.raises(InputError, match="truncated or damaged FITS header; fetch it again"):
        read_spectrum(path)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (b"BACKSCAL= 1.2.3", "keyword BACKSCAL cannot be read; correct the header"),
        (b"EXPOSURE= (1, ", "keyword EXPOSURE cannot be read"),
        (b"BACKSCAL= T", "BACKSCAL True is not a number"),
        (b"AREASCAL= 'wide'", "AREASCAL 'wide' is not a number"),
        (b"DETCHANS= 4.5E0", "DETCHANS 4.5 is no whole number"),
        (b"DETCHANS= " + b"9" * 60, "DETCHANS 1e[+]60 is too large"),
        (b"EXPOSURE= 1E300", "EXPOSURE 1e[+]300 must be positive and at most 1e[+]10 s"),
        (b"EXPOSURE= 1E400", "EXPOSURE inf must be positive"),
        (b"EXPOSURE= ", "no EXPOSURE"),
        (b"QUALITY = 99999", "QUALITY 99999 is too large"),
        (b"GROUPING= 1.5", "GROUPING 1.5 is not a whole number"),
    ],
)
def test_a_keyword_that_cannot_be_used_is_named(files, card, message):
    path = with_card(files, card)
    with pytest.raises(InputError, match=message) as caught:
        read_spectrum(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "fetch it again" not in str(caught.value)


def with_card(files, card: bytes):
    """A spectrum whose header holds a card as it is written here."""
    path = files.pha(COUNTS, BACKSCAL=1.0, AREASCAL=1.0, DETCHANS=3, QUALITY=0, GROUPING=0)
    content = path.read_bytes()
    at = content.index(card[:8])
    path.write_bytes(content[:at] + card.ljust(80) + content[at + 80 :])
    return path


@pytest.mark.parametrize(
    "card",
    [
        b"BACKSCAL=", b"BACKSCAL= / none", b"BACKSCAL= ''", b"BACKSCAL= '1.0'", b"BACKSCAL= 1.0D0",
        b"AREASCAL=", b"DETCHANS=", b"DETCHANS= '3'", b"DETCHANS= 3.0", b"QUALITY =",
        b"EXPOSURE= '1000.0'", b"EXPOSURE= 1.0D3", b"HDUCLAS1= 1.2.3", b"GROUPING= ''",
        "HDUCLAS1= 'é' / Ångström".encode(), b"HDUCLAS1= '\xff\xfe'", b"HDUCLAS1 \xff",
    ],
)  # fmt: skip
def test_keywords_without_value_are_their_default_and_others_do_no_harm(files, card):
    spectrum = read_spectrum(with_card(files, card))
    assert spectrum.counts_C.tolist() == COUNTS
    assert (spectrum.exposure_s, spectrum.backscale, spectrum.areascale) == (1000, 1, 1)
    assert spectrum.good_C.all()


def test_columns_without_a_name_are_none_of_ours(files):
    path = files.pha(COUNTS, columns={"OTHER": [7, 8, 9]})
    path.write_bytes(path.read_bytes().replace(b"TTYPE3", b"NONAME"))
    assert read_spectrum(path).counts_C.tolist() == COUNTS


@pytest.mark.parametrize(
    ("start", "packer"), [(b"BZh91AY", "bzip2"), (b"PK\x03\x04", "zip"), (b"\x1f\x9d", "compress")]
)
def test_what_is_packed_in_another_way_is_told(tmp_path, start, packer):
    (tmp_path / "a.pha").write_bytes(start + bytes(3000))
    with pytest.raises(InputError, match=f"packed with {packer}; unpack it"):
        read_spectrum(tmp_path / "a.pha")


def test_gzip_that_inflates_without_end_is_refused(files, monkeypatch):
    path = files.pha(COUNTS)
    size = len(path.read_bytes())
    path.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr(opening, "LARGEST_INFLATED", size)
    assert read_spectrum(path).counts_C.tolist() == COUNTS
    monkeypatch.setattr(opening, "LARGEST_INFLATED", size - 1)
    with pytest.raises(InputError, match="inflates to more than"):
        read_spectrum(path)


def test_gzip_of_several_members(files):
    path = files.pha(COUNTS)
    content = path.read_bytes()
    path.write_bytes(gzip.compress(content[:3000]) + gzip.compress(content[3000:]) + b"\0" * 99)
    assert read_spectrum(path).counts_C.tolist() == COUNTS
    path.write_bytes(gzip.compress(content) + b"junk")
    with pytest.raises(InputError, match="damaged gzip file"):
        read_spectrum(path)


def test_what_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "not a file; check the path"),
        (tmp_path / "pipe", "not a file"),
        (tmp_path / ("n" * 300), "cannot be read .*File name too long"),
        (tmp_path / "a\0b", "no such file|cannot be read"),
        (tmp_path / "a" / "b", "no such file"),
    ):
        with pytest.raises(InputError, match=message) as caught, open_fits(path):
            pass
        assert str(caught.value).isprintable()
    (tmp_path / "a\nb").write_bytes(b"")
    with pytest.raises(InputError, match="a b: empty file"), open_fits(tmp_path / "a\nb"):
        pass


def test_a_name_that_is_not_utf8_is_told(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff.pha"
    os.close(os.open(name, os.O_CREAT))
    path = next(tmp_path.iterdir())
    with (
        pytest.raises(InputError, match=r"\?\.pha: its name is not UTF-8; rename"),
        open_fits(path),
    ):
        pass


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), RecursionError(), OverflowError()])
def test_whatever_is_raised_about_a_file_is_one_line(files, error):
    path = files.pha(COUNTS)
    with pytest.raises(InputError, match=r"a\.pha: .*;") as caught, open_tables(path):
        raise error
    assert caught.value.__cause__ is error


def test_an_image_has_no_tables(tmp_path):
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "a.fits")
    with pytest.raises(InputError, match="no binary table"), open_tables(tmp_path / "a.fits"):
        pass


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("a.rmf", "a.rmf"),
        ("a.rmf", "a.rmf.gz"),
        ("a.rmf.gz", "a.rmf"),
        ("/elsewhere/a.rmf", "a.rmf"),
        ("a.rmf[MATRIX]", "a.rmf"),
        ("a.pha{2}", "a.pha"),
        ("a[1].rmf", "a[1].rmf"),
        ("é 中.rmf", "é 中.rmf"),
    ],
)
def test_named_files_are_found_beside(tmp_path, named, there):
    (tmp_path / there).write_bytes(b"")
    assert beside(tmp_path / "x.pha", named) == tmp_path / there


@pytest.mark.parametrize("named", ["", ".", "..", "/", "[1]", "{2}", "n" * 400, "a\0b", "~", "*"])
def test_names_of_nothing_find_nothing(tmp_path, named):
    assert beside(tmp_path / "x.pha", named) is None
