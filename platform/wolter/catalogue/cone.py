"""Cone search: sources within a radius of a position, or of each of many positions.

Cells of HEALPix around a position give candidates, which the exact separation then decides. The
cells are so large that a cone touches no others than that of its centre and its neighbours.

Shapes: N sources, P positions, K candidates, M matches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.catalogue.columns import Column
from wolter.catalogue.sphere import separations, unit_vectors
from wolter.catalogue.store import Found, Snapshot
from wolter.catalogue.tables import HEALPIX
from wolter.errors import InputError

DEPTH = 29  # order of the cells that are kept
REACH = 0.6
"""A cone of radius `REACH / 2**depth` rad or less touches only its centre's cell and neighbours;
0.69 would do from order 3 on, and more before."""
LEAST = 1e-8  # rad, 2 mas: no smaller cells are asked, should positions be rounded
SCAN = 0.3  # rad: a wider cone looks at all sources
MOST_OF_MANY = 17.0  # deg: widest cone of many at once, below SCAN
PIECE = 2_000_000  # candidates looked at together

SEPARATION = Column(
    "separation", "angular separation from the position", "double", "deg", "pos.angDistance"
)
POSITION_ID = Column(
    "position_id", "name of the position, as sent", "text", "", "meta.id", principal=True
)


@dataclass(frozen=True)
class Positions:
    """Positions of the sources of a release, in the order of its rows.

    Attributes:
        cell_N: nested HEALPix cells of order 29, ascending.
        xyz_N3: unit vectors.
    """

    cell_N: NDArray[np.int64]
    xyz_N3: NDArray[np.float64]

    @classmethod
    def read(cls, snapshot: Snapshot) -> "Positions":
        """Read the positions of a release."""
        rows = snapshot.sources
        cell_N = rows[HEALPIX].to_numpy()
        assert (np.diff(cell_N) >= 0).all(), "sources are not in the order of their cells"
        return cls(cell_N, unit_vectors(rows["ra"].to_numpy(), rows["dec"].to_numpy()))

    def within(
        self, ra: float, dec: float, radius: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Sources within a radius of a position.

        Args:
            ra: right ascension, deg.
            dec: declination, deg.
            radius: deg, 0 to 180; inclusive.

        Returns:
            Row numbers (M), ascending, and separations (M), deg.
        """
        if np.radians(radius) <= SCAN:
            _, rows_M, separation_M = self.match(np.array([ra]), np.array([dec]), radius)
            return rows_M, separation_M
        centre_3 = unit_vectors(np.array([ra]), np.array([dec]))[0]
        # A little wider than the cone: the separation decides.
        least = np.cos(min(np.radians(radius) + 1e-6, np.pi)) - 1e-15
        rows_K = np.flatnonzero(self.xyz_N3 @ centre_3 >= least)
        separation_K = separations(self.xyz_N3[rows_K], centre_3)
        inside_K = separation_K <= radius
        return rows_K[inside_K], separation_K[inside_K]

    def match(
        self,
        ra_P: NDArray[np.float64],
        dec_P: NDArray[np.float64],
        radius: float,
        most: float = np.inf,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Sources within a radius of each of many positions.

        Args:
            ra_P: right ascensions, deg.
            dec_P: declinations, deg.
            radius: deg, at most `MOST_OF_MANY`; inclusive.
            most: later positions are left out once there are more matches than these.

        Returns:
            Numbers of the positions (M), ascending, row numbers (M), ascending for each position,
            and separations (M), deg.
        """
        start_PC, stop_PC = self._candidates(ra_P, dec_P, np.radians(radius))
        xyz_P3 = unit_vectors(ra_P, dec_P)
        found = []
        total_P = np.cumsum((stop_PC - start_PC).sum(1))
        first = matches = 0
        while first < len(ra_P) and matches <= most:
            # As many positions as have few enough candidates.
            done = total_P[first - 1] if first else 0
            last = max(int(np.searchsorted(total_P, done + PIECE, "right")), first + 1)
            part = slice(first, last)
            position_K, row_K = _expand(start_PC[part], stop_PC[part])
            separation_K = separations(self.xyz_N3[row_K], xyz_P3[part][position_K])
            inside_K = separation_K <= radius
            found.append((position_K[inside_K] + first, row_K[inside_K], separation_K[inside_K]))
            matches += len(found[-1][0])
            first = last
        position_M, row_M, separation_M = (
            (np.concatenate(each) for each in zip(*found, strict=True)) if found else _NONE
        )
        return position_M, row_M, separation_M

    def _candidates(
        self, ra_P: NDArray[np.float64], dec_P: NDArray[np.float64], radius: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row, and the one after the last, of each cell (P, 9) that a cone may touch."""
        import cdshealpix.nested
        from astropy import units
        from astropy.coordinates import Latitude, Longitude

        assert radius <= SCAN, radius
        depth = int(np.log2(REACH / max(radius, LEAST)))
        place = Longitude(ra_P, units.deg), Latitude(dec_P, units.deg)
        centre_P = cdshealpix.nested.lonlat_to_healpix(*place, depth)
        cell_PC = np.sort(cdshealpix.nested.neighbours(centre_P, depth).astype(np.int64), axis=1)
        shift = 2 * (DEPTH - depth)
        start_PC = np.searchsorted(self.cell_N, cell_PC << shift)
        stop_PC = np.searchsorted(self.cell_N, (cell_PC + 1) << shift)
        stop_PC[cell_PC < 0] = start_PC[cell_PC < 0]  # some cells have seven neighbours
        return start_PC, stop_PC


_NONE = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def check_position(ra: float, dec: float) -> None:
    """Check that a position is on the sky.

    Raises:
        InputError: it is not.
    """
    if not 0 <= ra <= 360:
        raise InputError(f"ra: {ra:g}; give degrees from 0 to 360")
    if not -90 <= dec <= 90:
        raise InputError(f"dec: {dec:g}; give degrees from -90 to 90")


def check_cone(ra: float, dec: float, radius: float, most: float = 180.0) -> None:
    """Check that a position is on the sky, and a radius one around it.

    Raises:
        InputError: it is not.
    """
    check_position(ra, dec)
    if not 0 <= radius <= most:
        raise InputError(f"radius: {radius:g}; give degrees from 0 to {most:g}")


def cone(
    snapshot: Snapshot,
    ra: float,
    dec: float,
    radius: float,
    columns: Sequence[Column],
    limit: int,
) -> Found:
    """Sources within a radius of a position, the nearest first.

    Args:
        snapshot: that is asked.
        ra: right ascension, deg, 0 to 360.
        dec: declination, deg.
        radius: deg, 0 to 180; inclusive.
        columns: of the table of sources; `SEPARATION` follows them.
        limit: most rows.

    Raises:
        InputError: the position or radius is none.
    """
    check_cone(ra, dec, radius)
    row_M, separation_M = snapshot.positions.within(ra, dec, radius)
    truncated = len(row_M) > limit
    if truncated:  # all that are as near as the last one, so that the order of rows decides
        farthest = np.partition(separation_M, limit)[limit]
        near_M = separation_M <= farthest
        row_M, separation_M = row_M[near_M], separation_M[near_M]
    order_M = np.lexsort((row_M, separation_M))[:limit]
    rows = snapshot.rows(row_M[order_M], columns)
    rows = rows.append_column(SEPARATION.name, pa.array(separation_M[order_M]))
    return Found(rows, (*columns, SEPARATION), truncated, snapshot.about)


def cones(
    snapshot: Snapshot,
    names_P: Sequence[str],
    ra_P: NDArray[np.float64],
    dec_P: NDArray[np.float64],
    radius: float,
    columns: Sequence[Column],
    limit: int,
) -> Found:
    """Sources within a radius of each of many positions: in the positions' order, nearest first.

    Args:
        snapshot: that is asked.
        names_P: names of the positions, which come first in each row.
        ra_P: right ascensions, deg, 0 to 360.
        dec_P: declinations, deg.
        radius: deg, 0 to `MOST_OF_MANY`; inclusive.
        columns: of the table of sources; `SEPARATION` follows them.
        limit: most rows of all.

    Raises:
        InputError: a position or the radius is none.
    """
    for ra, dec in zip(ra_P, dec_P, strict=True):
        check_position(ra, dec)
    check_cone(0, 0, radius, MOST_OF_MANY)
    position_M, row_M, separation_M = snapshot.positions.match(ra_P, dec_P, radius, limit)
    truncated = len(row_M) > limit
    order_M = np.lexsort((row_M, separation_M, position_M))[:limit]
    rows = snapshot.rows(row_M[order_M], columns)
    names = pa.array(names_P, pa.string()).take(pa.array(position_M[order_M]))
    rows = rows.add_column(0, POSITION_ID.name, names)
    rows = rows.append_column(SEPARATION.name, pa.array(separation_M[order_M]))
    return Found(rows, (POSITION_ID, *columns, SEPARATION), truncated, snapshot.about)


def _expand(
    start_PC: NDArray[np.int64], stop_PC: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions (K) and rows (K) of ranges of rows (P, C), in their order."""
    n_R = (stop_PC - start_PC).ravel()
    position_K = np.repeat(np.arange(len(start_PC)).repeat(start_PC.shape[1]), n_R)
    before_R = np.cumsum(n_R) - n_R
    row_K = np.arange(n_R.sum()) + np.repeat(start_PC.ravel() - before_R, n_R)
    return position_K, row_K
