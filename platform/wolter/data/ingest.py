"""Archive spectra as a shard dataset; what cannot be read becomes a row of `rejects.parquet`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from wolter import config as configs
from wolter.cluster import connected
from wolter.data.grid import default_grid
from wolter.data.integrity import encode
from wolter.data.kinds import Kind, Look, look
from wolter.data.observed import batch_of
from wolter.data.record_kinds import Spec
from wolter.data.records import read_observed
from wolter.data.schema import SpectraBatch, SpectraSpec
from wolter.data.shards import (
    REJECTS,
    Manifest,
    Shard,
    ShardDataset,
    to_table,
    write_manifest,
    write_shard,
)
from wolter.data.split import name_keys
from wolter.errors import InputError, is_utf8, printable
from wolter.files import make_folder, write_atomically

FILES_PER_TASK = 64
ROWS_PER_SHARD = 32_768
OTHERS = "others.parquet"  # files that were passed over, and what they are
REJECT_SCHEMA = pa.schema({"file": pa.string(), "reason": pa.string()})


@dataclass(frozen=True)
class IngestConfig:
    """How to read archive spectra.

    Attributes:
        rmf, arf, background: files to use for every spectrum, instead of those that each names.
        energy_edges: keV, the grid of the records.
    """

    rmf: str | None = None
    arf: str | None = None
    background: str | None = None
    energy_edges: tuple[float, ...] = field(default_factory=default_grid)


@dataclass(frozen=True)
class Ingested:
    """What an ingest did with the files that it was given.

    Attributes:
        dataset: of the spectra that were read, and how many:
        read: spectra.
        backgrounds: files that belong to the record of another.
        others: file and what it is, of each that was passed over.
        rejects: file and reason, of each that should have been a record.
    """

    dataset: ShardDataset
    read: int
    backgrounds: int
    others: tuple[tuple[str, str], ...]
    rejects: tuple[tuple[str, str], ...]


def list_files(sources: Sequence[Path], wanted: str = "PHA files") -> list[Path]:
    """All files of the given files and folders, sorted, hidden ones left out.

    Raises:
        InputError: a source does not exist, or there is no file at all.
    """
    found: set[Path] = set()
    for source in sources:
        if source.is_dir():
            for folder, _, names in os.walk(source):
                found.update(Path(folder, name) for name in names if not name.startswith("."))
        elif source.exists():
            found.add(source)
        else:
            raise InputError(f"{source}: no such file or folder; check the path")
    if not found:
        raise InputError(f"{', '.join(map(str, sources))}: no files there; give {wanted}")
    return sorted(file.absolute() for file in found)


def read_spectra(files: Sequence[str], sources: Sequence[str], config: IngestConfig) -> pa.Table:
    """Rows of some spectra, in order: the record of each, or with `reason` why there is none."""
    batches, reasons = [], []
    for file in files:
        try:
            observation = read_observed(
                Path(file), rmf=config.rmf, arf=config.arf, background=config.background
            )
            batches.append(batch_of([observation], config.energy_edges))
            reasons.append("")
        except InputError as error:
            batches.append(_no_counts(len(config.energy_edges) - 1))
            reasons.append(str(error))
    extra = {"file": list(files), "source_id": list(sources), "reason": reasons}
    return to_table(SpectraBatch.concatenate(batches), extra)


def _no_counts(n_channels: int) -> SpectraBatch:
    nothing_BC, nothing_B = torch.zeros(1, n_channels), torch.zeros(1)
    return SpectraBatch(nothing_BC, nothing_BC, nothing_B, nothing_B)


def _look_block(block: dict[str, Any]) -> dict[str, list[str]]:
    """Ray Data task: what the files of a block are."""
    rows: dict[str, list[str]] = {
        k: [] for k in ("kind", "source", "background", "other", "reason")
    }
    for file in block["item"]:
        reason = ""
        try:
            seen = look(Path(file))
        except InputError as error:
            seen, reason = Look(Kind.OTHER), str(error)
        values = (seen.kind.value, seen.source, seen.background, seen.other, reason)
        for column, value in zip(rows.values(), values, strict=True):
            column.append(value)
    return {"file": list(block["item"]), **rows}


def _read_block(block: dict[str, Any], config: dict[str, Any]) -> pa.Table:
    """Ray Data task: records of a block of spectra."""
    settings = configs.from_dict(IngestConfig, config)
    return read_spectra(list(block["file"]), list(block["source"]), settings)


def ingest_dataset(
    sources: Sequence[Path],
    out: Path,
    config: IngestConfig | None = None,
    on_files: Callable[[int, int], None] | None = None,
) -> Ingested:
    """Ingest every spectrum among files and folders into a shard dataset with Ray Data.

    A background spectrum is part of the record of the spectrum that names it, and no record of its
    own. Each file that should have been a record and is none becomes a row of `rejects.parquet`
    with its path and reason, and the job goes on; all other files become rows of `others.parquet`.

    Args:
        sources: PHA files, and folders that are searched throughout.
        out: folder of the dataset.
        config: how to read; by default with the files that each spectrum names.
        on_files: called after each block with its number of spectra and that of all blocks.

    Raises:
        InputError: there are no files, or the output folder is not writable.
    """
    import ray

    config = config or IngestConfig()
    found = list_files(sources)
    # A name that no table holds is none that Ray can hand to a task.
    files = [str(file) for file in found if is_utf8(str(file))]
    make_folder(out)
    writer = RowWriter(out)
    writer.rejects += [
        (printable(str(file)), "its name is not UTF-8; rename the file")
        for file in found
        if not is_utf8(str(file))
    ]
    with connected():
        # The rows of a shard must not depend on which task ends first.
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        seen = _in_blocks(ray.data.from_items(files), len(files))
        table = pa.concat_tables(
            seen.map_batches(_look_block, batch_size=FILES_PER_TASK).iter_batches(
                batch_format="pyarrow", batch_size=None
            )
        )
        writer.reject(table.filter(pc.not_equal(table["reason"], "")))
        is_background = pc.or_(
            pc.equal(table["kind"], Kind.BACKGROUND.value),
            # A spectrum that has a background of its own is more than the background of another.
            pc.and_(
                pc.is_in(table["file"], value_set=table["background"].combine_chunks()),
                pc.equal(table["background"], ""),
            ),
        )
        backgrounds = table.filter(is_background).num_rows
        chosen = pc.and_not(pc.equal(table["kind"], Kind.SPECTRUM.value), is_background)
        spectra = table.filter(chosen).select(["file", "source"])
        if spectra.num_rows:
            records = _in_blocks(ray.data.from_arrow(spectra), spectra.num_rows).map_batches(
                _read_block, fn_args=(configs.to_dict(config),), batch_size=FILES_PER_TASK
            )
            for part in records.iter_batches(batch_format="pyarrow", batch_size=None):
                writer.add(part)
                if on_files is not None:
                    on_files(part.num_rows, spectra.num_rows)
    dataset = writer.finish("spectra", SpectraSpec(config.energy_edges), configs.to_dict(config))
    others = table.filter(
        pc.and_not(
            pc.and_(pc.equal(table["kind"], Kind.OTHER.value), pc.equal(table["reason"], "")),
            is_background,
        )
    ).select(["file", "other"])
    write_atomically(out / OTHERS, encode(others))
    pairs = zip(others["file"].to_pylist(), others["other"].to_pylist(), strict=True)
    read = dataset.manifest.rows
    assert read + backgrounds + others.num_rows + len(writer.rejects) == len(found)
    return Ingested(dataset, read, backgrounds, tuple(pairs), tuple(writer.rejects))


def _in_blocks(data: Any, n: int) -> Any:
    return data.repartition(-(-n // FILES_PER_TASK))


class RowWriter:
    """Gathers rows into shards, and those with a reason into rejects; holds one shard in memory."""

    def __init__(self, out: Path, rows_per_shard: int = ROWS_PER_SHARD) -> None:
        """Write into a folder that is there."""
        self.out, self.rows_per_shard = out, rows_per_shard
        self.shards: list[Shard] = []
        self.waiting: list[pa.Table] = []
        self.rejects: list[tuple[str, str]] = []

    def reject(self, table: pa.Table) -> None:
        """Note the files of a table and its reasons."""
        pairs = zip(table["file"].to_pylist(), table["reason"].to_pylist(), strict=True)
        self.rejects.extend(pairs)

    def add(self, table: pa.Table) -> None:
        """Keep the rows without a reason, and reject the others.

        Rows of one `parent`, or else of one `source_id`, fall into one split.
        """
        good = pc.equal(table["reason"], "")
        self.reject(table.filter(pc.invert(good)))
        kept = table.filter(good).drop_columns(["reason"])
        by = "parent" if "parent" in kept.column_names else "source_id"
        keys = name_keys(kept[by].to_pylist())
        self.waiting.append(kept.append_column("split_key", pa.array(keys)))
        while sum(part.num_rows for part in self.waiting) >= self.rows_per_shard:
            self._write()

    def _write(self) -> None:
        table = pa.concat_tables(self.waiting)
        rows = self.rows_per_shard
        self.shards.append(write_shard(self.out, len(self.shards), table[:rows]))
        self.waiting = [table[rows:]]

    def finish(self, kind: str, spec: Spec, config: dict[str, Any]) -> ShardDataset:
        """Write what waits, the rejects and the manifest."""
        if any(part.num_rows for part in self.waiting):
            self._write()
        columns = {"file": [f for f, _ in self.rejects], "reason": [why for _, why in self.rejects]}
        write_atomically(self.out / REJECTS, encode(pa.table(columns, REJECT_SCHEMA)))
        manifest = Manifest(
            kind=kind,
            spec=spec,
            config=config,
            seed=0,
            response_sha256="",
            shards=tuple(self.shards),
            rejects=len(self.rejects),
        )
        return write_manifest(self.out, manifest)
