"""Speed of full-frame image pairs, a 416 x 416 input and its 832 x 832 target, and of enhancing.

A pair is a scene drawn from its seed, seen through the telescope at both scales, with the photons
of both. One process with one thread makes whole frames, as a worker of the Ray job does; the job
makes tiles of them, compressed, hashed and on disk, in a Ray that runs already; it has twelve times
the pairs, for its workers take some 13 s to start. `cpu_s_per_pair` is processor time, which other
work on the machine hardly changes. `_enhancing.py` says what the figures of enhancing are.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmarks._enhancing import on_cpu, on_gpu

from wolter.cluster import connected, cores
from wolter.images.simulate import simulate_image_dataset
from wolter.images.simulator import ImageSimulateConfig, ImageSimulator
from wolter.xray.imaging import scenes

LONG = 12  # pairs of the job, in those of one process


def run(n: int = 48, rounds: int = 3) -> dict[str, Any]:
    """Measure both; `n` pairs of all kinds in each round."""
    # Ray lowers its workers' priority, which on a busy machine is all that would be measured.
    os.environ.setdefault("RAY_worker_niceness", "0")
    return {
        "n": n,
        "pixels": [416, 832],
        "cores": cores(),
        **_in_process(n, rounds),
        **_job(LONG * n, seed=rounds),
        **on_cpu(),
        "gpu": on_gpu(),
    }


def _in_process(n: int, rounds: int) -> dict[str, Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    simulator = ImageSimulator(ImageSimulateConfig(tile=0))
    walls, processors = [], []
    for turn in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        for index in range(n):
            simulator.draw(turn, index)
        walls.append((time.perf_counter() - wall) / n)
        processors.append((time.process_time() - processor) / n)
    by_kind = {kind: _of_kind(kind, max(n // 8, 1)) for kind in scenes.SCENES}
    torch.set_num_threads(threads)
    return {
        "pairs_per_s": 1 / statistics.median(walls),
        "cpu_s_per_pair": statistics.median(processors),
        "cpu_s_per_pair_of": by_kind,
    }


def _of_kind(kind: str, n: int) -> float:
    simulator = ImageSimulator(ImageSimulateConfig(scenes=(kind,), tile=0))
    start = time.process_time()
    for index in range(n):
        simulator.draw(0, index)
    return (time.process_time() - start) / n


def _job(n: int, seed: int) -> dict[str, Any]:
    with connected(), tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        simulate_image_dataset(ImageSimulateConfig(), n, Path(name), seed, fields_per_shard=6)
        return {"job_n": n, "job_pairs_per_s": n / (time.perf_counter() - start)}


if __name__ == "__main__":
    text = json.dumps(run(), indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
