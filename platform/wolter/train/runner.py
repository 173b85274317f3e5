"""Training runs: a family, a dataset and configs in; a tracked and registered model out.

`train` runs on Ray Train, `train_local` in this process; both run the same loop on the same
batches. Workers receive a `Job` as a dictionary: names and numbers, never classes.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wolter import config as configs
from wolter import family as families
from wolter.data.batches import local_reader
from wolter.data.shards import ShardDataset, open_dataset
from wolter.files import telling_full
from wolter.home import home
from wolter.registry import mlflow_store
from wolter.train.job import Job, ScaleConfig, make_job, prepare
from wolter.train.loop import Epoch, OnEpoch, OnStep, TrainConfig, choose_device
from wolter.train.resume import save_training

__all__ = ["ScaleConfig", "TrainedRun", "fit_local", "train", "train_local"]

OnStart = Callable[[str], None]


@dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    Attributes:
        run_id: MLflow run id.
        model_name: the family's, or its variant's.
        model_version: in the registry, of that name.
        checkpoint: folder of the last epoch, from which training could go on.
        metrics: metrics of the last epoch.
    """

    run_id: str
    model_name: str
    model_version: str
    checkpoint: Path
    metrics: dict[str, float]


def fit_local(
    job: Job, folder: Path, on_epoch: OnEpoch | None = None, on_step: OnStep | None = None
) -> Path:
    """Train in this process, with a checkpoint in `folder` after every epoch; return its path.

    Raises:
        InputError: see `prepare` and `Trainer.run`.
    """
    ready = prepare(job)
    checkpoint, temporary = folder / "checkpoint", folder / "checkpoint.tmp"

    def after(epoch: Epoch) -> None:
        try:
            save_training(temporary, ready.card, ready.trainer)
            shutil.rmtree(checkpoint, ignore_errors=True)
            temporary.rename(checkpoint)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        if on_epoch is not None:
            on_epoch(epoch)

    ready.trainer.run(
        ready.mix(local_reader(ready.dataset, job.train.split, ready.train)),
        local_reader(ready.dataset, "validation", ready.validation),
        on_epoch=after,
        on_step=on_step,
    )
    return checkpoint


def train_local(
    family: str,
    dataset: Path,
    *,
    config: Any = None,
    train: TrainConfig | None = None,
    start: Path | None = None,
    observed: Path | None = None,
    experiment: str = "",
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    on_start: OnStart | None = None,
) -> TrainedRun:
    """Train in this process, without Ray; see `train`."""
    opened = open_dataset(dataset)
    job = make_job(family, opened, config, train, start=start, observed=observed)
    choose_device(job.train.device)
    with telling_full(home()), _tracked(job, opened, experiment, None, on_epoch, on_start) as run:
        run.checkpoint = fit_local(job, run.folder, run.on_epoch, on_step)
    return run.result()


def train(
    family: str,
    dataset: Path,
    *,
    config: Any = None,
    train: TrainConfig | None = None,
    scale: ScaleConfig | None = None,
    start: Path | None = None,
    observed: Path | None = None,
    experiment: str = "",
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    on_start: OnStart | None = None,
) -> TrainedRun:
    """Train a family on Ray, track the run and register the model.

    Args:
        family: name of the family.
        dataset: folder of the shard dataset.
        config: config of the family, or a dictionary of those keys that differ from its defaults.
        train: training settings.
        scale: number and resources of the workers.
        start: checkpoint folder or card of weights to start from, which keep their config and
            normalisation; None for fresh ones.
        observed: folder of a dataset of observed records, of which every batch holds the share
            `train.observed_fraction`; labels that were estimated are used, others are not looked
            at.
        experiment: MLflow experiment; empty for the name of the kind of record.
        on_epoch: called in this process after each epoch.
        on_step: called in this process with the epochs done, parts of one included, now and then.
        on_start: called in this process with the run's id, before the training.

    Raises:
        InputError: bad input, the store of MLflow does not answer, or the cluster has too few GPUs.
        FailedError: workers failed more often than `scale.max_failures`.
    """
    from wolter.train import distributed

    scale = scale or ScaleConfig()
    opened = open_dataset(dataset)
    job = make_job(family, opened, config, train, scale, start, observed)
    with telling_full(home()), _tracked(job, opened, experiment, scale, on_epoch, on_start) as run:
        run.checkpoint = distributed.fit(job, scale, run.folder, run.on_epoch, on_step)
    return run.result()


class _Run:
    """A run in progress, in the driver."""

    def __init__(self, run_id: str, model: str, on_epoch: OnEpoch | None) -> None:
        self.run_id, self.model, self.user = run_id, model, on_epoch
        self.folder = home() / "runs" / run_id
        self.checkpoint: Path | None = None
        self.metrics: dict[str, float] = {}
        self.version = ""

    def on_epoch(self, epoch: Epoch) -> None:
        self.metrics = epoch_metrics(epoch)
        mlflow_store.log_metrics(self.run_id, self.metrics, epoch.number)
        if self.user is not None:
            self.user(epoch)

    def result(self) -> TrainedRun:
        assert self.checkpoint is not None
        return TrainedRun(self.run_id, self.model, self.version, self.checkpoint, self.metrics)


@contextmanager
def _tracked(
    job: Job,
    dataset: ShardDataset,
    experiment: str,
    scale: ScaleConfig | None,
    on_epoch: OnEpoch | None,
    on_start: OnStart | None,
) -> Iterator[_Run]:
    """Track a run in MLflow to its end, also by failure, and register its model."""
    params: dict[str, Any] = {"model": job.config, "train": configs.to_dict(job.train)}
    params |= {key: getattr(job, key) for key in ("start", "observed") if getattr(job, key)}
    if scale is not None:
        params["scale"] = configs.to_dict(scale)
    family = families.load(job.family)
    name = family.model_name(dataset.spec)
    run = _Run(
        mlflow_store.start(experiment or family.kind, job.family, params, dataset), name, on_epoch
    )
    run.folder.mkdir(parents=True)
    try:
        if on_start is not None:
            on_start(run.run_id)
        yield run
        assert run.checkpoint is not None
        run.version = mlflow_store.register(name, run.run_id, run.checkpoint)
    except BaseException as error:
        with suppress(Exception):  # where the store itself is what has failed
            mlflow_store.finish(run.run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    mlflow_store.finish(run.run_id, "FINISHED")


def epoch_metrics(epoch: Epoch) -> dict[str, float]:
    """Metrics of an epoch, as MLflow tracks them."""
    values = {f"train/{name}": value for name, value in epoch.train.items()}
    values |= {f"validation/{name}": value for name, value in epoch.validation.items()}
    return values | {"samples_per_s": epoch.rows / epoch.seconds}
