"""Observed spectra for mixing into simulated training batches.

Shapes: B batch.
"""

from dataclasses import replace

import torch

from wolter.data.batches import count_rows
from wolter.data.shards import ShardDataset, table_to_numpy, to_batch
from wolter.data.stream import read_selected
from wolter.errors import InputError
from wolter.spectra.labels import OBSERVED
from wolter.spectra.schema import SpectraBatch, SpectraSpec


def check_observed(dataset: ShardDataset, spec: SpectraSpec) -> None:
    """Check that observed spectra can be mixed with simulated ones.

    Raises:
        InputError: kind, energy grid or labels differ, or no spectrum is in the training split.
    """
    own = dataset.spec
    if dataset.manifest.kind != spec.kind or own.energy_edges != spec.energy_edges:
        raise InputError(f"{dataset.path}: holds no spectra on the energy grid of the simulated")
    if dataset.manifest.labels and own.names != spec.names:
        raise InputError(
            f"{dataset.path}: its labels are {', '.join(own.names)}, those of the simulated "
            f"spectra {', '.join(spec.names)}; label it with the same model"
        )
    if not count_rows(dataset, "train"):
        raise InputError(f"{dataset.path}: no rows in split 'train'; use more spectra")


def read_observed(dataset: ShardDataset) -> SpectraBatch:
    """The training split of observed spectra, marked as such.

    Labels are read only where they were estimated (`Manifest.labels`): the true ones of a
    simulated data set that plays the observed one stay unknown.
    """
    columns = (*OBSERVED, "parameters") if dataset.manifest.labels else OBSERVED
    tables = [read_selected(file, "train", columns) for file in dataset.files]
    rows = SpectraBatch.concatenate(
        [to_batch(table_to_numpy(t), "spectra") for t in tables if t.num_rows]
    )
    return replace(rows, observed_B=torch.ones(len(rows), dtype=torch.bool))
