"""FITS file opening with every fault reported in one line."""

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wolter.errors import InputError, is_utf8
from wolter.xray.ogip.blocks import find_hdus

# Bytes of the largest file that is inflated: a few MB of gzip may hold thousands of GB.
LARGEST_INFLATED = 2**31

_PACKED = {b"BZh": "bzip2", b"PK\x03\x04": "zip", b"\x1f\x9d": "compress", b"\xfd7zXZ": "xz"}


@contextmanager
def open_fits(path: Path) -> Iterator[Any]:
    """Open a FITS file (gzip or not) and yield all its HDUs.

    Bytes after the last HDU, headers that are not ASCII and keywords that are not asked for do no
    harm. A keyword that is asked for and cannot be parsed is named.

    Raises:
        InputError: missing, no file, empty, truncated or not FITS; also when the body of the `with`
            block meets damaged data.
    """
    from astropy.io import fits

    path = Path(path)
    with _faults(path), warnings.catch_warnings():
        # Real headers hold non-standard cards and units; only the figures matter here, and what is
        # wrong with them is said in one line of ours.
        warnings.simplefilter("ignore")
        with _stream(path) as (stream, size):
            whole, end = find_hdus(stream, size, str(path))
            stream.seek(0)
            # Of what follows the last HDU astropy would make another.
            held = stream if end == size else io.BytesIO(stream.read(end))
            with fits.open(held, memmap=False) as hdus:
                if len(hdus) < whole:
                    raise InputError(
                        f"{path}: damaged header of HDU {len(hdus)} (the primary one is 0); fetch "
                        "it again"
                    )
                yield hdus


@contextmanager
def open_tables(path: Path) -> Iterator[list[Any]]:
    """Open a FITS file (gzip or not) and yield its binary tables as a list of HDUs.

    Raises:
        InputError: as `open_fits`, and without a binary table.
    """
    from astropy.io import fits

    with open_fits(path) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
        if not tables:
            raise InputError(f"{path}: no binary table in this FITS file; is it the right file?")
        for hdu in tables:
            _name_columns(hdu.header)
        yield tables


def _name_columns(header: Any) -> None:
    """Name columns that have no name, which the standard allows and astropy cannot read."""
    for number in range(1, (header.get("TFIELDS") or 0) + 1):
        if f"TTYPE{number}" not in header:
            header[f"TTYPE{number}"] = f"UNNAMED{number}"


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn any error of astropy and numpy about a damaged file into one line."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{path}: reading it takes more memory than there is; use a smaller file"
        ) from error
    except Exception as error:
        keyword = re.search(r"Unparsable card \(([^)]*)\)", str(error))
        if keyword is not None:
            raise InputError(
                f"{path}: the value of keyword {keyword[1]} cannot be read; correct the header"
            ) from error
        said = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"{path}: damaged FITS file ({type(error).__name__}: {said[:200]}); fetch it again"
        ) from error


@contextmanager
def _stream(path: Path) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """The bytes of a file, inflated where it is gzip, and their number."""
    try:
        if not is_utf8(str(path)):
            raise InputError(f"{path}: its name is not UTF-8; rename the file")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: not a file; check the path")
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    with stream:
        start = stream.read(6)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        if not size:
            raise InputError(f"{path}: empty file; fetch it again")
        packed = next((name for magic, name in _PACKED.items() if start.startswith(magic)), None)
        if packed is not None:
            raise InputError(f"{path}: packed with {packed}; unpack it, or pack it with gzip")
        if start[:2] == b"\x1f\x8b":
            content = _inflated(path, stream.read())
            yield io.BytesIO(content), len(content)
        else:
            yield stream, size


def _inflated(path: Path, packed: bytes) -> bytes:
    """Inflate gzip of one or more members: astropy would take one cut short for a shorter file."""
    pieces, total = [], 0
    while packed:
        inflater = zlib.decompressobj(wbits=31)
        try:
            piece = inflater.decompress(packed, LARGEST_INFLATED + 1 - total)
        except zlib.error as error:
            raise InputError(f"{path}: damaged gzip file ({error}); fetch it again") from error
        total += len(piece)
        if total > LARGEST_INFLATED:
            raise InputError(f"{path}: inflates to more than 2 GB; use a smaller file")
        if not inflater.eof:
            raise InputError(f"{path}: truncated gzip file; fetch it again")
        pieces.append(piece)
        packed = inflater.unused_data.lstrip(b"\0")  # padding after the last member
    if not total:
        raise InputError(f"{path}: empty file; fetch it again")
    return b"".join(pieces)
