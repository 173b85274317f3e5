"""Sky coordinates of images: as their headers say, or from the attitude of the telescope."""

import math
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from wolter.errors import InputError
from wolter.xray.instruments.instrument import Imaging, of_header

if TYPE_CHECKING:
    from astropy.io import fits


LEAST_AREA, MOST_AREA = 1e-20, 1e12  # of a pixel, in squared units of the axes
_NUMERIC = re.compile(
    r"((CRPIX|CRVAL|CDELT|CROTA)\d|(CD|PC|PV)\d_\d+|LONPOLE|LATPOLE|EQUINOX|(A|B|AP|BP)_\d+_\d+"
    r"|(REF[XY])(CRPX|CRVL|CDLT)|(TCRPX|TCRP|TCRVL|TCRV|TCDLT|TCDE|TCROT)\d+)"
)
_WORLD = re.compile(
    r"WCSAXES|RADESYS|RADECSYS|EQUINOX|EPOCH|LONPOLE|LATPOLE|MJD-OBS|DATE-OBS|(A|B|AP|BP)_.+"
    r"|(CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA|CD|PC|PV|PS|CPDIS|CQDIS|DP|DQ|D2IM)\d.*"
)


def celestial(header: "fits.Header") -> Any:
    """Sky coordinates of the pixels (astropy's WCS); None where nothing tells them.

    Images in the detector coordinates of an instrument whose pointing is known get them, to some 3
    arcsec, from `RA_PNT`, `DEC_PNT` and `PA_PNT`. DETX points at the position angle `PA_PNT`, and
    DETY 90 degrees clockwise of it.

    Raises:
        InputError: the header's world coordinates make no sense.
    """
    from astropy.wcs import WCS

    detector = detector_wcs(header)
    if detector is None:
        wcs = _world(header)
        if not wcs.has_celestial:
            return None
        _area(wcs.celestial)
        return wcs.celestial
    attitude = [header.get(f"{key}_PNT") for key in ("RA", "DEC", "PA")]
    imaging = _imaging(header)
    if imaging is None or imaging.pointing is None or imaging.detector_arcsec is None:
        return None
    if not all(_finite(value) for value in attitude):
        return None
    right_ascension, declination, angle = (float(value) for value in attitude if value is not None)
    sin, cos = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    # Steps of DETX and DETY on the sky, and pixels in such steps.
    turn_22 = np.array([[sin, -cos], [cos, sin]]) * (imaging.detector_arcsec / 3600)
    made = WCS(naxis=2)
    made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    made.wcs.cunit = ["deg", "deg"]
    made.wcs.crval = [right_ascension, declination]
    at_2 = np.array(imaging.pointing) / imaging.detector_arcsec
    made.wcs.crpix = detector.wcs_world2pix([at_2], 1)[0]
    made.wcs.cd = turn_22 @ detector.pixel_scale_matrix
    return made


def _imaging(header: "fits.Header") -> Imaging | None:
    instrument = of_header(header)
    return None if instrument is None else instrument.imaging


def detector_step(header: "fits.Header") -> float | None:
    """Step of DETX and DETY on the sky, arcsec; None for instruments that have no such columns."""
    imaging = _imaging(header)
    return None if imaging is None else imaging.detector_arcsec


def detector_wcs(header: "fits.Header") -> Any:
    """DETX and DETY of the pixels (astropy's WCS, linear); None for images in other coordinates.

    Raises:
        InputError: the header's world coordinates make no sense.
    """
    if [str(header.get(f"CTYPE{axis}", "")).strip().upper() for axis in (1, 2)] != ["DETX", "DETY"]:
        return None
    wcs = _world(header, without=("CUNIT1", "CUNIT2"))  # no units that astropy knows
    _area(wcs)
    return wcs


def pixel_sides(header: "fits.Header") -> tuple[float, float] | None:
    """Width and height of a pixel, arcsec; None where the header does not tell.

    Raises:
        InputError: the header's world coordinates make no sense.
    """
    from astropy.wcs.utils import proj_plane_pixel_scales

    wcs = detector_wcs(header)
    if wcs is None:
        wcs = celestial(header)
        factor = 3600.0
    else:
        factor = detector_step(header) or math.nan
    if wcs is None or math.isnan(factor):
        return None
    scales = proj_plane_pixel_scales(wcs)
    return float(scales[0]) * factor, float(scales[1]) * factor


Pair = tuple[float, float]


def plain_axes(
    header: "fits.Header", columns: list[int]
) -> tuple[tuple[str, str], Pair, Pair, Pair] | None:
    """CTYPE, CRPIX, CRVAL and CDELT of positions in two columns; None where nothing tells them.

    The columns' own keywords (TCTYPn, ... of a pixel list, in all spellings of FITS), or
    XMM-Newton's REFX and REFY.

    Raises:
        InputError: they make no sense, or the axes are turned.
    """
    from astropy.io import fits

    wcs = None
    if any(f"TCTY{letter}{column}" in header for letter in ("P", "") for column in columns):
        wcs = _world(header, keysel=["pixel"], colsel=columns)
    if wcs is None or not wcs.has_celestial or wcs.naxis != 2:
        plain = fits.Header()
        for key in ("CTYP", "CRPX", "CRVL", "CDLT", "CUNI"):
            for axis, name in enumerate("XY"):
                if f"REF{name}{key}" in header:
                    plain[_LONG[key] + str(axis + 1)] = header[f"REF{name}{key}"]
        wcs = _world(plain)
        if not wcs.has_celestial:
            return None
    _area(wcs)
    steps_22 = wcs.pixel_scale_matrix
    if np.abs(steps_22[[0, 1], [1, 0]]).max() > 1e-6 * np.abs(steps_22).max():
        raise InputError("X and Y are turned against the sky's axes; give unturned ones")
    numbers = (wcs.wcs.crpix, wcs.wcs.crval, np.diag(steps_22))
    crpix, crval, cdelt = ((float(each[0]), float(each[1])) for each in numbers)
    return (wcs.wcs.ctype[0], wcs.wcs.ctype[1]), crpix, crval, cdelt


_LONG = {"CTYP": "CTYPE", "CRPX": "CRPIX", "CRVL": "CRVAL", "CDLT": "CDELT", "CUNI": "CUNIT"}


def farthest(own: "fits.Header", other: "fits.Header", shape: tuple[int, ...]) -> float | None:
    """Largest offset, in pixels, between the pixel grids of two images on the sky.

    Args:
        own: header of an image.
        other: header of an image that should have the same pixels.
        shape: rows and columns.

    Returns:
        The distance; infinite where the coordinates are of other kinds; None where one of the two
        has none.

    Raises:
        InputError: world coordinates make no sense.
    """
    rows, columns = shape
    x_N = np.array([0.0, columns - 1, 0, columns - 1, (columns - 1) / 2])
    y_N = np.array([0.0, 0, rows - 1, rows - 1, (rows - 1) / 2])
    at_N2 = np.stack([x_N, y_N], 1)
    detectors = detector_wcs(own), detector_wcs(other)
    if detectors[0] is not None and detectors[1] is not None:
        back_N2 = detectors[1].wcs_world2pix(detectors[0].wcs_pix2world(at_N2, 0), 0)
        return float(np.hypot(*(back_N2 - at_N2).T).max())
    skies = celestial(own), celestial(other)
    if skies[0] is None or skies[1] is None:
        known = [a is not None or b is not None for a, b in zip(detectors, skies, strict=True)]
        return math.inf if all(known) else None
    try:
        back_2N = skies[1].world_to_pixel(skies[0].pixel_to_world(x_N, y_N))
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise InputError(f"world coordinates cannot be compared ({_line(error)})") from error
    far = float(np.hypot(back_2N[0] - x_N, back_2N[1] - y_N).max())
    return far if math.isfinite(far) else math.inf


def _world(header: "fits.Header", without: tuple[str, ...] = (), **options: Any) -> Any:
    """Astropy's WCS of a header, with its own defaults, but without some words."""
    from astropy.io import fits
    from astropy.wcs import WCS

    # Of long headers the other words would be parsed each time.
    cards = [card for card in header.cards if options or _WORLD.fullmatch(card.keyword)]
    header = fits.Header([card for card in cards if card.keyword not in without])
    for key in {key for key in header if _NUMERIC.fullmatch(key)}:
        if isinstance(header[key], str):  # taken for the default otherwise, and nothing is said
            try:
                header[key] = float(header[key])
            except ValueError as error:
                raise InputError(f"world coordinates: {key} = {header[key]}") from error
    if "A_ORDER" in header or "B_ORDER" in header:
        # Astropy uses the distortion, but says at length that the names of the axes lack it.
        for key in ("CTYPE1", "CTYPE2"):
            name = str(header.get(key, "")).strip()
            if re.fullmatch(r"[A-Z]+-+[A-Z]{3}", name):
                header[key] = f"{name}-SIP"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old keywords, read as they are meant
        try:
            return WCS(header, **options)
        except (ValueError, TypeError, KeyError, LookupError, AssertionError, ArithmeticError,
                AttributeError, MemoryError, OSError) as error:  # fmt: skip
            raise InputError(f"world coordinates cannot be read ({_line(error)})") from error


def _area(wcs: Any) -> float:
    """Area of a pixel in squared units of the axes."""
    try:
        area = abs(float(np.linalg.det(wcs.pixel_scale_matrix)))
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputError(f"world coordinates cannot be read ({_line(error)})") from error
    if not LEAST_AREA <= area <= MOST_AREA:
        raise InputError(f"world coordinates give pixels of area {area:g}; correct CDELT, CD or PC")
    return area


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
