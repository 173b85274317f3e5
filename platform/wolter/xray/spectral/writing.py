"""Writing of spectra and responses as OGIP files that XSPEC and Sherpa read.

Shapes: E energies, C channels.
"""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.xray.ogip.pha import Role, Spectrum
from wolter.xray.spectral.grouping import turned
from wolter.xray.spectral.response import Response

# The largest count that a column of 32-bit whole numbers holds.
_LARGEST_WHOLE = 2**31 - 1


def write_spectrum(
    path: Path, spectrum: Spectrum, role: Role = "total", *, overwrite: bool = False
) -> None:
    """Write a spectrum as OGIP PHA type I (OGIP/92-007, version 1.2.1).

    Whole counts are written as integers, others as float64; numbers in the header keep 13 digits.
    The names of response and background are those of the spectrum (`dataclasses.replace` sets
    them), NONE where empty. Nothing is left at `path` when writing fails.

    Args:
        path: file to write; gzip where it ends in .gz.
        spectrum: counts with their scales and flags.
        role: what HDUCLAS2 says: TOTAL or BKG.
        overwrite: replace a file that is there.

    Raises:
        InputError: the file is there already, or the folder cannot be written.
    """
    from astropy.io import fits

    if spectrum.descending:
        spectrum = turned(spectrum)
    n, first = spectrum.n_channels, spectrum.first_channel
    counts_C = spectrum.counts_C.double().cpu().numpy()
    whole = bool((counts_C == np.round(counts_C)).all() and counts_C.max() <= _LARGEST_WHOLE)
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(first, first + n)),
        fits.Column("COUNTS", "J" if whole else "D", unit="count", array=counts_C),
    ]
    keywords: dict[str, Any] = {}
    for name, scale in (("BACKSCAL", spectrum.backscale), ("AREASCAL", spectrum.areascale)):
        if isinstance(scale, Tensor):
            columns.append(fits.Column(name, "D", array=scale.cpu().numpy()))
        else:
            keywords[name] = scale
    for name, flags_C in (("GROUPING", spectrum.grouping_C), ("QUALITY", spectrum.quality_C)):
        if flags_C is None:
            keywords[name] = 0
        else:
            columns.append(fits.Column(name, "I", array=flags_C.cpu().numpy()))
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header.update(
        {
            "TLMIN1": first,
            "TLMAX1": first + n - 1,
            **_origin(spectrum.telescope, spectrum.instrument, spectrum.filter),
            **({"DATE-OBS": spectrum.date} if spectrum.date else {}),
            "HDUCLASS": "OGIP",
            "HDUCLAS1": "SPECTRUM",
            "HDUVERS": "1.2.1",
            "HDUCLAS2": "BKG" if role == "background" else "TOTAL",
            "HDUCLAS3": "COUNT",
            "HDUCLAS4": "TYPE:I",
            "CHANTYPE": "PI",
            "DETCHANS": n,
            "EXPOSURE": spectrum.exposure_s,
            "POISSERR": True,
            "SYS_ERR": 0,
            "CORRFILE": "NONE",
            "CORRSCAL": 1.0,
            "RESPFILE": spectrum.respfile or "NONE",
            "ANCRFILE": spectrum.ancrfile or "NONE",
            "BACKFILE": spectrum.backfile or "NONE",
            **keywords,
        }
    )
    _write(Path(path), [table], overwrite)


def write_response(path: Path, response: Response, *, overwrite: bool = False) -> None:
    """Write a response as one OGIP file (RSP): the matrix holds the area, so it needs no ARF.

    This lets other programs fit spectra made with an embedded or grouped response.

    Raises:
        InputError: the file is there already, or the folder cannot be written.
    """
    from astropy.io import fits

    low_C, high_C = (edges.cpu().numpy() for edges in _bounds(response.channel_edges_C1))
    low_E, high_E = (edges.cpu().numpy() for edges in _bounds(response.energy_edges_E1))
    matrix_EC = response.matrix_EC.cpu().numpy()
    if response.descending:
        low_C, high_C, matrix_EC = low_C[::-1], high_C[::-1], matrix_EC[:, ::-1]
    n, first = response.n_channels, response.first_channel
    # One group a row, from its first to its last channel that is not zero.
    filled_EC = matrix_EC != 0
    start_E = filled_EC.argmax(axis=1)
    stop_E = np.where(filled_EC.any(axis=1), n - filled_EC[:, ::-1].argmax(axis=1), start_E)
    values = np.empty(len(matrix_EC), dtype=object)
    values[:] = [
        row[start:stop].astype(np.float32)
        for row, start, stop in zip(matrix_EC, start_E, stop_E, strict=True)
    ]
    matrix = fits.BinTableHDU.from_columns(
        [
            fits.Column("ENERG_LO", "D", unit="keV", array=low_E),
            fits.Column("ENERG_HI", "D", unit="keV", array=high_E),
            fits.Column("N_GRP", "I", array=(stop_E > start_E).astype(np.int16)),
            fits.Column("F_CHAN", "J", array=start_E + first),
            fits.Column("N_CHAN", "J", array=stop_E - start_E),
            fits.Column("MATRIX", "PE()", unit="cm**2", array=values),
        ],
        name="SPECRESP MATRIX",
    )
    bounds = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "J", array=np.arange(first, first + n)),
            fits.Column("E_MIN", "D", unit="keV", array=low_C),
            fits.Column("E_MAX", "D", unit="keV", array=high_C),
        ],
        name="EBOUNDS",
    )
    common = {
        **_origin(response.telescope, response.instrument, response.filter),
        "CHANTYPE": "PI",
        "DETCHANS": n,
        "HDUCLASS": "OGIP",
        "HDUCLAS1": "RESPONSE",
        "HDUVERS": "1.3.0",
    }
    matrix.header.update({**common, "HDUCLAS2": "RSP_MATRIX", "HDUCLAS3": "FULL", "LO_THRES": 0.0})
    matrix.header.update({"TLMIN4": first, "TLMAX4": first + n - 1})
    bounds.header.update({**common, "HDUCLAS2": "EBOUNDS"})
    bounds.header.update({"TLMIN1": first, "TLMAX1": first + n - 1})
    _write(Path(path), [matrix, bounds], overwrite)


def _bounds(edges: Tensor) -> tuple[Tensor, Tensor]:
    return edges[:-1], edges[1:]


def _origin(telescope: str, instrument: str, filter_: str) -> dict[str, str]:
    return {
        "TELESCOP": telescope or "UNKNOWN",
        "INSTRUME": instrument or "UNKNOWN",
        "FILTER": filter_ or "NONE",
    }


def _write(path: Path, tables: list[Any], overwrite: bool) -> None:
    from astropy.io import fits

    if path.exists() and not overwrite:
        raise InputError(f"{path}: is there already; pass overwrite=True or another name")
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(stream, checksum=True)
    data = stream.getvalue()
    write_atomically(path, gzip.compress(data) if path.suffix == ".gz" else data)
