"""Searches of a family's configs on Ray Tune, judged by several metrics of the validation split.

A trial trains one config for the same number of epochs on the same rows as the others; those that
do worst are ended early (ASHA, Li et al. 2018, arXiv:1810.05934). What is worth having of those
that are not is their Pareto front. The metrics are the family's own, never the loss, which may be
what is searched.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wolter import config as configs
from wolter import family as families
from wolter.cluster import connected, cores
from wolter.data.batches import read_split
from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.home import home
from wolter.train import pareto, tracking
from wolter.train.job import Job, make_job
from wolter.train.loop import TrainConfig, build
from wolter.train.space import draw, subspace
from wolter.train.trials import JUDGED, OnTrial, Outcome, Sweep, Tracker, run_trial

SWEEP, TUNE = "sweep.json", "tune"  # in the folder of a search
TOLD_BY = {  # which way is better, of metrics that families have
    "deviance": "min",
    "psnr": "max",
    "psnr_sqrt": "max",
    "mfe_percent": "min",
    "squared_error": "min",
    "information": "max",
}


@dataclass(frozen=True)
class SearchConfig:
    """How to search.

    Attributes:
        trials: configs to try, the given one first.
        over: keys of the family's search space to vary; none for all of them.
        metrics: of the validation split to judge by, as NAME, NAME:min or NAME:max; the first one
            says which trials are ended early; none for the family's own.
        grace: epochs that every trial gets; as many as it has at most: none is ended early.
        reduction: after 1, R, R^2 ... times `grace` epochs the best of every R trials go on.
        parallel: trials at once; 0 for one a GPU, or one a core where there is none.
        seed: of the configs that are drawn.
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
class SearchResult:
    """A finished search.

    Attributes:
        sweep: what was done.
        outcomes: of all trials.
        front: numbers of the finished trials that no other finished trial dominates.
        recommended: the one of them with the best mean rank.
    """

    sweep: Sweep
    outcomes: tuple[Outcome, ...]
    front: tuple[int, ...]
    recommended: int

    def changed(self, number: int) -> dict[str, Any]:
        """What differs from the family's defaults in a trial's config."""
        usual = configs.to_dict(families.load(self.sweep.job.family).config())
        config = self.sweep.points[number]
        return {key: value for key, value in config.items() if value != usual[key]}

    def to_json(self) -> dict[str, Any]:
        """Budget, trials, front and recommendation."""
        job = self.sweep.job
        return {
            "family": job.family,
            "run_id": self.sweep.run_id,
            "dataset": job.dataset,
            "budget": {
                "epochs": job.train.epochs,
                "rows": job.rows,
                "validation_rows": job.validation_rows,
                "train": configs.to_dict(job.train),
            },
            "metrics": self.sweep.metrics,
            "over": list(self.sweep.over),
            "trials": [configs.to_dict(each) for each in self.outcomes],
            "front": list(self.front),
            "recommended": {
                "number": self.recommended,
                "config": self.sweep.points[self.recommended],
                "changed": self.changed(self.recommended),
            },
        }


def folder_of(run_id: str) -> Path:
    """Where a search keeps what it can be resumed from."""
    return home() / "sweeps" / run_id


def plan(
    family: str,
    dataset: Path,
    *,
    config: Any = None,
    train: TrainConfig | None = None,
    search: SearchConfig | None = None,
    real: Path | None = None,
    experiment: str = "spectra",
) -> Sweep:
    """Draw the trials of a search and begin its run.

    Args:
        family: name of the family.
        dataset: folder of the shard dataset.
        config: of the family, or its keys that are not the defaults: the first trial, and what the
            others are where the space says nothing.
        train: how each trial is trained: its budget.
        search: how to search.
        real: folder of observed spectra to mix in; see `runner.train`.
        experiment: of MLflow.

    Raises:
        InputError: bad input; see `make_job`, `draw` and `subspace`.
    """
    loaded, opened, search = families.load(family), open_dataset(dataset), search or SearchConfig()
    space = subspace(loaded, search.over)
    job = make_job(family, opened, config, train, real=real)
    points = draw(loaded, job.config, space, search.trials, search.seed)
    if not job.validation_rows:
        raise InputError(
            f"{dataset}: no rows in split 'validation', by which trials are judged; use more "
            f"{loaded.kind}"
        )
    metrics = _chosen(search.metrics, _known(job))
    params = {"search": configs.to_dict(search), "train": configs.to_dict(job.train)}
    tags = {tracking.NAME: f"search {family}"}
    run_id = tracking.start(experiment, family, {**params, "model": job.config}, opened, tags)
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
    """The plan of a search that was begun, to go on with.

    Raises:
        InputError: there is none of this run.
    """
    file = folder_of(run_id) / SWEEP
    if not file.is_file():
        raise InputError(f"{file}: no search has the run {run_id!r}; begin one with `wolter tune`")
    return configs.load(Sweep, file)


def run(sweep: Sweep, on_epoch: OnTrial | None = None) -> SearchResult:
    """Run the trials of a search that are not done yet, and compare them all.

    Args:
        sweep: from `plan` or `planned`.
        on_epoch: called with the number of a trial after each of its epochs.

    Raises:
        InputError: no trial could finish, for reasons of the input.
        RuntimeError: no trial could finish.
        KeyboardInterrupt: interrupted; what is done is kept.
    """
    try:
        outcomes = _outcomes(sweep, Tracker(sweep, on_epoch))
        result = _compare(sweep, outcomes)
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        tracking.finish(sweep.run_id, status)
        raise
    best = outcomes[result.recommended]
    tracking.log_metrics(sweep.run_id, {f"validation/{k}": v for k, v in best.metrics.items()})
    tracking.finish(sweep.run_id, "FINISHED")
    return result


def _outcomes(sweep: Sweep, tracker: Tracker) -> list[Outcome]:
    # Results are kept in MLflow, and not in files of Tune's own.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    epochs, folder = sweep.job.train.epochs, folder_of(sweep.run_id)
    scheduler = FIFOScheduler()
    if sweep.grace < epochs:
        scheduler = ASHAScheduler(
            metric=JUDGED,
            mode="min",
            max_t=epochs,
            grace_period=sweep.grace,
            reduction_factor=sweep.reduction,
        )
    with connected(logical_cpus=max(cores(), sweep.parallel)):
        parallel, resources = _share(sweep)
        begun = any((folder / TUNE).glob("experiment_state-*.json"))
        kinds = tune.ResumeConfig.ResumeType
        analysis = tune.run(
            run_trial,
            name=TUNE,
            storage_path=str(folder),
            config={
                "number": tune.grid_search(list(range(len(sweep.points)))),
                "sweep": str(folder / SWEEP),
                "threads": max(1, cores() // parallel),
            },
            resources_per_trial=resources,
            max_concurrent_trials=parallel,
            scheduler=scheduler,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            max_failures=2,  # workers that were lost
            raise_on_failed_trial=False,
            resume_config=tune.ResumeConfig(errored=kinds.RESUME) if begun else None,
            callbacks=[tracker],
            verbose=0,
        )
    found = [tracker.outcome(trial) for trial in analysis.trials]
    outcomes = [each for each in found if each is not None]
    if len(outcomes) < len(sweep.points):
        raise KeyboardInterrupt
    return sorted(outcomes, key=lambda each: each.number)


def _share(sweep: Sweep) -> tuple[int, dict[str, float]]:
    """Trials at once, and what each of them takes."""
    import ray

    have = ray.cluster_resources()
    gpus = 0 if sweep.job.train.device == "cpu" else int(have.get("GPU", 0))
    parallel = sweep.parallel or gpus or int(have["CPU"])
    resources = {"cpu": min(1.0, have["CPU"] / parallel)}
    if gpus:
        resources["gpu"] = min(1.0, gpus / parallel)
    return min(parallel, len(sweep.points)), resources


def _compare(sweep: Sweep, outcomes: Sequence[Outcome]) -> SearchResult:
    finite = [
        each
        for each in outcomes
        if each.status == "finished" and np.isfinite(sweep.badness(each.metrics)).all()
    ]
    if not finite:
        reasons = [each.reason for each in outcomes if each.reason] or ["no metric is finite"]
        raise InputError(f"no trial of {sweep.job.family} finished: {reasons[0]}")
    badness_NM = np.array([sweep.badness(each.metrics) for each in finite])
    numbers = np.array([each.number for each in finite])
    front = numbers[pareto.front(badness_NM)].tolist()
    best = int(numbers[pareto.compromise(badness_NM)])
    return SearchResult(sweep, tuple(outcomes), tuple(front), best)


@torch.no_grad()
def _known(job: Job) -> tuple[str, ...]:
    """Names of the metrics that a family has on the validation split of a dataset."""
    family, dataset = families.load(job.family), open_dataset(job.dataset)
    batch = read_split(dataset, "validation", 2)
    config = configs.from_dict(family.config, job.config)
    module = build(family, config, dataset.spec, job.train.seed).eval()
    family.normalise(module, batch)
    return tuple(family.metrics(module, batch))


def _chosen(wanted: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Metrics to judge by and which way is better."""
    chosen = {}
    for text in wanted or [name for name in TOLD_BY if name in known]:
        name, _, mode = text.partition(":")
        mode = mode or TOLD_BY.get(name, "")
        if name not in known:
            raise InputError(f"--metrics {name}: not measured; choose from {', '.join(known)}")
        if mode not in ("min", "max"):
            raise InputError(f"--metrics {text}: give {name}:min or {name}:max")
        chosen[name] = mode
    if not chosen:
        raise InputError(f"give --metrics to judge by, of {', '.join(known)}")
    return chosen
