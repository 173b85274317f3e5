"""Ingest of archive spectra into a shard dataset, with `rejects.parquet` for unreadable files."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from wolter import config as configs
from wolter.cluster import connected
from wolter.data.integrity import encode
from wolter.data.row_writer import FILES_PER_TASK, RowWriter, folder_of, in_blocks, list_files
from wolter.data.shards import (
    ShardDataset,
    tensor_column,
    to_table,
)
from wolter.errors import InputError, is_utf8, printable
from wolter.files import make_folder, write_atomically
from wolter.spectra.grid import GridName, named_grid
from wolter.spectra.gridding import batch_of
from wolter.spectra.header_facts import HeaderFacts, read_facts
from wolter.spectra.headers import FileHeader, FileKind, classify
from wolter.spectra.reading import ResponseChoice, instrument_of, read_observed, remarks_of
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.instruments.instrument import DEFAULT, load
from wolter.xray.spectral.observation import Observation

FILLED = "filled"  # column of spectra alone whose channels do not nest in the grid
OTHERS = "others.parquet"  # files that were passed over, and what they are


@dataclass(frozen=True)
class IngestConfig:
    """Configuration of the ingest of archive spectra.

    Attributes:
        rmf, arf, background: files to use for every spectrum, instead of those that each names.
        response: files, or embedded: that of `instrument`, which needs no files.
        instrument: name of the instrument of an embedded response, and of the grid's band.
        grid: "band" for the default grid within the band of the instrument, which most families
            read; "acis" for whole channels of ACIS, which families of Chandra spectra read.
        energy_edges: keV, the grid of the records; empty for the named one.
    """

    rmf: str | None = None
    arf: str | None = None
    background: str | None = None
    response: ResponseChoice = "files"
    instrument: str = DEFAULT
    grid: GridName = "band"
    energy_edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Choose the grid.

        Raises:
            InputError: the instrument is unknown.
        """
        band_kev = load(self.instrument).band_kev
        if not self.energy_edges:
            object.__setattr__(self, "energy_edges", named_grid(self.grid, band_kev))


@dataclass(frozen=True)
class Ingested:
    """Summary of an ingest: rows, rejects, other files.

    Attributes:
        dataset: dataset of the spectra that were read, and how many:
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


def read_spectra(files: Sequence[str], sources: Sequence[str], config: IngestConfig) -> pa.Table:
    """Rows of some spectra, in order: the record of each, or with `reason` why there is none."""
    batches, reasons, told = [], [], []
    for file in files:
        try:
            observation = read_observed(
                Path(file),
                rmf=config.rmf,
                arf=config.arf,
                background=config.background,
                response=config.response,
                instrument=config.instrument,
            )
            facts = _facts(Path(file), observation, config)
            batches.append(batch_of([observation], config.energy_edges))
            reasons.append("")
        except InputError as error:
            batches.append(_no_counts(len(config.energy_edges) - 1))
            reasons.append(str(error))
            facts = _NO_FACTS
        told.append(facts)
    extra: dict[str, Any] = {"file": list(files), "source_id": list(sources), "reason": reasons}
    extra |= {name: [facts[name] for facts in told] for name in _NO_FACTS}
    return to_table(SpectraBatch.concatenate(batches), extra)


def _facts(file: Path, observation: Observation, config: IngestConfig) -> dict[str, Any]:
    """Columns of where, when and how a spectrum was observed, for catalogues."""
    told = {
        "instrument": "/".join(instrument_of(observation)),
        "exposure_s": float(observation.exposure_s),
        "remarks": " ".join(remarks_of(observation, config.energy_edges)),
    }
    return asdict(read_facts(file)) | told


_NO_FACTS = asdict(HeaderFacts()) | {"instrument": "", "exposure_s": math.nan, "remarks": ""}


def _no_counts(n_channels: int) -> SpectraBatch:
    nothing_BC, nothing_B = torch.zeros(1, n_channels), torch.zeros(1)
    return SpectraBatch(nothing_BC, nothing_BC, nothing_B, nothing_B)


def _classify_block(block: dict[str, Any], archive: str) -> dict[str, list[str]]:
    """Ray Data task: what the files of a block are."""
    rows: dict[str, list[str]] = {
        k: [] for k in ("kind", "source", "background", "other", "reason")
    }
    for file in block["item"]:
        reason = ""
        try:
            seen = classify(Path(file), Path(archive))
        except InputError as error:
            seen, reason = FileHeader(FileKind.OTHER), str(error)
        values = (seen.kind.value, seen.source, seen.background, seen.other, reason)
        for column, value in zip(rows.values(), values, strict=True):
            column.append(value)
    return {"file": list(block["item"]), **rows}


def _read_block(block: dict[str, Any], config: dict[str, Any]) -> pa.Table:
    """Ray Data task: records of a block of spectra."""
    settings = configs.from_dict(IngestConfig, config)
    table = read_spectra(list(block["file"]), list(block["source"]), settings)
    if FILLED in table.column_names:
        return table
    # All blocks have the same columns: Ray Data may join them.
    unknown_BC = np.full((len(table), len(settings.energy_edges) - 1), np.nan, np.float32)
    return table.append_column(FILLED, tensor_column(unknown_BC))


def _without_unknown(table: pa.Table) -> pa.Table:
    """Rows without the column of channels that do not nest, where it tells nothing."""
    filled_BC = table[FILLED].combine_chunks().to_numpy_ndarray()
    return table.drop_columns([FILLED]) if np.isnan(filled_BC).all() else table


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
        seen = in_blocks(ray.data.from_items(files), len(files))
        table = pa.concat_tables(
            seen.map_batches(
                _classify_block, fn_args=(str(folder_of(found)),), batch_size=FILES_PER_TASK
            ).iter_batches(batch_format="pyarrow", batch_size=None)
        )
        writer.reject(table.filter(pc.not_equal(table["reason"], "")))
        is_background = pc.or_(
            pc.equal(table["kind"], FileKind.BACKGROUND.value),
            # A spectrum that has a background of its own is more than the background of another.
            pc.and_(
                pc.is_in(table["file"], value_set=table["background"].combine_chunks()),
                pc.equal(table["background"], ""),
            ),
        )
        backgrounds = table.filter(is_background).num_rows
        chosen = pc.and_not(pc.equal(table["kind"], FileKind.SPECTRUM.value), is_background)
        spectra = table.filter(chosen).select(["file", "source"])
        if spectra.num_rows:
            records = in_blocks(ray.data.from_arrow(spectra), spectra.num_rows).map_batches(
                _read_block, fn_args=(configs.to_dict(config),), batch_size=FILES_PER_TASK
            )
            for part in records.iter_batches(batch_format="pyarrow", batch_size=None):
                writer.add(_without_unknown(part))
                if on_files is not None:
                    on_files(part.num_rows, spectra.num_rows)
    dataset = writer.finish("spectra", SpectraSpec(config.energy_edges), configs.to_dict(config))
    others = table.filter(
        pc.and_not(
            pc.and_(pc.equal(table["kind"], FileKind.OTHER.value), pc.equal(table["reason"], "")),
            is_background,
        )
    ).select(["file", "other"])
    write_atomically(out / OTHERS, encode(others))
    pairs = zip(others["file"].to_pylist(), others["other"].to_pylist(), strict=True)
    read = dataset.manifest.rows
    assert read + backgrounds + others.num_rows + len(writer.rejects) == len(found)
    return Ingested(dataset, read, backgrounds, tuple(pairs), tuple(writer.rejects))
