"""The training loop on Ray Train: data-parallel workers fed by Ray Data."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.data
import ray.train
import ray.train.torch
import torch
from torch import Tensor, nn

from wolter import config as configs
from wolter import local_ray, reasons
from wolter.cluster import connected, cores
from wolter.data.batches import fits, ray_dataset, ray_reader
from wolter.data.shards import open_dataset
from wolter.errors import InputError
from wolter.files import write_atomically
from wolter.memory import keep_freed
from wolter.train.job import Job, ScaleConfig, prepare
from wolter.train.local_group import LocalTorchConfig
from wolter.train.loop import Epoch, OnEpoch, OnStep
from wolter.train.resume import resume_training, save_training

PROGRESS, STEPS = "epochs.jsonl", "steps.txt"  # in the folder of a run, while it lasts
POLL_S, TELL_S = 0.2, 1.0


def fit(
    job: Job, scale: ScaleConfig, folder: Path, on_epoch: OnEpoch, on_step: OnStep | None = None
) -> Path:
    """Run a job on Ray Train in `folder`, which all nodes share; return the last checkpoint.

    Raises:
        InputError: see `runner.train`.
        FailedError: workers failed too often.
    """
    logical = cores() + scale.workers  # Ray Data reads on the cores' share
    with connected(logical_cpus=logical), tempfile.TemporaryDirectory() as meet:
        dataset = open_dataset(job.dataset)
        in_order = ray.data.ExecutionOptions(preserve_order=True)  # the same batches every time
        trainer = ray.train.torch.TorchTrainer(
            _worker,
            train_loop_config={"job": configs.to_dict(job), "steps": str(folder / STEPS)},
            torch_config=LocalTorchConfig(folder=meet) if local_ray.running() else None,
            scaling_config=_scaling(scale),
            run_config=ray.train.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                failure_config=ray.train.FailureConfig(max_failures=scale.max_failures),
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
                callbacks=[_Progress(str(folder / PROGRESS))],
                logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            ),
            datasets={
                "train": ray_dataset(dataset, job.train.split),
                "validation": ray_dataset(dataset, "validation"),
            },
            dataset_config=ray.train.DataConfig(["train"], execution_options=in_order),
        )
        result = _in_thread(trainer)
        for told in _follow(folder, result):
            if isinstance(told, Epoch):
                on_epoch(told)
            elif on_step is not None:
                on_step(told)
        (folder / STEPS).unlink(missing_ok=True)
        try:
            done = result.result()
        except Exception as error:
            raise reasons.told(error) from error
    if done.return_value is not None:
        raise InputError(done.return_value)
    return Path(done.checkpoint.path)


def _scaling(scale: ScaleConfig) -> Any:
    gpus = int(ray.cluster_resources().get("GPU", 0))
    if scale.use_gpu == "yes" and gpus < scale.workers:
        raise InputError(
            f"scale: {scale.workers} workers need a GPU each and the cluster has {gpus}; "
            "use fewer workers or use_gpu = no"
        )
    use_gpu = scale.use_gpu != "no" and gpus >= scale.workers
    workers = (scale.min_workers, scale.workers) if scale.min_workers else scale.workers
    resources = {"CPU": scale.cpus_per_worker} | ({"GPU": 1.0} if use_gpu else {})
    return ray.train.ScalingConfig(
        num_workers=workers,
        use_gpu=use_gpu,
        resources_per_worker=resources,
        placement_strategy="PACK" if use_gpu else "SPREAD",
    )


def _in_thread(trainer: Any) -> "Future[Any]":
    """Start a training in a thread, so that Ray leaves the interrupt handler alone."""
    result: Future[Any] = Future()

    def fit() -> None:
        try:
            result.set_result(trainer.fit())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=fit, daemon=True).start()
    return result


class _Progress(ray.train.UserCallback):  # type: ignore[misc]  # Ray is untyped
    """Callback that writes each epoch to a file, on the node of the driver."""

    def __init__(self, path: str) -> None:
        self.path = path

    def after_report(self, metrics: list[dict[str, Any]], **_: Any) -> None:
        with Path(self.path).open("a") as file:
            file.write(json.dumps(metrics[0]) + "\n")


def _follow(folder: Path, result: "Future[Any]") -> Iterator[Epoch | float]:
    """Follow epochs and their progress from the file, until the result is there."""
    path, steps, read, before = folder / PROGRESS, folder / STEPS, 0, ""
    while True:
        done = result.done()
        now = steps.read_text() if steps.exists() else ""
        if now != before:
            before = now
            yield float(now)
        text = path.read_text() if path.exists() else ""
        lines = text.splitlines()[: text.count("\n")]  # the last line may be half-written
        for line in lines[read:]:
            yield Epoch(**json.loads(line))
        read = len(lines)
        if done:
            return
        threading.Event().wait(POLL_S)


def _worker(values: dict[str, Any]) -> str | None:
    """Train in one worker process; returns an input error, if any."""
    job, steps = configs.from_dict(Job, values["job"]), Path(values["steps"])
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    keep_freed()
    torch.set_num_threads(job.threads or max(1, cores() // context.get_local_world_size()))
    checkpoint = ray.train.get_checkpoint()
    device = ray.train.torch.get_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    ready = prepare(job, rank, world, str(device), resume=checkpoint is not None)
    if checkpoint is not None:
        with checkpoint.as_directory() as path:
            resume_training(Path(path), ready.trainer)

    def report(epoch: Epoch) -> None:
        if rank > 0:
            ray.train.report({})
            return
        with tempfile.TemporaryDirectory() as path:
            save_training(Path(path), ready.card, ready.trainer)
            saved = ray.train.Checkpoint.from_directory(path)
            ray.train.report(asdict(epoch), checkpoint=saved)

    told = float("-inf")

    def tell(done: float) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_S:
            told = time.monotonic()
            write_atomically(steps, f"{done:.6f}".encode())

    kind = ready.dataset.manifest.kind
    keep = fits(ready.dataset, job.cache_bytes)
    shard = ray.train.get_dataset_shard
    train = ray_reader(shard("train"), ready.train, job.rows // world if keep else None, kind)
    validation = None
    if rank == 0 and job.validation_rows:
        n_kept = job.validation_rows if keep else None
        validation = ray_reader(shard("validation"), ready.validation, n_kept, kind)
    try:
        ready.trainer.run(
            ready.mix(train),
            validation,
            wrap=_parallel if world > 1 else lambda module: module,
            total=_add_up if world > 1 else lambda sums: sums,
            on_epoch=report,
            on_step=tell if rank == 0 else None,
        )
    except InputError as error:  # all workers agree on it
        return str(error)
    return None


def _parallel(module: nn.Module) -> nn.Module:
    # Buffers hold what was learnt before training, the same on all workers.
    return nn.parallel.DistributedDataParallel(
        module, broadcast_buffers=False, gradient_as_bucket_view=True
    )


def _add_up(sums: Tensor) -> Tensor:
    torch.distributed.all_reduce(sums)
    return sums
