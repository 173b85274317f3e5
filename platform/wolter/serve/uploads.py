"""Uploaded files: inflated within bounds, checked to be whole FITS, kept under safe names.

Nothing here trusts a name, a size or a header of the client's.
"""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from wolter.errors import InputError, TooLargeError
from wolter.serve.config import MB, ServeConfig
from wolter.xray.ogip.blocks import count_hdus

PIECE = 2**18
MOST_MEMBERS = 10_000  # of a gzip file: each takes time, even where it holds nothing


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
        name: name of the file, for messages.
        config: limits.

    Raises:
        TooLargeError: it is larger than the limits, as sent or inflated.
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
            count_hdus(kept, kept.tell(), name)
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
    inflater, members = None, 1
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
                inflater, members = zlib.decompressobj(wbits=31), members + 1
                if members > MOST_MEMBERS:
                    raise TooLargeError(
                        f"{name}: more than {MOST_MEMBERS} gzip members; compress it anew"
                    )
            try:
                inflated = inflater.decompress(piece, PIECE)
            except zlib.error as error:
                raise InputError(f"{name}: damaged gzip file ({error}); send it again") from error
            yield inflated
            waiting = len(inflated) == PIECE
            piece = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if inflater is not None and not inflater.eof:
        raise InputError(f"{name}: truncated gzip file; send it again")
