"""Coverage of a catalogue: a MOC (multi-order coverage map) of the cells that hold sources.

IVOA MOC 2.0. Cells of order 8 are 14 arcmin wide, about half the field of an X-ray telescope.
"""

import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

ORDER = 8


def coverage(cells_N: NDArray[np.int64], form: str, order: int = 29) -> bytes:
    """MOC of the cells of order `ORDER` that hold sources.

    Args:
        cells_N: nested HEALPix cells of the sources.
        form: "fits", "json" or "ascii".
        order: order of the cells.
    """
    moc = _moc(cells_N, order)
    if form == "fits":
        stream = io.BytesIO()
        moc.serialize("fits").writeto(stream)
        return stream.getvalue()
    if form == "json":
        return json.dumps(moc.serialize("json")).encode()
    return " ".join(moc.to_string("ascii").split()).encode()


def _moc(cells_N: NDArray[np.int64], order: int) -> Any:
    from mocpy import MOC

    cells = np.unique(cells_N >> 2 * (order - ORDER)).astype(np.uint64)
    return MOC.from_healpix_cells(cells, np.full(len(cells), ORDER, np.uint8), max_depth=ORDER)
