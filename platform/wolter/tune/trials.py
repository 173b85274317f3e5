"""Trials of a search: what each of them runs in its worker, and how they are tracked."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune

from wolter import config as configs
from wolter.data.batches import local_reader
from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.memory import keep_freed
from wolter.registry import mlflow_store
from wolter.train.job import prepare
from wolter.train.loop import Epoch
from wolter.train.resume import resume_training, save_training
from wolter.train.runner import epoch_metrics
from wolter.tune.plan import Sweep

JUDGED, REASON = "judged", "reason"  # what a trial reports beside its epochs
HOPELESS = 1e30  # judgement of a trial that cannot go on

OnTrial = Callable[[int, Epoch], None]


def run_trial(values: dict[str, Any]) -> None:
    """Train one trial in a worker of Ray Tune, from its last checkpoint if it has one.

    Args:
        values: `sweep`, path of the file of a `Sweep`; `number`, of the trial; `threads`, of torch.
    """
    sweep = configs.load(Sweep, Path(values["sweep"]))
    keep_freed()
    torch.set_num_threads(values["threads"])
    job, checkpoint = sweep.job_of(values["number"]), tune.get_checkpoint()

    def report(epoch: Epoch) -> None:
        judged = sweep.objectives(epoch.validation)[0]
        with tempfile.TemporaryDirectory() as path:
            save_training(Path(path), ready.card, ready.trainer)
            saved = tune.Checkpoint.from_directory(path)
            tune.report({JUDGED: judged, **asdict(epoch)}, checkpoint=saved)

    try:
        ready = prepare(job, resume=checkpoint is not None)
        if checkpoint is not None:
            with checkpoint.as_directory() as path:
                resume_training(Path(path), ready.trainer)
        ready.trainer.run(
            ready.mix(local_reader(ready.dataset, job.train.split, ready.train)),
            local_reader(ready.dataset, "validation", ready.validation),
            on_epoch=report,
        )
    except InputError as error:  # such as a loss that is not finite: trying again would not help
        tune.report({JUDGED: HOPELESS, REASON: str(error)})


@dataclass(frozen=True)
class Outcome:
    """Outcome of a trial.

    Attributes:
        number: number of the trial.
        config: its own, complete.
        status: "finished" its epochs, "stopped" early, or "failed".
        epochs: done.
        metrics: metrics of the validation split after the last epoch.
        seconds: seconds of training.
        run_id: child run of MLflow.
        reason: why it failed.
    """

    number: int
    config: dict[str, Any]
    status: str
    epochs: int
    metrics: dict[str, float]
    seconds: float
    run_id: str
    reason: str = ""


class Tracker(tune.Callback):  # type: ignore[misc]  # Ray is untyped
    """Notes every trial as a child run of MLflow, in the process that runs the search."""

    def __init__(self, sweep: Sweep, on_epoch: OnTrial | None) -> None:
        """Go on with the child runs that there are."""
        self.sweep, self.user = sweep, on_epoch
        self.dataset = open_dataset(sweep.job.dataset)
        self.runs = mlflow_store.children(sweep.run_id)

    def on_trial_start(self, *, trial: Any, **_: Any) -> None:
        """Begin its run, unless it has one."""
        number = trial.config["number"]
        if _name(number) in self.runs:
            return
        job = self.sweep.job_of(number)
        self.runs[_name(number)] = mlflow_store.start(
            self.sweep.experiment,
            job.family,
            {"model": job.config, "train": configs.to_dict(job.train)},
            self.dataset,
            mlflow_store.child_of(self.sweep.run_id, _name(number)),
        )

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Note its epoch."""
        if REASON in result:
            return
        number, epoch = trial.config["number"], _epoch(result)
        mlflow_store.log_metrics(self.runs[_name(number)], epoch_metrics(epoch), epoch.number)
        if self.user is not None:
            self.user(number, epoch)

    def outcome(self, trial: Any) -> Outcome | None:
        """Record the outcome of a trial with its run; None for an unfinished trial."""
        number, last = trial.config["number"], trial.last_result or {}
        if trial.status not in ("TERMINATED", "ERROR"):
            return None
        done = last.get("number", 0)
        reason = last.get(REASON, "")
        if trial.status == "ERROR":
            reason = str(trial.get_error() or "its worker was lost")
        stopped = "finished" if done == self.sweep.job.train.epochs else "stopped"
        status = "failed" if reason else stopped
        run_id = self.runs[_name(number)]
        mlflow_store.finish(run_id, "FAILED" if reason else "FINISHED")
        return Outcome(
            number=number,
            config=self.sweep.points[number],
            status=status,
            epochs=done,
            metrics=dict(last.get("validation", {})),
            seconds=float(last.get("time_total_s", 0.0)),
            run_id=run_id,
            reason=reason,
        )


def _name(number: int) -> str:
    return f"trial {number}"


def _epoch(result: Mapping[str, Any]) -> Epoch:
    return Epoch(**{name: result[name] for name in Epoch.__dataclass_fields__})
