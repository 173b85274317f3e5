"""Uploaded files: inflated within bounds, checked to be whole FITS, kept under safe names.

Nothing here trusts a name, a size or a header of the client's.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, BinaryIO

from wolter.errors import InputError
from wolter.serve.config import MB, ServeConfig
from wolter.serve.errors import TooLargeError

BLOCK = 2880  # bytes of a FITS block
CARD = 80
MAX_CARDS = 100_000  # of all headers of a file; real ones have hundreds
PIECE = 2**18


def plain_name(name: str | None) -> str:
    """The last part of a client's file name, printable and short, to repeat in answers."""
    last = PureWindowsPath(PurePosixPath(name or "").name).name
    return re.sub(r"[^\w .()+\-\[\]]", "_", last)[:100].strip() or "unnamed"


def measure(uploads: Iterable[tuple[BinaryIO, str]], config: ServeConfig) -> None:
    """Check the sizes of all uploads of a request; nothing is stored.

    Args:
        uploads: the bytes of each as sent, and its name for messages.
        config: limits.

    Raises:
        TooLargeError: one is larger than the limits as sent, or all together once inflated.
        InputError: one is empty, or not a whole gzip file.
    """
    total, largest = 0, int(config.max_inflated_mb * MB)
    for upload, name in uploads:
        upload.seek(0)
        for piece in _inflated(_limited(upload, name, config.max_file_mb), name):
            total += len(piece)
            if total > largest:
                raise TooLargeError(
                    f"{name}: with it the files are more than {config.max_inflated_mb:g} MB once "
                    "inflated; send smaller or fewer files"
                )
        upload.seek(0)


def store(upload: BinaryIO, path: Path, name: str, config: ServeConfig) -> None:
    """Copy an upload to `path`, inflated where it is gzip, and check that it is whole FITS.

    Args:
        upload: the bytes as sent.
        path: where to keep them; removed when they are refused.
        name: of the file, for messages.
        config: limits.

    Raises:
        TooLargeError: it is larger than the limits, as sent, inflated, or as its headers say.
        InputError: it is empty, truncated, or not FITS.
    """
    try:
        with path.open("w+b") as kept:
            largest = int(config.max_inflated_mb * MB)
            for piece in _inflated(_limited(upload, name, config.max_file_mb), name):
                if kept.tell() + len(piece) > largest:
                    raise TooLargeError(
                        f"{name}: more than {config.max_inflated_mb:g} MB once inflated; send a "
                        "smaller file"
                    )
                kept.write(piece)
            check_whole(kept, kept.tell(), name, largest)
    except InputError:
        path.unlink()
        raise


def _limited(upload: BinaryIO, name: str, max_mb: float) -> Iterator[bytes]:
    total = 0
    while piece := upload.read(PIECE):
        total += len(piece)
        if total > max_mb * MB:
            raise TooLargeError(
                f"{name}: more than {max_mb:g} MB; send it gzipped, or a smaller one"
            )
        yield piece
    if total == 0:
        raise InputError(f"{name}: empty file; send it again")


def _inflated(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The bytes of a gzip stream (of one or more members), a piece at a time; or the bytes."""
    inflater = None
    for number, sent in enumerate(pieces):
        piece = sent
        if number == 0 and piece[:2] == b"\x1f\x8b":
            inflater = zlib.decompressobj(wbits=31)
        if inflater is None:
            yield piece
            continue
        waiting = True  # output may wait in the inflater when its input is used up
        while piece or waiting:
            if inflater.eof:
                if not piece.strip(b"\0"):  # padding after the last member
                    break
                inflater = zlib.decompressobj(wbits=31)
            try:
                inflated = inflater.decompress(piece, PIECE)
            except zlib.error as error:
                raise InputError(f"{name}: damaged gzip file ({error}); send it again") from error
            yield inflated
            waiting = len(inflated) == PIECE
            piece = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if inflater is not None and not inflater.eof:
        raise InputError(f"{name}: truncated gzip file; send it again")


def check_whole(file: IO[bytes], size: int, name: str, largest: int) -> None:
    """Walk a FITS file's headers: every HDU must be there to its last byte.

    Args:
        file: the open file.
        size: its length in bytes.
        name: of the file, for messages.
        largest: bytes that its headers may announce.

    Raises:
        TooLargeError: headers announce more than `largest` bytes.
        InputError: not FITS, or truncated.
    """
    file.seek(0)
    if not file.read(CARD).startswith(b"SIMPLE  ="):
        raise InputError(f"{name}: not a FITS file; send PHA, RMF or ARF files, gzipped or not")
    position = cards = 0
    while position < size:
        file.seek(position)
        if position and file.read(8) != b"XTENSION":
            return  # the standard allows special records after the last HDU
        file.seek(position)
        sizes: dict[str, int] = {}
        ended = False
        while not ended:
            block = file.read(BLOCK)
            cards += BLOCK // CARD
            if len(block) < BLOCK or cards > MAX_CARDS:
                raise InputError(f"{name}: truncated or damaged FITS header; send it again")
            ended = _read_cards(block, sizes)
        announced = _data_bytes(sizes, name)
        if announced > largest:
            raise TooLargeError(f"{name}: its header announces {announced / MB:.0f} MB; too large")
        start = file.tell()
        if start + announced > size:
            raise InputError(
                f"{name}: truncated FITS file ({size} bytes, its headers announce at least "
                f"{start + announced}); send it again"
            )
        position = start + -(-announced // BLOCK) * BLOCK


def _read_cards(block: bytes, sizes: dict[str, int]) -> bool:
    """Note the cards that size the data; True at the header's end."""
    for start in range(0, BLOCK, CARD):
        key = block[start : start + 8].decode("ascii", "replace").rstrip()
        if key == "END":
            return True
        if key in ("BITPIX", "PCOUNT", "GCOUNT") or re.fullmatch(r"NAXIS\d{0,3}", key):
            value = block[start + 10 : start + CARD].split(b"/")[0].strip()
            sizes.setdefault(key, int(value) if re.fullmatch(rb"[+-]?\d{1,18}", value) else -1)
    return False


def _data_bytes(sizes: dict[str, int], name: str) -> int:
    n_axes, parameters, groups = (
        sizes.get("NAXIS", -1),
        sizes.get("PCOUNT", 0),
        sizes.get("GCOUNT", 1),
    )
    axes = [sizes.get(f"NAXIS{i + 1}", -1) for i in range(min(n_axes, 1000))]
    if not 0 <= n_axes < 1000 or min([parameters, groups, *axes]) < 0:
        raise InputError(f"{name}: damaged FITS header (BITPIX, NAXIS or PCOUNT); send it again")
    elements = 0 if not axes else 1
    for length in axes:
        elements *= length
    return abs(sizes.get("BITPIX", 8)) // 8 * groups * (parameters + elements)
