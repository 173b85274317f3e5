"""Ranges of HEALPix cells that cover a cone or a polygon, by which a sorted table is searched."""

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from wolter.catalogue.adql.shapes import Polygon

ORDER = 29
_CELL_DEG = 58.6  # about the side of a cell of order 0


def cone(lon: float, lat: float, radius: float) -> NDArray[np.int64]:
    """Inclusive ranges (R, 2) of cells of order 29 that cover a cone, degrees."""
    from astropy.coordinates import Latitude, Longitude
    from astropy.units import deg
    from cdshealpix import nested

    if radius >= 90:
        return _ranges(np.arange(12, dtype=np.uint64), np.zeros(12, np.uint8))
    # Cells a few times smaller than the cone: few ranges, little beyond it.
    depth = _depth(radius)
    cells, depths, _ = nested.cone_search(
        Longitude(lon % 360 * deg),
        Latitude(lat * deg),
        max(radius, 1e-7) * deg,
        depth,
        depth_delta=2,
    )
    return _ranges(cells, depths)


def polygon(shape: Polygon) -> NDArray[np.int64]:
    """Inclusive ranges (R, 2) of cells of order 29 that cover a polygon.

    A cone about it does: it may have any form.
    """
    middle = shape.middle_3
    widest = float(np.degrees(np.arccos(np.clip((shape.vectors_K3 @ middle).min(), -1, 1))))
    lon = float(np.degrees(np.arctan2(middle[1], middle[0])) % 360)
    lat = float(np.degrees(np.arcsin(np.clip(middle[2], -1, 1))))
    return cone(lon, lat, widest + 1e-6)


def within(column: exp.Expr, ranges_R2: NDArray[np.int64]) -> exp.Expr:
    """Whether a column is in one of these ranges."""
    parts = [
        exp.Between(
            this=column.copy(),
            low=exp.Literal.number(str(int(low))),
            high=exp.Literal.number(str(int(high))),
        )
        for low, high in ranges_R2
    ]
    return exp.Paren(this=exp.or_(*parts))


def _depth(radius: float) -> int:
    return int(np.clip(np.floor(np.log2(_CELL_DEG / max(radius, 1e-5))) + 1, 2, 18))


def _ranges(cells: NDArray[np.uint64], depths: NDArray[np.uint8]) -> NDArray[np.int64]:
    shift = 2 * (ORDER - depths.astype(np.int64))
    low = cells.astype(np.int64) << shift
    high = ((cells.astype(np.int64) + 1) << shift) - 1
    order = np.argsort(low)
    low, high = low[order], high[order]
    starts = np.flatnonzero(np.r_[True, low[1:] > high[:-1] + 1])
    ends = np.r_[starts[1:] - 1, len(low) - 1]
    return np.stack([low[starts], high[ends]], -1)
