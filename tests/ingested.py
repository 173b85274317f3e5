"""Datasets of spectrum files, made without Ray."""

from collections.abc import Sequence
from pathlib import Path

from wolter.data.row_writer import RowWriter
from wolter.spectra.ingest import IngestConfig, read_spectra
from wolter.spectra.schema import SpectraSpec


def spectra(folder: Path, files: Sequence[Path]) -> Path:
    """A dataset of spectrum files."""
    folder.mkdir()
    config = IngestConfig()
    writer = RowWriter(folder)
    writer.add(read_spectra([str(f) for f in files], ["target"] * len(files), config))
    return writer.finish("spectra", SpectraSpec(config.energy_edges), {}).path
