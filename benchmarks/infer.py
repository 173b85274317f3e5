"""Race of inference: point estimates and posteriors of many spectra, beside Sherpa's fits.

    wolter bench infer --json FILE

Times are those of the networks alone: spectra are simulated before (embedded EPIC-pn, 25 ks).
`point_s` is DeepSpectra's, `posterior_s` that of all posterior samples and their summaries; each is
the fastest of the rounds, since other work on the machine only ever slows one down. The weights are
champions or those that come with the package; times do not depend on what they hold. Sherpa fits
20 spectra (see `fit.py`), on one core; `sherpa_s` is that time for all spectra on all cores.
`predict_cpu_s` is the CPU time (user and system) of the whole command `wolter predict FAMILY FILE`
on one thread, from start to end, for a spectrum with its background: the least of the rounds.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from benchmarks import fit

from wolter.cluster import cores
from wolter.registry import pretrained
from wolter.registry.checkpoint import Model, load_model
from wolter.spectra.demo import SpectraDemonstration
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import BLOCK, SimulateConfig, Simulator

POINT_FAMILIES = ("mlp", "cnn", "deepspectra")
PIECE = 512  # spectra a forward pass
FITTED = 20  # spectra that Sherpa fits


def run(n: int = 20_000, rounds: int = 3) -> dict[str, Any]:
    """Race on `n` spectra."""
    torch.set_num_threads(cores())
    simulator = Simulator(SimulateConfig(components=False))
    batch = SpectraBatch.concatenate([simulator.draw(0, i) for i in range(-(-n // BLOCK))])[:n]
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    samples = 0
    for family in (*POINT_FAMILIES, "posterior"):
        folder, versions[family] = pretrained.find(family, "champion")
        model = load_model(folder)
        estimate(model, batch[:PIECE])  # warms caches up
        times = rounds if family in POINT_FAMILIES else 1
        seconds[family] = min(_time(model, batch) for _ in range(times))
        if family == "posterior":
            samples = estimate(model, batch[:1])["samples"].shape[1]
    sherpa = _sherpa_s_per_fit()
    return {
        "n": n,
        "cores": cores(),
        "point_s": seconds["deepspectra"],
        "samples_per_spectrum": samples,
        "posterior_s": seconds["posterior"],
        "families": seconds,
        "predict_cpu_s": predict_cpu_s(rounds),
        "versions": versions,
        "sherpa_s_per_fit": sherpa,
        "sherpa_s": None if sherpa is None else sherpa * n / cores(),
    }


def _time(model: Model, batch: SpectraBatch) -> float:
    start = time.perf_counter()
    for piece in batch.split(PIECE):
        estimate(model, piece)
    return time.perf_counter() - start


def predict_cpu_s(rounds: int) -> dict[str, float]:
    """CPU seconds of `wolter predict FAMILY FILE`, by family."""
    with TemporaryDirectory() as name:
        _, files = SpectraDemonstration().request(Path(name))
        words = [str(files["pha"]), "--response", "embedded", "--out", f"{name}/out.csv"]
        families = (*POINT_FAMILIES, "posterior")
        return {
            family: min(_cpu_s(["predict", family, *words]) for _ in range(rounds))
            for family in families
        }


def _cpu_s(words: list[str]) -> float:
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "wolter.cli", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def _sherpa_s_per_fit() -> float | None:
    seconds: float | None = fit.run(FITTED)["sherpa_s_per_fit"]
    return seconds


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
