"""Output path checks before any work begins."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from wolter.errors import InputError
from wolter.files import make_folder

LONGEST = 230  # bytes of a name: file systems take 255, and what is not yet whole has some more
_OGIP = ("SPECTRUM", "RESPONSE", "EVENTS")  # HDUCLAS1 of what is data, and never a result


def check_out(
    path: Path, inputs: Iterable[Path | str | None] = (), suffixes: Sequence[str] = ()
) -> Path:
    """Check that an output file can be written and is none of the inputs.

    Its folder is created where there is none.

    Args:
        path: file to write.
        inputs: files that are read or written as well; None and names without a file are passed
            over.
        suffixes: endings that the file may have; any without one.

    Returns:
        The path.

    Raises:
        InputError: it has another ending, is a folder or an input, holds a spectrum, response or
            events, or its folder cannot be written to.
    """
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(f"{path}: give a name that ends in {', '.join(suffixes)}")
    if _is_folder(path):
        raise InputError(f"{path}: a folder; give the name of a file")
    if len(os.fsencode(path.name)) > LONGEST:
        raise InputError(f"{path}: a name of more than {LONGEST} bytes; give a shorter one")
    for each in inputs:
        if each is not None and same_file(path, Path(each)):
            raise InputError(f"{path}: is {each}, which would be lost; choose another --out")
    if _is_data(path):
        raise InputError(f"{path}: holds a spectrum, response or events; choose another --out")
    check_folder(path.parent)
    return path


def check_folder(path: Path) -> Path:
    """Create an output folder where there is none, and check that files can be written to it.

    Raises:
        InputError: it is no folder, or cannot be written to.
    """
    make_folder(path)
    try:
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written to ({error.strerror}); choose another --out"
        ) from error


def same_file(one: Path, other: Path) -> bool:
    """True if two paths lead to the same file, also through links."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long
        return False


def stem(path: Path) -> str:
    """File name without its suffix, nor `.gz` and the suffix before it."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def _is_data(path: Path) -> bool:
    """True for a FITS file with an OGIP table: spectrum, response or events."""
    if not (path.is_file() and path.name.lower().endswith((".fits", ".fit", ".fits.gz"))):
        return False
    from wolter.xray.ogip.tables import open_fits

    try:
        with open_fits(path) as hdus:
            return any(str(hdu.header.get("HDUCLAS1", "")).strip() in _OGIP for hdu in hdus[1:])
    except InputError:
        return False
