"""World coordinates (FITS WCS) of images with subdivided pixels."""

import re
from typing import TYPE_CHECKING, Any

from wolter.xray.imaging.image_file import STRUCTURE, WORLD

if TYPE_CHECKING:
    from astropy.io import fits

_SIP = re.compile(r"(?:A|B|AP|BP)_(\d+)_(\d+)")


def scaled_header(header: "fits.Header", scale: int, world_only: bool = False) -> "fits.Header":
    """Header with the same sky coordinates for `scale` times as many pixels along each side.

    World coordinates keep their form, also with the defaults of the FITS standard (no CRPIX, PC
    without CDELT) and with polynomials of distortion (SIP).

    Args:
        header: header of the image with the fewer pixels.
        scale: pixels for one of it, along a side.
        world_only: keep its coordinates alone.
    """
    from astropy.io import fits

    made = fits.Header()
    for card in header.cards:
        key = card.keyword
        unwanted = STRUCTURE.fullmatch(key) or (world_only and not WORLD.fullmatch(key))
        if unwanted or key == "":
            continue
        made.append(_scaled(card, scale), end=True)
    if scale != 1:
        _say_defaults(made, header, scale)
    return made


def _scaled(card: Any, scale: int) -> Any:
    from astropy.io import fits

    key, value = card.keyword, card.value
    if scale == 1 or isinstance(value, bool) or not isinstance(value, int | float):
        return card
    if re.fullmatch(r"CRPIX\d+[A-Z]?", key):
        value = (value - 0.5) * scale + 0.5
    elif re.fullmatch(r"(CDELT\d+|CD\d+_\d+)[A-Z]?", key):
        value = value / scale
    elif term := _SIP.fullmatch(key):  # of offsets in pixels
        value = value * scale ** (1.0 - int(term[1]) - int(term[2]))
    elif re.fullmatch(r"(A|B|AP|BP)_DMAX|LTM\d_\d", key):  # image = LTM * physical + LTV
        value = value * scale
    elif re.fullmatch(r"LTV\d", key):
        value = (value - 0.5) * scale + 0.5
    else:
        return card
    return fits.Card(key, value, card.comment)


def _say_defaults(made: "fits.Header", header: "fits.Header", scale: int) -> None:
    """Write the defaults that a header leaves out: CRPIX 0, and CDELT 1 beside a PC matrix."""
    for letter in {key[6:] for key in header if re.fullmatch(r"CTYPE1[A-Z]?", key)}:
        matrix = any(re.fullmatch(rf"CD\d_\d{letter}", key) for key in header)
        for axis in (1, 2):
            if f"CRPIX{axis}{letter}" not in header:
                made[f"CRPIX{axis}{letter}"] = 0.5 - 0.5 * scale
            if f"CDELT{axis}{letter}" not in header and not matrix:
                made[f"CDELT{axis}{letter}"] = 1 / scale
