"""Store of scored records: what each version of a model said of each record, kept between builds.

`$WOLTER_HOME/catalogue/scored/CODE/facts/SHA256.parquet` holds the facts of a shard, and
`.../scored/CODE/MODEL/VERSION/part-*.parquet` the estimates of records, by the hash of the record.
CODE is the version of wolter, since another one may flag otherwise, with the layout of the files.
Files are written whole or not at all, and never changed.

Shapes: B records, N records of a store, P parameter, S sample.
"""

import hashlib
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from wolter import __version__
from wolter.answering.scoring import FACTS, SampleAxis, Scores
from wolter.catalogue import quick_looks, samples
from wolter.data.integrity import encode
from wolter.files import make_folder, write_atomically
from wolter.home import home

HASH = "record_hash"
SAMPLES = "samples"
LOOK = "look"
LAYOUT = 2  # of the files


def folder(root: Path | None = None) -> Path:
    """Folder of this version's store: below `root`, or `$WOLTER_HOME/catalogue/scored`."""
    return (root or home() / "catalogue" / "scored") / f"{__version__}-{LAYOUT}"


def of_model(store: Path, model: str, version: str, checked: bool) -> Path:
    """Folder of a model's estimates.

    Args:
        store: see `folder`.
        model: name of the model.
        version: version of the model.
        checked: goodness of fit was checked.
    """
    words = (urllib.parse.quote(word, safe="") for word in (model, version))
    return store.joinpath(*words, "checked" if checked else "unchecked")


def hashes(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Hashes (B) of records: of all numbers that a model may read of them."""
    rows = [
        np.ascontiguousarray(columns[name]).reshape(len(columns[name]), -1).view(np.uint8)
        for name in sorted(columns)
    ]
    names = "\n".join(sorted(columns)).encode()
    joined = np.concatenate(rows, 1)
    digests = (hashlib.blake2b(names + row.tobytes(), digest_size=8).digest() for row in joined)
    return np.array([int.from_bytes(each, "big", signed=True) for each in digests], np.int64)


def read_facts(store: Path, sha256: str) -> pa.Table | None:
    """Facts of the shard with a SHA-256; None where they are not kept."""
    file = store / "facts" / f"{sha256}.parquet"
    return pq.read_table(file) if file.is_file() else None


def write_facts(store: Path, sha256: str, facts: pa.Table, hash_B: NDArray[np.int64]) -> pa.Table:
    """Keep the facts of a shard; return them with the hashes of its records."""
    assert facts.schema.equals(FACTS), facts.schema
    whole = facts.append_column(HASH, pa.array(hash_B))
    write_atomically(make_folder(store / "facts") / f"{sha256}.parquet", encode(whole))
    return whole


def write_scores(
    place: Path, hash_B: NDArray[np.int64], scores: Scores, axes: Sequence[SampleAxis]
) -> None:
    """Keep the estimates of some records."""
    whole = table(scores, axes).append_column(HASH, pa.array(hash_B))
    name = hashlib.blake2b(hash_B.tobytes(), digest_size=16).hexdigest()
    write_atomically(make_folder(place) / f"part-{name}.parquet", encode(whole))


def table(scores: Scores, axes: Sequence[SampleAxis]) -> pa.Table:
    """Estimates as a table: usable, reason, flags, the numbers, and samples and looks if any."""
    columns: dict[str, Any] = {
        "usable": np.array([not reason for reason in scores.reasons]),
        "reason": list(scores.reasons),
        "flags": [" ".join(flags) for flags in scores.flags],
    }
    columns |= {name: np.asarray(value, np.float32) for name, value in scores.columns.items()}
    if scores.samples_BSP is not None:
        coded_BX = samples.encode(scores.samples_BSP, axes)
        data = pa.array(coded_BX.ravel())
        columns[SAMPLES] = pa.FixedSizeListArray.from_arrays(data, coded_BX.shape[1])
    if scores.looks:
        columns[LOOK] = quick_looks.encode(scores.looks)
    return pa.table(columns)


def known(place: Path) -> NDArray[np.int64]:
    """Hashes (N) of the records that a folder holds estimates of, sorted."""
    parts = [pq.read_table(file, columns=[HASH])[HASH].to_numpy() for file in _files(place)]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def read_scores(place: Path, hash_N: NDArray[np.int64]) -> pa.Table:
    """Estimates of the records with some hashes, a row each in their order.

    Args:
        place: see `of_model`.
        hash_N: all of them are known.
    """
    wanted = np.unique(hash_N)
    parts = []
    for file in _files(place):
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                part = parquet.read_row_group(group)
                parts.append(part.filter(pa.array(np.isin(part[HASH].to_numpy(), wanted))))
    assert parts, f"no estimates in {place}"
    table = pa.concat_tables(parts)
    found_M, first_M = np.unique(table[HASH].to_numpy(), return_index=True)
    at_N = np.searchsorted(found_M, hash_N)
    assert (found_M[np.minimum(at_N, len(found_M) - 1)] == hash_N).all(), f"not all in {place}"
    return table.take(pa.array(first_M[at_N]))


def _files(place: Path) -> list[Path]:
    return sorted(place.glob("part-*.parquet"))
