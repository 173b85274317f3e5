"""FITS of a layer of a picture: pixels with unit, sky coordinates, and where they are from."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from wolter import __version__
from wolter.answering.sky_picture import Layer
from wolter.catalogue.pictures.file import Picture
from wolter.catalogue.release import Release

ROUNDED = "pixels are rounded: to 2.4 % at most, or 2.5e-7 of the highest around"


def to_fits(picture: Picture, layer: Layer, source: Mapping[str, Any], release: Release) -> bytes:
    """The content of a FITS file.

    Args:
        picture: of a source.
        layer: of the picture.
        source: source_id, name, ra and dec of the source.
        release: that it is from.
    """
    from astropy.io import fits

    facts, header = picture.facts, fits.Header(picture.plane_of(layer).cards)
    telescope, instrument, filter_name = f"{facts['instrument']}//".split("/")[:3]
    words: dict[str, tuple[Any, str]] = {
        "BUNIT": (layer.unit, layer.about),
        "OBJECT": (source["name"], "source in the middle"),
        "SRC_ID": (source["source_id"], "its identifier"),
        "RA": (source["ra"], "[deg] its position, ICRS"),
        "DEC": (source["dec"], "[deg]"),
        "TELESCOP": (telescope, ""),
        "INSTRUME": (instrument, ""),
        "FILTER": (filter_name, ""),
        "OBS_ID": (facts["observation_id"], "observation"),
        "EXPOSURE": (facts["exposure_s"], "[s] on the axis"),
        "TIMESYS": ("UTC", ""),
        "DATE-BEG": (_date(facts["t_start"]), "start of the exposure"),
        "DATE-END": (_date(facts["t_stop"]), "end of the exposure"),
        "MJD-BEG": (facts["t_start"], ""),
        "MJD-END": (facts["t_stop"], ""),
        "RELEASE": (release.name, "of the catalogue"),
        "SIMULATD": (release.simulated, "sources are simulated"),
        "CREATOR": (f"wolter {__version__}", ""),
    }
    if not layer.counts:
        words["ENHMODEL"] = (f"wolter {facts['model_name']}", "what made these pixels")
        words["ENHVERS"] = (facts["model_version"], "its version")
    for key, (value, comment) in words.items():
        if value is not None:
            header[key] = (_ascii(value) if isinstance(value, str) else value, comment)
    if not layer.counts:
        header.add_comment(ROUNDED)
    header.add_comment("NaN: not exposed")
    stream = io.BytesIO()
    values_HW = picture.values(layer).astype(np.float32)
    hdu = fits.PrimaryHDU(values_HW, header)
    hdu.add_checksum(when="of this unit")  # not the time, so that the same picture is the same file
    hdu.writeto(stream)
    return stream.getvalue()


def _date(mjd: float | None) -> str | None:
    from astropy.time import Time

    return None if mjd is None else str(Time(mjd, format="mjd", scale="utc").isot)


def _ascii(word: str) -> str:
    """What a header can hold of a text."""
    plain = word.encode("ascii", "replace").decode()
    return "".join(letter if " " <= letter <= "~" else "?" for letter in plain)
