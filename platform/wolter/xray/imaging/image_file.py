"""FITS image reading: pixels, and a header in which every keyword can be parsed.

Shapes: H and W rows and columns of an image.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wolter.errors import InputError
from wolter.xray.ogip.tables import open_fits

if TYPE_CHECKING:
    from astropy.io import fits

MOST_PIXELS = 2**27  # more would fill the memory

# Words that describe how an HDU is stored, and not what it holds.
STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|BUNIT|DATAMIN"
    r"|DATAMAX|CHECKSUM|DATASUM|EXTNAME|EXTVER|EXTLEVEL|INHERIT|LONGSTRN|TFIELDS"
    r"|(TTYPE|TFORM|TUNIT|TDIM|TNULL|TSCAL|TZERO|TDISP|TLMIN|TLMAX)\d+"
)
WORLD = re.compile(
    r"(WCSAXES|WCSNAME|RADESYS|EQUINOX|LONPOLE|LATPOLE|RADECSYS)[A-Z]?|(LTV|LTM)\d.*"
    r"|(CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA|CD|PC|PV|PS)\d+(_\d+)?[A-Z]?"
    r"|(A|B|AP|BP)_(ORDER|DMAX|\d+_\d+)"
)


def read_image(path: Path) -> tuple[NDArray[np.float32], "fits.Header"]:
    """The first two-dimensional image (H, W) of a FITS file, and its header.

    What the header of an extension does not say, that of the primary HDU may.

    Raises:
        InputError: the file cannot be read as FITS, or holds no such image.
    """
    cube = None
    with open_fits(path) as hdus:
        for hdu in hdus:
            size = _size(hdu) if hdu.is_image else ()
            if len(size) == 2 and all(size):
                if size[0] * size[1] > MOST_PIXELS:
                    raise InputError(f"{path}: {size[1]} x {size[0]} pixels; cut out a part")
                header = readable(hdu.header, *(() if hdu is hdus[0] else (hdus[0].header,)))
                return np.ascontiguousarray(hdu.data, np.float32), header
            cube = cube or (size if len(size) > 2 else None)
    if cube:
        raise InputError(
            f"{path}: a cube of {' x '.join(map(str, cube))} pixels; give one of its planes as a "
            "two-dimensional image"
        )
    raise InputError(f"{path}: no two-dimensional image in it; give an image of counts")


def _size(hdu: Any) -> tuple[int, ...]:
    """Rows and columns of an image; more numbers of a cube."""
    axes = int(hdu.header.get("NAXIS", 0))
    return tuple(int(hdu.header[f"NAXIS{axis}"]) for axis in range(axes, 0, -1))


def readable(header: "fits.Header", primary: "fits.Header | None" = None) -> "fits.Header":
    """Header without unparsable keywords, completed from the primary HDU.

    Words without a value are left out, for they mean the default; the text of a value that cannot
    be parsed stands for it, so that whoever needs it can name it.
    """
    from astropy.io import fits

    made = fits.Header()
    for card in header.cards:
        _append(made, card)
    if primary is not None:
        own = {card.keyword for card in made.cards}
        lacks_world = "CTYPE1" not in own
        for card in primary.cards:
            key = card.keyword
            wanted = lacks_world or not WORLD.fullmatch(key)
            if key not in own and wanted and key not in _COMMENTS and not STRUCTURE.fullmatch(key):
                _append(made, card)
    return made


_COMMENTS = {"", "COMMENT", "HISTORY", "END"}


def _append(made: "fits.Header", card: Any) -> None:
    from astropy.io import fits

    keyword = card.keyword
    try:
        value, comment = card.value, card.comment
    except (fits.VerifyError, ValueError, TypeError, AttributeError, IndexError):
        text = "".join(c if 32 <= ord(c) < 127 else "?" for c in card.image[8:80])
        value, comment = text.lstrip("= '").strip() or "?", ""
        keyword = "".join(c if 32 < ord(c) < 127 else "_" for c in card.image[:8].rstrip())
    if isinstance(value, fits.card.Undefined):
        return
    try:
        made.append(fits.Card(keyword, value, comment), end=True)
    except (ValueError, TypeError):
        return  # no word at all
