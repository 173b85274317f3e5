"""Mixing of observed records into batches of simulated ones.

Shapes: B batch.
"""

from collections.abc import Iterator

import torch

from wolter.data.batches import BatchConfig, Reader, epoch_seed
from wolter.data.schema import RecordBatch
from wolter.errors import InputError


def observed_rows(size: int, fraction: float) -> int:
    """Number of observed rows in a batch: at least one, and never all.

    Raises:
        InputError: the batch is too small for both.
    """
    if size < 2:
        raise InputError("a batch of one row cannot mix; use a larger --train.batch-size")
    return min(max(1, round(fraction * size)), size - 1)


class MixedReader:
    """Adds a fixed share of observed rows, drawn with replacement, to each simulated batch.

    Observed sets are small and drawn at random, so that every worker holds all of one, read from
    its files: a stream that deals rows out to the workers would give each of them a few records.
    """

    def __init__(
        self, simulated: Reader, observed: RecordBatch, n_observed: int, config: BatchConfig
    ) -> None:
        """Prepare to mix.

        Args:
            simulated: batches of `config.size` rows.
            observed: records, see `wolter.data.record_kinds.Observed`.
            n_observed: rows to add to a full batch, and as many in proportion to a smaller one.
            config: config of the simulated batches.
        """
        self.simulated, self.config = simulated, config
        self.observed, self.n_observed = observed.to(config.device), n_observed

    def __call__(self, epoch: int) -> Iterator[RecordBatch]:
        """Batches of one epoch; see `Reader`."""
        c = self.config
        generator = torch.Generator(c.device)
        generator.manual_seed(epoch_seed(c.seed, epoch, c.rank, purpose=2))
        for batch in self.simulated(epoch):
            n = round(len(batch) * self.n_observed / c.size)
            row_B = torch.randint(
                len(self.observed), (n,), generator=generator, device=generator.device
            )
            yield type(batch).concatenate([batch, self.observed[row_B]])
