"""Completeness check of FITS files: every announced HDU present to its last byte."""

import re
from io import BufferedIOBase

from wolter.errors import InputError

BLOCK = 2880  # bytes of a FITS block
CARD = 80
MAX_COLUMNS = 999  # of a table, by the standard
MAX_CARDS = 100_000  # of all headers of a file; real ones have hundreds


def find_hdus(file: BufferedIOBase, size: int, name: str) -> tuple[int, int]:
    """Walk the headers of a FITS file: the number of its HDUs, and the byte where the last ends.

    Bytes after the last HDU are allowed, as the standard says, and so is a last block that is not
    filled up.

    Args:
        file: the open file.
        size: its length in bytes.
        name: name of the file, for messages.

    Raises:
        InputError: not FITS, truncated, or with a header that does not say its size.
    """
    file.seek(0)
    if not file.read(CARD).startswith(b"SIMPLE  ="):
        raise InputError(f"{name}: not a FITS file; is it the right file?")
    position = found = cards = 0
    while position < size:
        file.seek(position)
        if position and not _begins_hdu(file.read(8)):
            break
        file.seek(position)
        sizes: dict[str, int] = {}
        ended = False
        while not ended:
            block = file.read(BLOCK)
            cards += BLOCK // CARD
            if len(block) < BLOCK or cards > MAX_CARDS:
                raise InputError(f"{name}: truncated or damaged FITS header; fetch it again")
            ended = _read_cards(block, sizes)
        announced = _data_bytes(sizes, name)
        start = file.tell()
        if start + announced > size:
            raise InputError(
                f"{name}: truncated FITS file ({size} bytes, its headers announce at least "
                f"{start + announced}); fetch it again"
            )
        position = start + -(-announced // BLOCK) * BLOCK
        found += 1
    return found, min(position, size)


def count_hdus(file: BufferedIOBase, size: int, name: str) -> int:
    """Number of HDUs of a FITS file that is whole; see `find_hdus`."""
    return find_hdus(file, size, name)[0]


def _begins_hdu(word: bytes) -> bool:
    """True if an extension begins here, even one truncated within its first word."""
    return b"XTENSION".startswith(word.rstrip(b"\0\n") or b"-")


def _read_cards(block: bytes, sizes: dict[str, int]) -> bool:
    """Note the cards that size the data; True at the header's end."""
    for start in range(0, BLOCK, CARD):
        key = block[start : start + 8]
        if key == b"END     ":
            return True
        if key[:5] in (b"BITPI", b"PCOUN", b"GCOUN", b"NAXIS", b"TFIEL"):
            name = key.decode("ascii", "replace").rstrip()
            value = block[start + 10 : start + CARD].split(b"/")[0].strip()
            sizes.setdefault(name, int(value) if re.fullmatch(rb"[+-]?\d{1,18}", value) else -1)
    return False


def _data_bytes(sizes: dict[str, int], name: str) -> int:
    n_axes = sizes.get("NAXIS", -1)
    keys = [f"NAXIS{i + 1}" for i in range(min(max(n_axes, 0), 1000))]
    needed = {"NAXIS": n_axes, "PCOUNT": sizes.get("PCOUNT", 0), "GCOUNT": sizes.get("GCOUNT", 1)}
    # Astropy makes room for as many columns as a header names, whatever there is.
    needed["TFIELDS"] = columns if (columns := sizes.get("TFIELDS", 0)) <= MAX_COLUMNS else -1
    needed |= {key: sizes.get(key, -1) for key in keys}
    bad = [key for key, value in needed.items() if value < 0]
    if bad or n_axes > 999 or "BITPIX" not in sizes:
        raise InputError(f"{name}: damaged FITS header ({(bad or ['BITPIX'])[0]}); fetch it again")
    elements = 0 if not keys else 1
    for key in keys:
        elements *= needed[key]
    return abs(sizes["BITPIX"]) // 8 * needed["GCOUNT"] * (needed["PCOUNT"] + elements)
