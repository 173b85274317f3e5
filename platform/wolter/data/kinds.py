"""What the files of an archive are: a look at the headers alone."""

import warnings
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from wolter.errors import InputError
from wolter.xray import ogip

FITS_SUFFIXES = {".fits", ".fit", ".fts", ".ds", ".pha", ".pi", ".pha1", ".gz", ".ftz"}


class Kind(Enum):
    """Kinds of archive file."""

    SPECTRUM = "spectrum"
    BACKGROUND = "background"
    OTHER = "other"


@dataclass(frozen=True)
class Look:
    """What the headers of a file say.

    Attributes:
        kind: the kind of file; a background has HDUCLAS2 = BKG in every SPECTRUM table.
        source: the observed object, or the file's name where OBJECT is blank.
        background: the background file that it names and that lies beside it, or empty.
    """

    kind: Kind
    source: str = ""
    background: str = ""


def look(path: Path) -> Look:
    """Tell spectra and background spectra from everything else.

    Raises:
        InputError: the name promises FITS, and the file is not or is damaged.
    """
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyUserWarning

    if path.stat().st_size == 0:
        return _unreadable(path, "empty file")
    headers = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        warnings.simplefilter("error", AstropyUserWarning)  # a file cut short
        try:
            with fits.open(path, memmap=False) as hdus:
                primary = hdus[0].header
                for hdu in hdus[1:]:
                    words = {ogip.text(hdu.header, key).upper() for key in ("EXTNAME", "HDUCLAS1")}
                    if "SPECTRUM" in words:
                        headers.append(hdu.header)
        except (OSError, EOFError, AstropyUserWarning) as error:
            return _unreadable(path, str(error).splitlines()[0])
    if not headers:
        return Look(Kind.OTHER)
    classes = {ogip.text(header, "HDUCLAS2").upper() for header in headers}
    named = ogip.text(headers[0], "BACKFILE")
    background = ogip.beside(path, named) if named else None
    own = background is not None and background.absolute() == path.absolute()
    return Look(
        kind=Kind.BACKGROUND if classes == {"BKG"} else Kind.SPECTRUM,
        source=ogip.text(headers[0], "OBJECT") or ogip.text(primary, "OBJECT") or path.name,
        background="" if background is None or own else str(background.absolute()),
    )


def _unreadable(path: Path, reason: str) -> Look:
    suffix = path.suffix.lower()
    if suffix in FITS_SUFFIXES or suffix.endswith("grp"):
        raise InputError(f"{path}: not a readable FITS file ({reason}); fetch it again")
    return Look(Kind.OTHER)
