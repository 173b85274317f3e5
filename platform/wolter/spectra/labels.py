"""Approximate labels of observed spectra, from a table of fits or predictions.

Shapes: A band of the effective area, B batch, P parameter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.integrity import sha256_of
from wolter.data.shards import (
    Manifest,
    ShardDataset,
    tensor_column,
    write_manifest,
    write_shard,
)
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.spectra.schema import Parameter

# What a telescope tells. A simulated data set that plays an observed one holds the truth as well.
OBSERVED = ("counts", "background", "background_scale", "exposure", "area")
_KEPT = ("source_id", "split_key", "file", *OBSERVED)
_FAILED = {"no_counts", "few_counts", "not_converged", "not_explained"}
_AT_EDGE = {"at_bound", "at_prior_edge"}
Labels = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Labelled:
    """A labelled data set, and how many of its spectra have any label."""

    dataset: ShardDataset
    rows: int


def labels_of(table: pa.Table, parameters: Sequence[Parameter]) -> Labels:
    """Labels (P) by file name from a table, NaN where an estimate is uninformative.

    Nothing is said by a fit that failed, of a parameter at its bound, and where the error exceeds
    the standard deviation of the parameter's prior.

    Args:
        table: columns `file`, each parameter, and where there are any `<parameter>_err`, `flag`:
            as `wolter fit` and `wolter predict` write them.
        parameters: what to label, in their order.

    Raises:
        InputError: a column is missing, or a name comes twice.
    """
    missing = {"file", *(p.name for p in parameters)} - set(table.column_names)
    if missing:
        raise InputError(f"no column {', '.join(sorted(missing))}; give a table of `wolter fit`")
    values_BP = np.stack([table[p.name].to_numpy() for p in parameters], 1).astype(np.float32)
    for i, p in enumerate(parameters):
        if f"{p.name}_err" in table.column_names:
            error_B = table[f"{p.name}_err"].to_numpy()
            values_BP[error_B > p.deviation, i] = np.nan
    if "flag" in table.column_names:
        names = [p.name for p in parameters]
        for row, text in enumerate(table["flag"].to_pylist()):
            for flag in text.split(";"):
                kind, _, name = flag.partition(":")
                if kind in _FAILED:
                    values_BP[row] = np.nan
                elif kind in _AT_EDGE and name in names:
                    values_BP[row, names.index(name)] = np.nan
    files = table["file"].to_pylist()
    labels = dict(zip(files, values_BP, strict=True))
    if len(labels) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise InputError(f"{twice} comes twice; give one row for each spectrum")
    return labels


def label_dataset(
    dataset: ShardDataset,
    fits: Path,
    out: Path,
    parameters: Sequence[Parameter],
    area_A: Tensor | None = None,
) -> Labelled:
    """Write the observed spectra of a dataset with labels from a table, shard by shard.

    A spectrum is found in the table by its file, or by its source where the data set was simulated
    to play an observed one: of that, neither labels nor noise-free counts are kept.

    Args:
        dataset: observed spectra.
        fits: parquet file; see `labels_of`.
        out: folder of the new data set.
        parameters: that the spectra are labelled with.
        area_A: effective area to assume in place of the records' own.

    Raises:
        InputError: the table is not one of this data set, or the folder is not writable.
    """
    if out.absolute() == dataset.path.absolute():
        raise InputError(f"{out}: holds the spectra to label; choose another --out")
    try:
        labels = labels_of(pq.read_table(fits), parameters)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{fits}: not a readable parquet file; write fits as .parquet") from error
    except InputError as error:
        raise InputError(f"{fits}: {error}") from error
    by_file = {str(Path(name).absolute()): label for name, label in labels.items()}
    unknown_P = np.full(len(parameters), np.nan, np.float32)
    make_folder(out)
    shards, rows, found = [], 0, 0
    for index in range(len(dataset.files)):
        table = dataset.read(index, _KEPT)
        present = table.column_names
        from_files = "file" in present
        keys = table["file" if from_files else "source_id"].to_pylist()
        known = [(by_file if from_files else labels).get(key) for key in keys]
        found += sum(label is not None for label in known)
        label_BP = np.stack([unknown_P if label is None else label for label in known])
        rows += int(np.isfinite(label_BP).any(1).sum())
        if area_A is not None:
            column = tensor_column(np.tile(area_A.float().numpy(), (len(keys), 1)))
            table = table.drop_columns(["area"] if "area" in present else [])
            table = table.append_column("area", column)
        table = table.append_column("parameters", tensor_column(label_BP))
        shards.append(write_shard(out, index, table))
    if not found:
        raise InputError(f"{fits}: holds none of the spectra of {dataset.path}; fit those")
    spec = replace(dataset.spec, parameters=tuple(parameters), components=(), model="", fixed={})
    manifest = Manifest(
        kind=dataset.manifest.kind,
        spec=spec,
        config={"dataset_sha256": dataset.sha256(), "fits_sha256": sha256_of(fits)},
        seed=0,
        response_sha256="",
        shards=tuple(shards),
        labels=fits.name,
    )
    return Labelled(write_manifest(out, manifest), rows)
