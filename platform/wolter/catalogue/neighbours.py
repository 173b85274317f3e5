"""Similar sources: exact nearest neighbours of latents.

Shapes: N sources, V sources that have latents, L latents, K neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.catalogue import release as releases
from wolter.catalogue.columns import Column
from wolter.catalogue.store import Found, Snapshot
from wolter.errors import ConflictError, InputError, MissingError

DISTANCE = Column("distance", "Euclidean distance of the latents", "float", "", "stat.value")


@dataclass(frozen=True)
class Neighbours:
    """Latents of the sources of a release that have some.

    Attributes:
        row_V: row numbers of the sources, ascending.
        latents_VL: latents.
        tree: of them. A few numbers a source find their nearest in a k-d tree within a millisecond,
            where reading all takes twenty; its answer is exact.
    """

    row_V: NDArray[np.int64]
    latents_VL: NDArray[np.float32]
    tree: Any

    @classmethod
    def read(cls, snapshot: Snapshot) -> "Neighbours":
        """Read the latents of a release.

        Raises:
            InputError: it has none.
        """
        from scipy.spatial import cKDTree

        file = snapshot.path / releases.LATENTS
        if not snapshot.about.latents or not file.is_file():
            raise MissingError(f"release {snapshot.about.name}: no latents, so no similar sources")
        latents_NL = np.load(file, allow_pickle=False)
        row_V = np.flatnonzero(np.isfinite(latents_NL).all(1))
        latents_VL = np.ascontiguousarray(latents_NL[row_V], np.float32)
        return cls(row_V, latents_VL, cKDTree(latents_VL))

    def nearest(
        self, latent_L: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row numbers (K) and distances (K) of the nearest sources, the nearest first."""
        k = min(k, len(self.row_V))
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        distance_K, at_K = self.tree.query(latent_L.astype(np.float64), np.arange(1, k + 1))
        distance_K = distance_K.astype(np.float32)
        order_K = np.lexsort((at_K, distance_K))
        return self.row_V[at_K[order_K]], distance_K[order_K]


def similar_to_latent(
    snapshot: Snapshot, latent: Sequence[float], columns: Sequence[Column], limit: int
) -> Found:
    """Sources with latents nearest to a vector, the nearest first.

    Args:
        snapshot: that is asked.
        latent: numbers of the release's model of latents.
        columns: of the table of sources; `DISTANCE` follows them.
        limit: most rows.

    Raises:
        InputError: the vector has another length or no finite numbers, or the release no latents.
    """
    neighbours = snapshot.neighbours
    size = neighbours.latents_VL.shape[1]
    if len(latent) != size:
        raise ConflictError(
            f"latent: {len(latent)} numbers; give the {size} of {snapshot.about.latents}"
        )
    latent_L = np.asarray(latent, np.float64)
    if not (np.abs(latent_L) < 1e15).all():
        raise InputError("latent: a number that is not finite; give finite numbers")
    row_K, distance_K = neighbours.nearest(latent_L.astype(np.float32), limit)
    return _found(snapshot, row_K, distance_K, columns, limit)


def similar_to_source(
    snapshot: Snapshot, source_id: int, columns: Sequence[Column], limit: int
) -> Found:
    """Sources with latents nearest to those of a source, which is not among them.

    Raises:
        InputError: there is no such source, or it has no latents.
    """
    neighbours = snapshot.neighbours
    found = snapshot.query("SELECT rowid FROM source WHERE source_id = ?", [source_id])
    if not len(found):
        raise MissingError(f"source_id: no source {source_id} in release {snapshot.about.name}")
    row = found["rowid"][0].as_py()
    at = int(np.searchsorted(neighbours.row_V, row))
    if at == len(neighbours.row_V) or neighbours.row_V[at] != row:
        raise MissingError(f"source_id: source {source_id} has no latents; ask for another")
    row_K, distance_K = neighbours.nearest(neighbours.latents_VL[at], limit + 1)
    other_K = row_K != row
    return _found(snapshot, row_K[other_K], distance_K[other_K], columns, limit)


def _found(
    snapshot: Snapshot,
    row_K: NDArray[np.int64],
    distance_K: NDArray[np.float32],
    columns: Sequence[Column],
    limit: int,
) -> Found:
    rows = snapshot.rows(row_K[:limit], columns)
    rows = rows.append_column(DISTANCE.name, pa.array(distance_K[:limit]))
    return Found(rows, (*columns, DISTANCE), False, snapshot.about)
