"""One contestant of the simulate race, in a process of its own.

    python _racer.py NAME FILE

It prepares, prints `ready`, and for every number of spectra that it reads from standard input it
simulates them and prints the seconds taken. The first three draw parameters from the reference
prior, fold through the same response file and draw Poisson counts of the source alone.

- `wolter`: float32, one thread a core.
- `sherpa`: `fake_pha`, one core a process. Sherpa has no XSPEC models of its
  own: it gets its compiled power law, line and black body, and for the absorption the cheapest
  model possible, one exponential of a cross section computed beforehand.
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

from wolter import config as configs
from wolter.cluster import cores
from wolter.data.shards import Manifest, Shard, write_manifest, write_shard
from wolter.data.simulate import shard_rows, shard_table
from wolter.data.simulator import BLOCK, REFERENCE_PRIOR, SimulateConfig, Simulator
from wolter.xray.emission import parse
from wolter.xray.forward import Forward
from wolter.xray.response import read_response

EXPOSURE_S = 25_000.0
SIGMA_KEV = 0.1

Turn = Callable[[int], Any]
"""Simulates so many spectra."""


def wolter(path: Path) -> Turn:
    forward = Forward.of(
        parse(SimulateConfig.model),
        read_response(path),
        [p.name for p in REFERENCE_PRIOR],
        {"sigma": SIGMA_KEV},
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
    from sherpa.astro.data import DataPHA
    from sherpa.astro.fake import fake_pha
    from sherpa.astro.instrument import Response1D
    from sherpa.astro.io import read_rmf
    from sherpa.astro.models import BBody
    from sherpa.models.basic import NormGauss1D, PowLaw1D
    from sherpa.models.model import ArithmeticModel
    from sherpa.models.parameter import Parameter

    depth_E = _optical_depth(_energy_edges(path))

    class Absorption(ArithmeticModel):
        def __init__(self) -> None:
            self.nh = Parameter("absorption", "nh", 1.0)
            ArithmeticModel.__init__(self, "absorption", (self.nh,))

        def calc(self, p: Any, *_edges: Any, **_options: Any) -> Any:
            return np.exp(-p[0] * depth_E)

    rmf = read_rmf(str(path))
    data = DataPHA("fake", np.arange(rmf.detchans), np.zeros(rmf.detchans))
    data.exposure = EXPOSURE_S
    data.set_response(rmf=rmf)
    absorption, line, power, body = Absorption(), NormGauss1D(), PowLaw1D(), BBody()
    model = Response1D(data)(absorption * (power + line + body))
    line.fwhm = SIGMA_KEV * math.sqrt(8 * math.log(2))
    body.space = 0  # of energies, keV
    free = (
        absorption.nh, power.gamma, power.ampl, line.pos, line.ampl, body.kt, body.ampl
    )  # in the order of the prior  # fmt: skip
    rng = np.random.default_rng(0)

    def turn(n: int) -> None:
        values_BP = _draw(rng, n)
        values_BP[:, 6] *= 8.0525 / values_BP[:, 5] ** 4  # the norm of its black body
        for values_P in values_BP:
            for parameter, value in zip(free, values_P, strict=True):
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
    table = (_middle(energy_E1), _optical_depth(energy_E1))
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
        values["gauss_1.sigma"] = np.full(n, SIGMA_KEV)
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


def _optical_depth(energy_edges_E1: torch.Tensor) -> np.ndarray:
    """Of the Wisconsin absorption at nh = 1, in every bin."""
    factor_E = parse("wabs")(energy_edges_E1, {"nh": 0.01})[0]
    return -100 * factor_E.log().numpy()


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
