"""Rates of the wing of latents: encoding, training, simulation of a population.

    wolter bench latents --json FILE

Each rate stands beside what it is judged by, measured in the same run: encoding beside the whole
answer (classes, anomaly, reconstruction) and 8 principal components; training through Ray Train
beside the bare loop (see `train.py`); a population of Chandra sources beside plain spectra of ACIS
on the same grid. Rates are those of the quickest round, since other work on the machine only ever
slows one down.
"""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from benchmarks.train import _bare, _ray

from wolter import family as families
from wolter.cluster import connected, cores
from wolter.models._autoencoder import Autoencoder
from wolter.spectra.grid import acis_grid
from wolter.spectra.latents.components import principal_components
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.simulator import PopulationSimulator
from wolter.spectra.population.write import population_dataset
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulate import simulate_dataset
from wolter.spectra.simulator import BLOCK, SimulateConfig
from wolter.train.job import ScaleConfig, make_job
from wolter.train.loop import TrainConfig, build

FAMILY = "autoencoder"
PIECE = 512  # spectra a forward pass


def run(
    n: int = 8192, train: int = 24_576, simulated: int = 524_288, epochs: int = 3, rounds: int = 3
) -> dict[str, Any]:
    """Measure all rates.

    Args:
        n: spectra that are encoded.
        train: sources that the training reads.
        simulated: sources, and plain spectra, that are simulated in each round.
        epochs: epochs of each training.
        rounds: rounds of each measurement.
    """
    os.environ.setdefault("RAY_worker_niceness", "0")
    thermal = PopulationConfig(thermal="bremsstrahlung")  # rates of networks depend on neither
    simulator = PopulationSimulator(thermal)
    batch = SpectraBatch.concatenate([simulator.draw(0, i) for i in range(-(-n // BLOCK))])[:n]
    found: dict[str, Any] = {"n": n, "cores": cores()} | _encoding(simulator, batch, rounds)
    with TemporaryDirectory() as name, connected(logical_cpus=cores() + 2):
        folder = Path(name)
        found |= _training(folder, thermal, train, epochs, rounds)
        found |= _simulation(folder, simulated, rounds)
    return found


def _encoding(simulator: PopulationSimulator, batch: SpectraBatch, rounds: int) -> dict[str, float]:
    torch.set_num_threads(cores())
    family = families.load(FAMILY)
    module = build(family, family.config(), simulator.spec, 0).eval()
    family.normalise(module, batch)
    network = cast("Autoencoder", module)
    background_BC = batch.background_BC * batch.background_scale_B[:, None]
    components = principal_components(batch.counts_BC, background_BC, 8)
    ways: dict[str, Callable[[SpectraBatch], Any]] = {
        "encode_per_s": network.encode,
        "predict_per_s": lambda piece: family.predict(module, piece),
        "components_per_s": lambda piece: components.scores(piece.counts_BC),
    }
    with torch.inference_mode():
        return {name: _rate(way, batch, rounds) for name, way in ways.items()}


def _rate(way: Callable[[SpectraBatch], Any], batch: SpectraBatch, rounds: int) -> float:
    way(batch[:PIECE])  # warms caches up
    best = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        for piece in batch.split(PIECE):
            way(piece)
        best = max(best, len(batch) / (time.perf_counter() - start))
    return best


def _training(
    folder: Path, population: PopulationConfig, n: int, epochs: int, rounds: int
) -> dict[str, float]:
    dataset = population_dataset(population, n, folder / "population")
    config = TrainConfig(epochs=epochs, batch_size=256, device="cpu")
    job = make_job(FAMILY, dataset, train=config, scale=ScaleConfig(1))
    bare = through_ray = 0.0
    for i in range(rounds):
        bare = max(bare, _bare(job))
        through_ray = max(through_ray, _ray(job, ScaleConfig(1), folder / f"run-{i}"))
    return {
        "train_bare_per_s": bare,
        "train_per_s": through_ray,
        "train_ratio": through_ray / bare,
    }


def _simulation(folder: Path, n: int, rounds: int) -> dict[str, Any]:
    plain = SimulateConfig(instrument="acis_s", energy_edges=acis_grid(), components=False)
    ways: dict[str, Callable[[Path], Any]] = {"spectra": partial(simulate_dataset, plain, n)}
    for thermal in ("plasma", "bremsstrahlung"):
        config = PopulationConfig(thermal=thermal)
        ways[f"population_{thermal}"] = partial(population_dataset, config, n)
    simulate_dataset(plain, n, folder / "first")  # starts all workers, on no side's time
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for name, simulate in ways.items():
            rate = _rate_of_simulation(simulate, folder, n)
            found[f"{name}_per_s"] = rate and max(rate, found.get(f"{name}_per_s", 0.0))
    for name in ways:
        if name != "spectra" and found[f"{name}_per_s"]:
            found[f"{name}_ratio"] = found[f"{name}_per_s"] / found["spectra_per_s"]
    return found


def _rate_of_simulation(simulate: Callable[[Path], Any], folder: Path, n: int) -> float | None:
    """Records a second; None without the extra that they need."""
    with TemporaryDirectory(dir=folder) as out:
        start = time.perf_counter()
        try:
            simulate(Path(out))
        except ValueError:  # the extra `plasma` is not installed
            return None
        return n / (time.perf_counter() - start)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
