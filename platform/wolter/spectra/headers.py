"""Classification of archive files of spectra by their headers."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from wolter.errors import InputError, printable
from wolter.xray.ogip import tables as ogip
from wolter.xray.ogip.files import FITS_SUFFIXES
from wolter.xray.ogip.pha import spectrum_class, spectrum_tables

_NO_OBJECTS = ("CSC",)  # OBJECT of all sources of release 1 of the Chandra Source Catalog


class FileKind(Enum):
    """Kinds of archive file."""

    SPECTRUM = "spectrum"
    BACKGROUND = "background"
    OTHER = "other"


@dataclass(frozen=True)
class FileHeader:
    """Header information of an archive file.

    Attributes:
        kind: the kind of file; a background has HDUCLAS2 = BKG in every table of a spectrum.
        source: the observed object, or the file's place in its archive where OBJECT is blank; the
            observation where OBJECT is a whole catalogue.
        background: the background file that it names and that lies beside it, or empty.
        other: what a file of another kind is; empty for spectra.
    """

    kind: FileKind
    source: str = ""
    background: str = ""
    other: str = ""


def classify(path: Path, archive: Path | None = None) -> FileHeader:
    """Classify a file: spectrum, background spectrum or something else.

    Args:
        path: path of the file.
        archive: folder that it is told apart in; by default its own.

    Raises:
        InputError: the name or the first bytes promise FITS, and the file is not or is damaged.
    """
    try:
        with ogip.open_fits(path) as hdus:
            return _classify(path, archive or path.parent, hdus)
    except InputError:
        if _promises_fits(path):
            raise
        return FileHeader(FileKind.OTHER, other="not FITS")


def _classify(path: Path, archive: Path, hdus: Any) -> FileHeader:
    tables = [hdu for hdu in hdus if hasattr(hdu, "columns")]
    spectra = spectrum_tables(tables) or [hdu for hdu in tables if _says_spectrum(hdu)]
    if not spectra:
        return FileHeader(FileKind.OTHER, other=_other(hdus, tables))
    header = spectra[0].header
    named = ogip.text(header, "BACKFILE")
    background = ogip.beside(path, named) if named else None
    own = background is not None and background.absolute() == path.absolute()
    return FileHeader(
        kind=FileKind.BACKGROUND
        if {spectrum_class(hdu) for hdu in spectra} == {"BKG"}
        else FileKind.SPECTRUM,
        source=_object(header) or _object(hdus[0].header) or str(path.relative_to(archive)),
        background="" if background is None or own else str(background.absolute()),
    )


def _says_spectrum(hdu: Any) -> bool:
    """True for a table named a spectrum without the columns of one."""
    return "SPECTRUM" in {_word(hdu.header, key).upper() for key in ("EXTNAME", "HDUCLAS1")}


def _other(hdus: Any, tables: list[Any]) -> str:
    names = {name for hdu in tables for name in ogip.columns(hdu)}
    if names & {"MATRIX", "SPECRESP"}:
        return "responses"
    if {"TIME", "X", "Y"} <= names:
        return "event lists"
    if any(hdu.is_image and hdu.header.get("NAXIS", 0) for hdu in hdus):
        return "images"
    return "other tables" if tables else "FITS without data"


def _object(header: Any) -> str:
    """The observed object; the observation where a catalogue stands for it."""
    word = _word(header, "OBJECT")
    return f"observation {_word(header, 'OBS_ID')}" if word.upper() in _NO_OBJECTS else word


def _word(header: Any, key: str) -> str:
    """A keyword that no reader of spectra needs: empty where its value cannot be parsed."""
    from astropy.io.fits import VerifyError

    try:
        return printable(ogip.text(header, key))
    except VerifyError:
        return ""


def _promises_fits(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and len(suffixes) > 1:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in FITS_SUFFIXES or suffix == ".gz" or suffix.endswith("grp"):
        return True
    try:
        with path.open("rb") as file:
            return file.read(8) == b"SIMPLE  "
    except (OSError, ValueError):
        return True  # it says why
