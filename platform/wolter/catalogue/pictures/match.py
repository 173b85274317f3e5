"""Which sources lie on which records of the sky, and which of them show each source best.

Shapes: M sources, N records, K pairs of a source and a record.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.catalogue.sphere import unit_vectors
from wolter.xray.imaging.tangent_plane import NUMBERS, pixels_of

ARCMIN_DECIMALS = 6  # within which distances are told apart

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Matched:
    """Sources on records, one record of each observation, in the order of the records.

    Attributes:
        source_K: row of the source.
        record_K: row of the record.
        row_K, column_K: where it lies there, of a layer of scale 1; the middle of the first is 0.
        offset_K: distance from the middle of the record, arcmin.
    """

    source_K: Ints
    record_K: Ints
    row_K: Floats
    column_K: Floats
    offset_K: Floats


def match(places: pa.Table, ra_M: Floats, dec_M: Floats) -> Matched:
    """Find the record of each observation that shows a source best.

    Of the records of an observation and instrument on which a source lies, those of the longest
    exposure come first, of these the one in whose middle the source lies most nearly, and of
    several as near the first record.

    Args:
        places: where records of one model lie, all of them known; see
            `wolter.answering.sky_picture.PLACES`.
        ra_M: deg.
        dec_M: deg.
    """
    from scipy.spatial import cKDTree

    numbers_N8 = np.stack([places[name].to_numpy() for name in NUMBERS], 1).astype(np.float64)
    shape_N2 = np.stack([places[name].to_numpy() for name in ("rows", "columns")], 1)
    tree = cKDTree(unit_vectors(ra_M, dec_M))
    chord_N = 2 * np.sin(np.arctan(_reach(numbers_N8, shape_N2)) / 2)
    middle_N3 = unit_vectors(numbers_N8[:, 0], numbers_N8[:, 1])
    near_N = tree.query_ball_point(middle_N3, chord_N, return_sorted=True)
    record_K = np.repeat(np.arange(len(near_N)), [len(each) for each in near_N])
    source_K = np.concatenate([np.asarray(each, np.int64) for each in (*near_N, [])])
    row_K, column_K = pixels_of(numbers_N8[record_K], ra_M[source_K], dec_M[source_K])
    at_K2, size_K2 = np.stack([row_K, column_K], 1), shape_N2[record_K]
    inside_K = ((at_K2 >= -0.5) & (at_K2 < size_K2 - 0.5)).all(1)
    source_K, record_K, at_K2 = source_K[inside_K], record_K[inside_K], at_K2[inside_K]
    away_K = np.hypot(*(at_K2 - (shape_N2[record_K] - 1) / 2).T)
    offset_K = away_K * _pixel_arcmin(numbers_N8)[record_K]
    best = _best(places, source_K, record_K, offset_K)
    best = best[np.argsort(record_K[best], kind="stable")]
    return Matched(source_K[best], record_K[best], at_K2[best, 0], at_K2[best, 1], offset_K[best])


def _reach(numbers_N8: Floats, shape_N2: NDArray[np.int32]) -> Floats:
    """Distance (N) of the farthest corner from where a record's plane touches, of its radius."""
    crpix_N2, cd_N22 = numbers_N8[:, 2:4], numbers_N8[:, 4:].reshape(-1, 2, 2)
    corners = [(0.5 + x * shape_N2[:, 1], 0.5 + y * shape_N2[:, 0]) for x in (0, 1) for y in (0, 1)]
    steps = [np.stack(corner, 1) - crpix_N2 for corner in corners]
    away = [np.linalg.norm(np.einsum("nij,nj->ni", cd_N22, step), axis=1) for step in steps]
    reach_N: Floats = np.radians(np.max(away, axis=0)) * (1 + 1e-9)
    return reach_N


def _pixel_arcmin(numbers_N8: Floats) -> Floats:
    a, b, c, d = numbers_N8[:, 4:].T
    sides_N: Floats = 60 * np.sqrt(np.abs(a * d - b * c))
    return sides_N


def _best(places: pa.Table, source_K: Ints, record_K: Ints, offset_K: Floats) -> Ints:
    """Pairs to keep: of each source, one of each observation and instrument."""
    words = zip(places["observation_id"].to_pylist(), places["instrument"].to_pylist(), strict=True)
    number: dict[tuple[str, str], int] = {}
    of_N = np.array([number.setdefault(pair, len(number)) for pair in words], np.int64)
    exposure_N = np.nan_to_num(places["exposure_s"].to_numpy().astype(np.float64))
    # As far is as far, to what rounding leaves: else another processor takes another tile.
    order = np.lexsort((record_K, offset_K.round(ARCMIN_DECIMALS), -exposure_N[record_K]))
    keys = np.stack([source_K, of_N[record_K]], 1)[order]
    _, first = np.unique(keys, axis=0, return_index=True)
    best: Ints = order[first]
    return best
