"""Classical fits of records, and of shard datasets as a Ray Data job.

Shapes: B batch, P parameter, S side of an interval (low, high).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from wolter import config as configs
from wolter.cluster import connected
from wolter.data.batches import count_rows
from wolter.data.pipeline import in_tasks
from wolter.data.seeds import seed_of
from wolter.data.shards import ShardDataset, table_to_numpy, to_batch
from wolter.data.stream import read_selected
from wolter.errors import InputError
from wolter.spectra.schema import Parameter, SpectraBatch
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.stats.detection import DETECTED, rise_without
from wolter.xray.stats.fit import Counted, Method, Model, fit, middle, random_starts
from wolter.xray.stats.prior import Prior

Start = Callable[[SpectraBatch], Tensor]
"""Starts of a batch: (B, P), or several of each spectrum (B, R, P)."""
Statistic = Literal["cstat", "wstat"]

ROWS_PER_TASK = 512
_COLUMNS = (
    "source_id", "counts", "background", "background_scale", "exposure", "expected_background"
)  # fmt: skip


@dataclass(frozen=True)
class FitConfig:
    """Fit settings.

    Attributes:
        statistic: cstat (background known) or wstat (background measured).
        method: lm (Levenberg-Marquardt) or simplex (Nelder-Mead).
        search: then look for lower minima.
        intervals: profile-likelihood intervals.
    """

    statistic: Statistic = "cstat"
    method: Method = "lm"
    search: bool = True
    intervals: bool = True


def bounds_of(parameters: tuple[Parameter, ...]) -> Tensor:
    """Lowest and highest values (2, P), float64."""
    return torch.tensor([[p.low, p.high] for p in parameters], dtype=torch.float64).T


@dataclass(frozen=True)
class FromPrior:
    """Starts from the prior alone: its middle, or `count` random points of each spectrum.

    Middle and points are even in the logarithm of parameters with a log-uniform prior.
    """

    parameters: tuple[Parameter, ...]
    count: int = 0
    seed: int = 0

    def __call__(self, batch: SpectraBatch) -> Tensor:
        """Starts (B, P), or (B, R, P); the random ones depend on the seed and B alone."""
        low_P, high_P = bounds_of(self.parameters)
        prior = Prior(low_P, high_P, tuple(p.prior for p in self.parameters))
        unit_2P = torch.tensor([[0.0], [1.0]]).expand(2, len(self.parameters))
        if not self.count:
            return prior.at(middle(unit_2P, len(batch)))
        generator = torch.Generator().manual_seed(seed_of(self.seed, len(batch), "starts"))
        return prior.at(random_starts(unit_2P, len(batch), self.count, generator))


def fit_batch(
    model: Model,
    batch: SpectraBatch,
    parameters: tuple[Parameter, ...],
    start: Tensor,
    config: FitConfig,
    channels: int | None = None,
) -> dict[str, np.ndarray]:
    """Fit records, within the bounds of the prior.

    Args:
        model: expected source counts; a `Forward` of the records' response, or an emulator.
        batch: with `expected_background_BC` for C-stat.
        parameters: parameters of the model, in its order.
        start: (B, P) or (B, R, P).
        config: how to fit.
        channels: that can hold counts, for the degrees of freedom; by default all.

    Returns:
        Columns statistic, stat, dof, each parameter with `_lolim`, `_hilim` and `_err`, converged,
        flag: `no_counts`, `no_background`, `not_converged`, `at_bound:<parameter>`, and with
        intervals `not_detected:<norm>` (see `wolter.xray.stats.detection`).
    """
    scale_B: Tensor | None = batch.background_scale_B
    background_BC: Tensor | None = batch.background_BC
    if config.statistic == "cstat":
        scale_B, background_BC = None, batch.expected_background_BC
    assert background_BC is not None, "C-stat needs the expected background"
    data = Counted(batch.counts_BC, batch.exposure_B, background_BC, scale_B)
    bounds_2P = bounds_of(parameters)
    best = fit(
        model,
        data,
        start,
        bounds_2P,
        method=config.method,
        search=config.search,
        intervals=config.intervals,
    )
    alone_B = (batch.background_scale_B == 0).numpy()  # W-stat is then the source's C-stat
    name = np.where(alone_B, "cstat", config.statistic)
    columns: dict[str, np.ndarray] = {"statistic": name, "stat": best.statistic_B.numpy()}
    free = len(parameters)
    columns["dof"] = np.full(len(batch), (channels or batch.counts_BC.shape[1]) - free)
    for i, parameter in enumerate(parameters):
        columns[parameter.name] = best.parameters_BP[:, i].numpy()
        if best.limits_BSP is not None:
            columns[f"{parameter.name}_lolim"] = best.limits_BSP[:, 0, i].numpy()
            columns[f"{parameter.name}_hilim"] = best.limits_BSP[:, 1, i].numpy()
        columns[f"{parameter.name}_err"] = best.error_BP[:, i].numpy()
    columns["converged"] = best.converged_B.numpy()
    flags = {
        "no_counts": (batch.counts_BC.sum(1) == 0).numpy(),
        "no_background": alone_B,
        "not_converged": ~columns["converged"],
    }
    at_bound_BP = best.at_bound_BP.numpy()
    flags |= {f"at_bound:{p.name}": at_bound_BP[:, i] for i, p in enumerate(parameters)}
    norms = [i for i, p in enumerate(parameters) if p.scales_with_flux]
    for i in norms if config.intervals else ():
        rise_B = rise_without(model, data, best.parameters_BP, bounds_2P, i)
        flags[f"not_detected:{parameters[i].name}"] = (rise_B < DETECTED).numpy()
    rows = [[f for f, where in flags.items() if where[row]] for row in range(len(batch))]
    columns["flag"] = np.array([";".join(row) for row in rows], dtype=np.str_)
    return columns


def fit_dataset(
    dataset: ShardDataset,
    config: FitConfig,
    start: Start | None = None,
    split: str = "test",
    n: int | None = None,
    workers: int | None = None,
    on_fits: Callable[[int], None] | None = None,
    assumed: ShardDataset | None = None,
) -> pa.Table:
    """Fit simulated spectra with Ray Data: the columns of `fit_batch` after `file`, the source.

    Args:
        dataset: dataset of simulated spectra.
        config: how to fit; C-stat takes the expected background as known.
        start: starts of a batch; by default the middle of the prior.
        split: which spectra.
        n: of how many; by default all.
        workers: tasks at a time, one core each; by default one for every core.
        on_fits: called with the number of fits as they are done.
        assumed: fit with the model and response of this dataset in place of those that the spectra
            were simulated with, which are then as unknown as their backgrounds.

    Raises:
        InputError: the dataset does not say what its spectra were simulated with, holds no expected
            backgrounds for C-stat, or the split has no rows.
    """
    import ray

    simulator = _simulator(dataset, config, assumed)
    parameters = simulator.config.prior
    pieces = _pieces(dataset, split, n)
    with connected():
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        arguments = (simulator, start or FromPrior(parameters), config, pieces, split)
        fits = in_tasks(_Fitter, arguments, len(pieces), workers)
        tables = []
        for table in fits.iter_batches(batch_format="pyarrow", batch_size=None):
            tables.append(table)
            if on_fits is not None:
                on_fits(table.num_rows)
    return pa.concat_tables(tables)


def _simulator(dataset: ShardDataset, config: FitConfig, assumed: ShardDataset | None) -> Simulator:
    known = assumed or dataset
    if not known.spec.parameters or known.manifest.labels:
        raise InputError(f"{known.path}: not simulated; give the PHA files in its place")
    if config.statistic == "cstat" and assumed is not None:
        raise InputError(
            "C-stat takes the background that the spectra were simulated with, which --as is not "
            "to know; use --statistic wstat"
        )
    if config.statistic == "cstat" and not dataset.spec.components:
        raise InputError(
            f"{dataset.path}: holds no expected backgrounds (simulated without --components); "
            "use --statistic wstat"
        )
    if known.spec.energy_edges != dataset.spec.energy_edges:
        raise InputError(f"{known.path}: on another energy grid than {dataset.path}")
    return Simulator(configs.from_dict(SimulateConfig, known.manifest.config))


Piece = tuple[str, int, int]
"""File, first row of the split in it, and the row after the last."""


def _pieces(dataset: ShardDataset, split: str, n: int | None) -> list[Piece]:
    left = count_rows(dataset, split)
    left = left if n is None else min(n, left)
    pieces: list[Piece] = []
    for file in dataset.files:
        if left <= 0:
            break
        rows = min(left, read_selected(file, split, ["exposure"]).num_rows)
        left -= rows
        pieces += [
            (str(file.absolute()), first, min(rows, first + ROWS_PER_TASK))
            for first in range(0, rows, ROWS_PER_TASK)
        ]
    if not pieces:
        raise InputError(f"{dataset.path}: no rows in split {split!r}; use more spectra")
    return pieces


class _Fitter:
    """Fits the pieces whose numbers it is given."""

    def __init__(
        self,
        simulator: Simulator,
        start: Start,
        config: FitConfig,
        pieces: list[Piece],
        split: str,
    ) -> None:
        torch.set_num_threads(1)  # one task a core
        self.model, self.parameters = simulator.forward, simulator.config.prior
        self.start, self.config, self.pieces, self.split = start, config, pieces, split

    def __call__(self, block: dict[str, np.ndarray]) -> pa.Table:
        return pa.concat_tables([self._fit(*self.pieces[int(index)]) for index in block["id"]])

    def _fit(self, file: str, first: int, stop: int) -> pa.Table:
        table = read_selected(file, self.split, _COLUMNS)[first:stop]
        batch = to_batch(table_to_numpy(table.drop_columns(["source_id"])), "spectra")
        channels = int(self.model.response.matrix_EC.any(0).sum())
        columns = fit_batch(
            self.model, batch, self.parameters, self.start(batch), self.config, channels
        )
        return pa.table({"file": table["source_id"], **columns})
