"""Quick looks as a nested column of sources: lists of bins, as LSDB and nested-pandas read them.

Shapes: M sources, N looks, X bins of all looks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wolter.answering.quick_look import QuickLook

MODEL_LISTS = ("model", "model_low", "model_high")
LISTS = ("edges", "counts", "background", *MODEL_LISTS)
"""Lists of numbers of a look; those of the model are null where the look lacks them."""

COLUMN = "quick_look"
FLAGGED = "flagged_"
NUMBERS = ("bin_low", "bin_high", *LISTS[1:], *(FLAGGED + name for name in MODEL_LISTS))
NESTED = pa.struct(
    [
        ("detection_id", pa.list_(pa.int64())),
        ("exposure_s", pa.list_(pa.float32())),
        *((name, pa.list_(pa.float32())) for name in NUMBERS),
    ]
)
"""One row a bin: its detection, its edges, and what is in it.

`model` is that of an estimate that may be used as it stands, `flagged_model` of one that may not;
NaN where there is none.
"""


def nested_looks(looks: pa.Table, detections: pa.Table, source_id_M: NDArray[np.int64]) -> pa.Array:
    """Quick looks of all detections of each source, of the type `NESTED`; null where it has none.

    Args:
        looks: see `wolter.catalogue.quick_looks.SCHEMA`.
        detections: columns detection_id and source_id.
        source_id_M: identifiers of the sources, each once.
    """
    row_N = rows_of(looks["detection_id"].to_numpy(), detections, source_id_M)
    order_N = np.argsort(row_N, kind="stable")
    looks, row_N = looks.take(pa.array(order_N)), row_N[order_N]
    size_N = pc.list_value_length(looks["counts"]).to_numpy().astype(np.int64)
    edge_E = pc.list_flatten(looks["edges"]).to_numpy()
    last_N = np.cumsum(size_N + 1) - 1
    flat: dict[str, NDArray[Any]] = {
        "detection_id": np.repeat(looks["detection_id"].to_numpy(), size_N),
        "exposure_s": np.repeat(looks["exposure_s"].to_numpy(), size_N),
        "bin_low": np.delete(edge_E, last_N),
        "bin_high": np.delete(edge_E, last_N - size_N),
    }
    unusable_N = pc.not_equal(looks["reason"].cast(pa.string()), "").to_numpy()
    unusable_X = np.repeat(unusable_N, size_N)
    for name in LISTS[1:]:
        known_N = looks[name].is_valid().to_numpy()
        values_X = np.full(size_N.sum(), np.nan, np.float32)
        values_X[np.repeat(known_N, size_N)] = pc.list_flatten(looks[name]).to_numpy()
        flat[name] = values_X
        if name in MODEL_LISTS:
            flat[name] = np.where(unusable_X, np.float32("nan"), values_X)
            flat[FLAGGED + name] = np.where(unusable_X, values_X, np.float32("nan"))
    bins_M = np.bincount(row_N, size_N, len(source_id_M)).astype(np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(bins_M)]).astype(np.int32))
    lists = [pa.ListArray.from_arrays(offsets, pa.array(flat[f.name])) for f in NESTED]
    return pa.StructArray.from_arrays(lists, fields=list(NESTED), mask=pa.array(bins_M == 0))


def rows_of(
    detection_N: NDArray[np.int64], detections: pa.Table, source_id_M: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Row (N) of the source of each detection; see `nested_looks`."""
    id_D, source_D = (detections[name].to_numpy() for name in ("detection_id", "source_id"))
    by_id = np.argsort(id_D)
    of_N = source_D[by_id][np.searchsorted(id_D[by_id], detection_N)]
    by_id = np.argsort(source_id_M)
    found: NDArray[np.int64] = by_id[np.searchsorted(source_id_M[by_id], of_N)]
    return found


def look_of(nest: Mapping[str, Sequence[Any]], detection_id: int) -> QuickLook:
    """Quick look at a detection among the bins of its source."""
    at = np.flatnonzero(np.array(nest["detection_id"], np.int64) == detection_id)

    def of(name: str) -> NDArray[np.float64]:
        return np.array(nest[name], float)[at]

    expected = [np.fmax(of(name), of(FLAGGED + name)) for name in MODEL_LISTS]  # one is NaN
    return QuickLook(
        np.append(of("bin_low"), of("bin_high")[-1]),
        of("counts"),
        of("background"),
        float(of("exposure_s")[0]),
        *(None if np.isnan(values).all() else values for values in expected),
    )
