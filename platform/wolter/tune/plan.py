"""Plan of a search: configs, budget of a trial, metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from wolter import config as configs
from wolter import family as families
from wolter.data.batches import read_split
from wolter.data.record_kinds import record_kind
from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.family import Family
from wolter.home import home
from wolter.registry import mlflow_store
from wolter.train.job import Job, make_job
from wolter.train.loop import TrainConfig, build
from wolter.tune.sampling import draw, subspace

SWEEP = "sweep.json"  # in the folder of a search
PROBED = 256  # records: a metric of labels that few have is found, too
MODES = {"lower": "min", "higher": "max"}  # of `Metric.better`


@dataclass(frozen=True)
class SearchConfig:
    """Search settings.

    Attributes:
        trials: number of configs to try, the given one first.
        over: keys of the family's search space to vary; empty for all of them.
        metrics: validation metrics to compare by, as NAME, NAME:min or NAME:max; the first one
            decides which trials end early; empty for the family's own.
        grace: epochs before a trial may end early; with as many as --train.epochs none does.
        reduction: after 1, R, R^2 ... times `grace` epochs the best of every R trials go on.
        parallel: trials at once; 0 for one a GPU, or one a core where there is none.
        seed: seed of the drawn configs.
    """

    trials: int = 12
    over: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    grace: int = 1
    reduction: float = 3.0
    parallel: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.trials < 1 or self.grace < 1 or self.parallel < 0:
            raise InputError(
                f"search: trials = {self.trials}, grace = {self.grace}, parallel = "
                f"{self.parallel}; give trials and grace of at least 1, parallel of at least 0"
            )
        if self.reduction <= 1:
            raise InputError(f"search: reduction = {self.reduction}; give more than 1")


@dataclass(frozen=True)
class Sweep:
    """Resumable state of a search.

    Attributes:
        run_id: the parent run of MLflow.
        experiment: MLflow experiment.
        job: what all trials have in common.
        points: complete configs of the trials; the first is the one that was given.
        over: keys that differ between them.
        metrics: "min" or "max" by name of a metric of the validation split; the first one says
            which trials end early.
        grace: epochs that every trial gets.
        reduction: the best one in this many goes on, wherever trials are compared.
        parallel: trials at once; 0 for one a GPU, or one a core where there is none.
    """

    run_id: str
    experiment: str
    job: Job
    points: tuple[dict[str, Any], ...]
    over: tuple[str, ...]
    metrics: dict[str, str]
    grace: int
    reduction: float
    parallel: int

    def job_of(self, number: int) -> Job:
        """Training job of trial `number`."""
        return replace(self.job, config=self.points[number])

    def objectives(self, metrics: Mapping[str, float]) -> list[float]:
        """Objective values of the metrics; lower is better."""
        signs = {"min": 1.0, "max": -1.0}
        return [signs[mode] * metrics[name] for name, mode in self.metrics.items()]


def folder_of(run_id: str) -> Path:
    """Folder of a search's resumable state."""
    return home() / "sweeps" / run_id


def plan(
    family: str,
    dataset: Path,
    *,
    config: Any = None,
    train: TrainConfig | None = None,
    search: SearchConfig | None = None,
    observed: Path | None = None,
    experiment: str = "",
) -> Sweep:
    """Draw the trials of a search and begin its run.

    Args:
        family: name of the family.
        dataset: folder of the shard dataset.
        config: of the family, or its keys that are not the defaults: the first trial, and what the
            others are where the space says nothing.
        train: how each trial is trained: its budget.
        search: how to search.
        observed: folder of observed records to mix in; see `runner.train`.
        experiment: MLflow experiment; empty for the name of the kind of record.

    Raises:
        InputError: bad input; see `make_job`, `draw` and `subspace`.
    """
    loaded, opened, search = families.load(family), open_dataset(dataset), search or SearchConfig()
    space = subspace(loaded, search.over)
    job = make_job(family, opened, config, train, observed=observed)
    points = draw(loaded, job.config, space, search.trials, search.seed)
    if not job.validation_rows:
        raise InputError(
            f"{dataset}: no rows in split 'validation', by which trials are judged; use more "
            f"{loaded.kind}"
        )
    metrics = _chosen(search.metrics, loaded, _measured(job))
    params = {"search": configs.to_dict(search), "train": configs.to_dict(job.train)}
    tags = {mlflow_store.NAME: f"search {family}"}
    experiment = experiment or loaded.kind
    run_id = mlflow_store.start(experiment, family, {**params, "model": job.config}, opened, tags)
    sweep = Sweep(
        run_id=run_id,
        experiment=experiment,
        job=job,
        points=tuple(points),
        over=tuple(space),
        metrics=metrics,
        grace=search.grace,
        reduction=search.reduction,
        parallel=search.parallel,
    )
    folder_of(run_id).mkdir(parents=True)
    configs.save(sweep, folder_of(run_id) / SWEEP)
    return sweep


def planned(run_id: str) -> Sweep:
    """Load the plan of an interrupted search.

    Raises:
        InputError: there is none of this run.
    """
    file = folder_of(run_id) / SWEEP
    if not file.is_file():
        raise InputError(f"{file}: no search has the run {run_id!r}; begin one with `wolter tune`")
    return configs.load(Sweep, file)


@torch.no_grad()
def _measured(job: Job) -> tuple[str, ...]:
    """Names of the metrics that a family has on the validation split of a dataset."""
    family, dataset = families.load(job.family), open_dataset(job.dataset)
    most = record_kind(dataset.manifest.kind).batch_rows(dataset.spec)
    batch = read_split(dataset, "validation", min(most, PROBED))
    config = configs.from_dict(family.config, job.config)
    module = build(family, config, dataset.spec, job.train.seed).eval()
    family.normalise(module, batch)
    return tuple(family.measure(module, batch))


def _chosen(wanted: Sequence[str], family: Family, measured: Sequence[str]) -> dict[str, str]:
    """Metrics to compare by, with directions as given, or as the family declares."""
    modes = {metric.name: MODES[metric.better] for metric in family.metrics}
    chosen = {}
    for text in wanted or [name for name in modes if name in measured]:
        name, _, mode = text.partition(":")
        mode = mode or modes.get(name, "")
        if name not in measured:
            raise InputError(f"--metrics {name}: not measured; choose from {', '.join(measured)}")
        if mode not in MODES.values():
            raise InputError(f"--metrics {text}: give {name}:min or {name}:max")
        chosen[name] = mode
    if not chosen:
        raise InputError(f"give --metrics to judge by, of {', '.join(measured)}")
    return chosen
