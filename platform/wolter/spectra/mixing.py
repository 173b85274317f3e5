"""Observed spectra mixed into the batches of simulated ones.

Shapes: B batch, P parameter.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from wolter.data.batches import BatchConfig, Reader, count_rows, epoch_seed
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
    rows = SpectraBatch.concatenate([to_batch(table_to_numpy(t)) for t in tables if t.num_rows])
    return replace(rows, observed_B=torch.ones(len(rows), dtype=torch.bool))


def observed_rows(size: int, share: float) -> int:
    """How many rows of a batch are observed; some are, and some are not.

    Raises:
        InputError: the batch is too small for both.
    """
    if size < 2:
        raise InputError("a batch of one row cannot mix; use a larger --train.batch-size")
    return min(max(1, round(share * size)), size - 1)


class MixedReader:
    """Adds a fixed share of observed rows, drawn with replacement, to each simulated batch.

    Observed sets are small and drawn at random, so that every worker holds all of one, read from
    its files: a stream that deals rows out to the workers would give each of them a few spectra.
    """

    def __init__(
        self, simulated: Reader, observed: SpectraBatch, n_observed: int, config: BatchConfig
    ) -> None:
        """Prepare to mix.

        Args:
            simulated: batches of `config.size` rows.
            observed: from `read_observed`.
            n_observed: rows to add to a full batch, and as many in proportion to a smaller one.
            config: of the simulated batches.
        """
        self.simulated, self.config = simulated, config
        self.observed, self.n_observed = observed.to(config.device), n_observed

    def __call__(self, epoch: int) -> Iterator[SpectraBatch]:
        """Batches of one epoch; see `Reader`."""
        c = self.config
        generator = torch.Generator(c.device)
        generator.manual_seed(epoch_seed(c.seed, epoch, c.rank, purpose=2))
        for batch in self.simulated(epoch):
            n = round(len(batch) * self.n_observed / c.size)
            row_B = torch.randint(
                len(self.observed), (n,), generator=generator, device=generator.device
            )
            yield SpectraBatch.concatenate([batch, self.observed[row_B]])
