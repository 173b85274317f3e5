"""Hyperparameter searches on Ray Tune by several validation metrics.

A trial trains one config for the same number of epochs on the same rows as the others; those that
do worst are ended early (ASHA, Li et al. 2018, arXiv:1810.05934). What is worth having of those
that are not is their Pareto front. The metrics are the family's own, never the loss, which may be
what is searched.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from wolter import config as configs
from wolter import family as families
from wolter.cluster import connected, cores
from wolter.errors import InputError
from wolter.reasons import told
from wolter.registry import mlflow_store
from wolter.terminal import quiet
from wolter.tune import pareto
from wolter.tune.plan import SWEEP, Sweep, folder_of
from wolter.tune.trials import JUDGED, OnTrial, Outcome, Tracker, run_trial

TUNE = "tune"  # in the folder of a search


@dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Attributes:
        sweep: what was done.
        outcomes: outcomes of all trials.
        front: numbers of the finished trials that no other finished trial dominates.
        recommended: the one of them with the best mean rank.
    """

    sweep: Sweep
    outcomes: tuple[Outcome, ...]
    front: tuple[int, ...]
    recommended: int

    def changed(self, number: int) -> dict[str, Any]:
        """Config values of a trial that differ from the family's defaults."""
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


def run(sweep: Sweep, on_epoch: OnTrial | None = None) -> SearchResult:
    """Run the trials of a search that are not done yet, and compare them all.

    Args:
        sweep: from `plan.plan` or `plan.planned`.
        on_epoch: called with the number of a trial after each of its epochs.

    Raises:
        InputError: no trial could finish, for reasons of the input.
        FailedError: no trial could finish.
        KeyboardInterrupt: interrupted; what is done is kept.
    """
    try:
        outcomes = _outcomes(sweep, Tracker(sweep, on_epoch))
        result = _compare(sweep, outcomes)
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        mlflow_store.finish(sweep.run_id, status)
        raise
    best = outcomes[result.recommended]
    mlflow_store.log_metrics(sweep.run_id, {f"validation/{k}": v for k, v in best.metrics.items()})
    mlflow_store.finish(sweep.run_id, "FINISHED")
    return result


def _outcomes(sweep: Sweep, tracker: Tracker) -> list[Outcome]:
    """Run Ray Tune from where it was, and tell how every trial ended."""
    _quiet()
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
        try:
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
                reuse_actors=True,  # they take seconds to start
                resume_config=tune.ResumeConfig(errored=kinds.RESUME) if begun else None,
                callbacks=[tracker],
                verbose=0,
            )
        except Exception as error:
            raise told(error) from error
    found = [tracker.outcome(trial) for trial in analysis.trials]
    outcomes = [each for each in found if each is not None]
    if len(outcomes) < len(sweep.points):
        raise KeyboardInterrupt
    return sorted(outcomes, key=lambda each: each.number)


def _quiet() -> None:
    """Keep Ray Tune from files and messages of its own: MLflow keeps results, and we tell them."""
    quiet()
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def _share(sweep: Sweep) -> tuple[int, dict[str, float]]:
    """Trials at once, and what each of them takes."""
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
        if each.status == "finished" and np.isfinite(sweep.objectives(each.metrics)).all()
    ]
    if not finite:
        reasons = [each.reason for each in outcomes if each.reason] or ["no metric is finite"]
        raise InputError(f"no trial of {sweep.job.family} finished: {reasons[0]}")
    objective_NM = np.array([sweep.objectives(each.metrics) for each in finite])
    numbers = np.array([each.number for each in finite])
    front = numbers[pareto.front(objective_NM)].tolist()
    best = int(numbers[pareto.best_mean_rank(objective_NM)])
    return SearchResult(sweep, tuple(outcomes), tuple(front), best)
