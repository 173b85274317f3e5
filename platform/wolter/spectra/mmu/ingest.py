"""Ingest of the MultimodalUniverse's Chandra spectra into a shard dataset, with Ray Data."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wolter import config as configs
from wolter.cluster import connected
from wolter.data.row_writer import RowWriter, list_files
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.files import make_folder
from wolter.spectra.mmu.records import LOST, records_of, spec
from wolter.spectra.mmu.tables import SPECTRUM, check_reader, find_tables, read_pieces

FILES_PER_TASK = 8
WANTED = "parquet files (HATS) or HDF5 files of the MultimodalUniverse's `chandra`"


@dataclass(frozen=True)
class MmuConfig:
    """Configuration of the ingest.

    Attributes:
        significance: least flux_significance_b of a row; 0 for all rows.
    """

    significance: float = 0.0


@dataclass(frozen=True)
class MmuIngested:
    """Summary of an ingest.

    Attributes:
        dataset: dataset of the rows that were read.
        read: rows.
        insignificant: rows that were left out for their significance.
        other_files: files that hold no rows.
        errors: number of rows by the formula that their errors follow.
        rejects: row and reason, of each that should have been a record.
    """

    dataset: ShardDataset
    read: int
    insignificant: int
    other_files: int
    errors: dict[str, int]
    rejects: tuple[tuple[str, str], ...]


def _read_block(block: dict[str, Any]) -> Iterator[pa.Table]:
    """Ray Data task: records of a block of files, piece by piece."""
    for file in block["item"]:
        try:
            for piece in read_pieces(Path(file)):
                yield records_of(piece)
        except InputError as error:
            yield _bad_file(str(file), str(error))


def _bad_file(file: str, reason: str) -> pa.Table:
    """A rejected row that stands for a file that cannot be read; no selection leaves it out."""
    lists = {name: pa.nulls(1, pa.list_(pa.float64())) for name in SPECTRUM}
    table = records_of(pa.table({**lists, "name": pa.nulls(1, pa.string()), "file": [file]}))
    for name, value in (("reason", reason), ("significance", math.inf)):
        table = table.set_column(table.column_names.index(name), name, pa.array([value]))
    return table


def ingest_mmu(
    sources: Sequence[Path],
    out: Path,
    config: MmuConfig | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> MmuIngested:
    """Ingest Chandra spectra of the MultimodalUniverse into a shard dataset with Ray Data.

    Counts are those that rates and errors tell, see `wolter.spectra.mmu.counts`. What the rows do
    not hold stays unknown, and the dataset says so (`lost` in its config). Each row without a
    record, and each file that cannot be read, becomes a row of `rejects.parquet` with its reason.

    Args:
        sources: parquet and HDF5 files, and folders (HATS) that are searched throughout.
        out: folder of the dataset.
        config: which rows to take.
        on_rows: called after each piece with its number of rows.

    Raises:
        InputError: there are no files, HDF5 files without h5py, or the folder is not writable.
    """
    import ray

    config = config or MmuConfig()
    found = list_files(sources, WANTED)
    tables = find_tables(found)
    if not tables:
        raise InputError(f"{', '.join(map(str, sources))}: no tables there; give {WANTED}")
    check_reader(tables)
    make_folder(out)
    writer, insignificant, laws = RowWriter(out), 0, Counter[str]()
    with connected():
        # The rows of a shard must not depend on which task ends first.
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        files = ray.data.from_items([str(file) for file in tables])
        blocks = files.repartition(-(-len(tables) // FILES_PER_TASK))
        records = blocks.map_batches(_read_block, batch_size=FILES_PER_TASK)
        for part in records.iter_batches(batch_format="pyarrow", batch_size=None):
            kept = part.filter(_significant(part, config.significance))
            insignificant += part.num_rows - kept.num_rows
            laws.update(law for law in kept["errors"].to_pylist() if law)
            writer.add(kept)
            if on_rows is not None:
                on_rows(part.num_rows)
    about = configs.to_dict(config) | {"source": "MultimodalUniverse chandra", "lost": list(LOST)}
    dataset = writer.finish("spectra", spec(), about)
    return MmuIngested(
        dataset=dataset,
        read=dataset.manifest.rows,
        insignificant=insignificant,
        other_files=len(found) - len(tables),
        errors=dict(laws),
        rejects=tuple(writer.rejects),
    )


def _significant(part: pa.Table, least: float) -> pa.Array:
    """Mask of rows to keep; a row of unknown significance is not significant."""
    if least <= 0:
        return pa.array([True] * part.num_rows)
    return pc.greater_equal(part["significance"], least)
