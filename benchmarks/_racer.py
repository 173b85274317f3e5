"""One contestant of the simulate race, in a process of its own.

    python -m benchmarks._racer NAME FILE

It prepares, prints `ready`, and for every number of spectra that it reads from standard input it
simulates them and prints the seconds taken. The first three draw parameters from the reference
prior, fold through the same response file and draw Poisson counts of the source alone.

- `wolter`: float32, one thread a core.
- `sherpa`: `fake_pha`, one core a process, with the model of `_sherpa.py`.
- `jaxspec`: `fakeit_for_multiple_parameters`, all spectra of a turn at once,
  compiled before for that number. Its Wabs would download its cross sections: it gets ours.
- `records`: the whole data set of a config file, written to disk by one process, one thread a core:
  what the Ray job does, without Ray.
"""

import math
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks import _sherpa

from wolter import config as configs
from wolter.cluster import cores
from wolter.data.shards import Manifest, Shard, write_manifest, write_shard
from wolter.spectra.simulate import shard_rows, shard_table
from wolter.spectra.simulator import BLOCK, REFERENCE_PRIOR, SimulateConfig, Simulator
from wolter.xray.emission.components import parse
from wolter.xray.spectral.forward import Forward
from wolter.xray.spectral.response import read_response

EXPOSURE_S = 25_000.0

Turn = Callable[[int], Any]
"""Simulates so many spectra."""


def wolter(path: Path) -> Turn:
    forward = Forward.of(
        parse(SimulateConfig.model),
        read_response(path),
        [p.name for p in REFERENCE_PRIOR],
        {"sigma": _sherpa.SIGMA_KEV},
    )
    rng = np.random.default_rng(0)
    torch.set_num_threads(1)  # the blocks run in parallel, not the steps within one
    pool = ThreadPoolExecutor(cores())

    def fake(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        values_BP = torch.from_numpy(_draw(np.random.default_rng(seed), BLOCK)).float()
        return torch.poisson(forward(values_BP, EXPOSURE_S), generator)

    def turn(n: int) -> None:
        seeds = rng.integers(2**31, size=math.ceil(n / BLOCK)).tolist()
        for counts_BC in pool.map(fake, seeds):
            assert counts_BC.shape == (BLOCK, forward.response.n_channels)

    return turn


def sherpa(path: Path) -> Turn:
    from sherpa.astro.fake import fake_pha
    from sherpa.astro.instrument import Response1D

    data = _sherpa.spectrum(path, EXPOSURE_S)
    bounds_2P = np.array([[p.low, p.high] for p in REFERENCE_PRIOR]).T
    source = _sherpa.source(path, bounds_2P)
    model = Response1D(data)(source)
    rng = np.random.default_rng(0)

    def turn(n: int) -> None:
        for values_P in _draw(rng, n):
            for parameter, value in zip(source.free, values_P, strict=True):
                parameter.val = value
            fake_pha(data, model, rng=rng)

    return turn


def jaxspec(path: Path) -> Turn:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jaxspec.data import Instrument, ObsConfiguration
        from jaxspec.data.util import fakeit_for_multiple_parameters
        from jaxspec.model import multiplicative
        from jaxspec.model.additive import Blackbody, Gauss, Powerlaw

    energy_E1 = _energy_edges(path)
    table = (_middle(energy_E1), _sherpa.optical_depth(energy_E1))
    multiplicative._load_xsect = lambda _name: table
    observation = ObsConfiguration.mock_from_instrument(
        Instrument.from_ogip_file(str(path)), EXPOSURE_S
    )
    model = multiplicative.Wabs() * (Powerlaw() + Gauss() + Blackbody())
    names = (
        "wabs_1.nh", "powerlaw_1.alpha", "powerlaw_1.norm", "gauss_1.El", "gauss_1.norm",
        "blackbody_1.kT", "blackbody_1.norm",
    )  # fmt: skip
    rng = np.random.default_rng(0)

    def turn(n: int) -> None:
        values = dict(zip(names, _draw(rng, n).T, strict=True))
        values["gauss_1.sigma"] = np.full(n, _sherpa.SIGMA_KEV)
        key = int(rng.integers(2**31))
        fakeit_for_multiple_parameters(observation, model, values, key).block_until_ready()

    return turn


def records(path: Path) -> Turn:
    config = configs.load(SimulateConfig, path)
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(cores())

    def turn(n: int) -> None:
        rows = shard_rows(n)
        with tempfile.TemporaryDirectory() as name:
            simulator = Simulator(config)

            def write(index: int) -> Shard:
                first = index * rows[0] // BLOCK
                table = shard_table(simulator, 0, first, rows[index])
                return write_shard(Path(name), index, table)

            shards = tuple(pool.map(write, range(len(rows))))
            manifest = Manifest(
                kind="spectra",
                spec=simulator.spec,
                config=configs.to_dict(config),
                seed=0,
                response_sha256=simulator.response_sha256,
                shards=shards,
            )
            assert write_manifest(Path(name), manifest).manifest.rows == n

    return turn


def _draw(rng: np.random.Generator, n: int) -> np.ndarray:
    low_P, high_P = np.array([[p.low, p.high] for p in REFERENCE_PRIOR]).T
    return rng.uniform(low_P, high_P, (n, len(low_P)))


def _energy_edges(path: Path) -> torch.Tensor:
    return read_response(path).energy_edges_E1


def _middle(edges_E1: torch.Tensor) -> np.ndarray:
    return ((edges_E1[1:] + edges_E1[:-1]) / 2).numpy()


def main(name: str, path: Path) -> None:
    racers = {"wolter": wolter, "sherpa": sherpa, "jaxspec": jaxspec, "records": records}
    turn = racers[name](path)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        turn(int(line))
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
