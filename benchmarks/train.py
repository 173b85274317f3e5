"""Race of Ray Train against the bare loop, on the same records, model and machine in one run.

The bare loop is the trainer on the files themselves, without checkpoints or reports; Ray Train
writes and reports a checkpoint every epoch. Both validate after each epoch. They take turns, and
each one's rate is that of its quickest epoch, from the end of the one before to its own end: other
work on the machine only ever slows an epoch down. First epochs, which fill caches, do not count.
"""

import itertools
import json
import os
import sys
import tempfile
from pathlib import Path

import torch

from wolter.cluster import connected, cores
from wolter.data.batches import local_reader
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import SimulateConfig
from wolter.train.distributed import fit
from wolter.train.job import Job, ScaleConfig, make_job, prepare
from wolter.train.loop import Epoch, TrainConfig


def run(
    n: int = 60_000, epochs: int = 5, family: str = "mlp", threads: int = 0, rounds: int = 3
) -> dict[str, float]:
    """Run the race; `threads` of torch in a worker, 0 for its share of the cores."""
    # Ray lowers its workers' priority, which on a busy machine is all that would be measured.
    os.environ.setdefault("RAY_worker_niceness", "0")
    config = TrainConfig(epochs=epochs, device="cpu")
    one, two = (ScaleConfig(workers, threads_per_worker=threads) for workers in (1, 2))
    bare, ray_one, ray_two = 0.0, 0.0, 0.0
    with tempfile.TemporaryDirectory() as name, connected(logical_cpus=cores() + 2):
        dataset = simulate_dataset(SimulateConfig(), n, Path(name) / "records")
        job = make_job(family, dataset, train=config, scale=one)
        for i in range(rounds):
            bare = max(bare, _bare(job))
            ray_one = max(ray_one, _ray(job, one, Path(name) / f"one-{i}"))
            ray_two = max(ray_two, _ray(job, two, Path(name) / f"two-{i}"))
    return {
        "n": n,
        "rows_an_epoch": job.rows,
        "bare_samples_per_s": bare,
        "ray_samples_per_s": ray_one,
        "ratio": ray_one / bare,
        "ray_two_workers_samples_per_s": ray_two,
        "ratio_two_workers": ray_two / bare,
    }


def _bare(job: Job) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(job.threads or cores())
    ready = prepare(job)
    epochs: list[Epoch] = []
    ready.trainer.run(
        local_reader(ready.dataset, "train", ready.train),
        local_reader(ready.dataset, "validation", ready.validation),
        on_epoch=epochs.append,
    )
    torch.set_num_threads(threads)
    return _rate(epochs)


def _ray(job: Job, scale: ScaleConfig, folder: Path) -> float:
    epochs: list[Epoch] = []
    folder.mkdir()
    fit(job, scale, folder, epochs.append)
    return _rate(epochs)


def _rate(epochs: list[Epoch]) -> float:
    return max(e.rows / (e.ended - last.ended) for last, e in itertools.pairwise(epochs))


if __name__ == "__main__":
    text = json.dumps(run(), indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
