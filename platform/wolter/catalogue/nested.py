"""Quick looks as a nested column of sources: lists of bins, as LSDB and nested-pandas read them.

Shapes: M sources, N looks, X bins of all looks.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter.catalogue.quick_looks import LISTS, MODEL_LISTS

COLUMN = "quick_look"
NUMBERS = ("bin_low", "bin_high", *LISTS[1:])
NESTED = pa.struct(
    [
        ("detection_id", pa.list_(pa.int64())),
        ("exposure_s", pa.list_(pa.float32())),
        *((name, pa.list_(pa.float32())) for name in NUMBERS),
    ]
)
"""One row a bin: its detection, its edges, and what is in it; NaN where no usable model is."""


def nested_looks(path: Path, detections: pa.Table, source_id_M: NDArray[np.int64]) -> pa.Array:
    """Quick looks of all detections of each source, of the type `NESTED`; null where it has none.

    Args:
        path: of the file of quick looks.
        detections: columns detection_id and source_id.
        source_id_M: identifiers of the sources, each once.
    """
    looks = pq.read_table(path)
    of_N = _source_of(looks["detection_id"].to_numpy(), detections)
    by_id = np.argsort(source_id_M)
    row_N = by_id[np.searchsorted(source_id_M[by_id], of_N)]
    order_N = np.argsort(row_N, kind="stable")
    looks, row_N = looks.take(pa.array(order_N)), row_N[order_N]
    size_N = pc.list_value_length(looks["counts"]).to_numpy().astype(np.int64)
    edge_E = pc.list_flatten(looks["edges"]).to_numpy()
    last_N = np.cumsum(size_N + 1) - 1
    flat: dict[str, NDArray[np.float32]] = {
        "exposure_s": np.repeat(looks["exposure_s"].to_numpy(), size_N),
        "bin_low": np.delete(edge_E, last_N),
        "bin_high": np.delete(edge_E, last_N - size_N),
    }
    unusable_N = pc.not_equal(looks["reason"].cast(pa.string()), "").to_numpy()
    for name in LISTS[1:]:
        known_N = looks[name].is_valid().to_numpy()
        values_X = np.full(size_N.sum(), np.nan, np.float32)
        values_X[np.repeat(known_N, size_N)] = pc.list_flatten(looks[name]).to_numpy()
        if name in MODEL_LISTS:
            values_X[np.repeat(unusable_N, size_N)] = np.nan
        flat[name] = values_X
    bins_M = np.bincount(row_N, size_N, len(source_id_M)).astype(np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(bins_M)]).astype(np.int32))
    detection_X = np.repeat(looks["detection_id"].to_numpy(), size_N)
    columns = {"detection_id": detection_X, **flat}
    lists = [pa.ListArray.from_arrays(offsets, pa.array(columns[f.name])) for f in NESTED]
    missing = pa.array(bins_M == 0)
    return pa.StructArray.from_arrays(lists, fields=list(NESTED), mask=missing)


def _source_of(detection_N: NDArray[np.int64], detections: pa.Table) -> NDArray[np.int64]:
    """Identifier of the source of each detection."""
    id_D, source_D = (detections[name].to_numpy() for name in ("detection_id", "source_id"))
    by_id = np.argsort(id_D)
    found: NDArray[np.int64] = source_D[by_id][np.searchsorted(id_D[by_id], detection_N)]
    return found
