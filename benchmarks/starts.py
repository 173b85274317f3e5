"""Benchmark of local minima: share of fits that end above the lowest minimum.

    PYTHONPATH=platform:. python benchmarks/starts.py [N [EXPOSURE_S [STATISTIC]]]

Spectra of the reference model, drawn over the whole prior on the embedded EPIC-pn, are fitted as
`wolter fit` does by default (from the middle of the prior, with the search for lower minima). The
lowest statistic known of each is the least of that and of fits from the network's answer, from
`RANDOM` random points, from the truth, and by a simplex from the truth. By default N = 2,000 at
each of 5, 25 and 100 ks, by C-stat and by W-stat.

`above_1` is the share that ends more than 1 above the lowest, `converged` that of fits that say so.
`steep_converged` counts those that say so though the projected gradient, computed anew in float64,
is above its tolerance; `steepest` is the largest. Shapes: B batch, P parameter.
"""

import json
import sys
import time
from typing import Any

import torch
from benchmarks.fit import _network
from torch import Tensor

from wolter.spectra.fitting.datasets import bounds_of
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import BLOCK, SimulateConfig, Simulator
from wolter.xray.emission import components
from wolter.xray.spectral.forward import Forward
from wolter.xray.stats.fit import Counted, Fit, fit, middle, random_starts
from wolter.xray.stats.levenberg_marquardt import FLAT, linearise
from wolter.xray.stats.quadratic import remaining
from wolter.xray.stats.unit_box import UnitBox

EXPOSURES_S = (5e3, 25e3, 100e3)
STATISTICS = ("cstat", "wstat")
RANDOM = 4


def run(
    n: int = 2000,
    exposures_s: tuple[float, ...] = EXPOSURES_S,
    statistics: tuple[str, ...] = STATISTICS,
) -> dict[str, Any]:
    """Shares of fits that miss the lowest minimum, for each exposure and statistic."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [_case(n, s, statistic) for s in exposures_s for statistic in statistics]
    finally:
        torch.set_num_threads(threads)
    return {"n": n, "random_starts": RANDOM, "tolerance": FLAT, "cases": rows}


def _case(n: int, exposure_s: float, statistic: str) -> dict[str, Any]:
    simulator = Simulator(SimulateConfig(exposure_s=(exposure_s, exposure_s)))
    blocks = [simulator.draw(0, i) for i in range(-(-n // BLOCK))]
    batch = SpectraBatch.concatenate(blocks)[:n]
    assert batch.parameters_BP is not None
    data, bounds_2P = _counted(batch, statistic), bounds_of(simulator.spec.parameters)
    truth_BP = batch.parameters_BP.double()

    def ended(start: Tensor, **options: Any) -> Fit:
        return fit(simulator.forward, data, start, bounds_2P, **options)

    begin = time.process_time()
    default = ended(middle(bounds_2P, n), search=True)
    seconds = (time.process_time() - begin) / n
    generator = torch.Generator().manual_seed(0)
    others = {
        "truth": ended(truth_BP),
        "random": ended(random_starts(bounds_2P, n, RANDOM, generator)),
        "simplex": ended(truth_BP, method="simplex"),
    }
    network_BP = _network(simulator, batch)
    if network_BP is not None:
        others["network"] = ended(network_BP)
    lowest_B = torch.stack([f.statistic_B for f in (default, *others.values())]).amin(0)
    flat_B = _flat(simulator, data, default)
    steep_B = default.converged_B & (flat_B > FLAT)
    return {
        "exposure_s": exposure_s,
        "statistic": statistic,
        "above_1": _share(default.statistic_B > lowest_B + 1),
        "above_0.1": _share(default.statistic_B > lowest_B + 0.1),
        "most_above": float((default.statistic_B - lowest_B).max()),
        "converged": _share(default.converged_B),
        "steep_converged": int(steep_B.sum()),
        "steepest": float(flat_B[default.converged_B].max()),
        "above_1_of_others": {k: _share(f.statistic_B > lowest_B + 1) for k, f in others.items()},
        "converged_of_others": {k: _share(f.converged_B) for k, f in others.items()},
        "cpu_s_per_fit": seconds,
    }


def _counted(batch: SpectraBatch, statistic: str) -> Counted:
    if statistic == "wstat":
        scale_B = batch.background_scale_B
        return Counted(batch.counts_BC, batch.exposure_B, batch.background_BC, scale_B)
    assert batch.expected_background_BC is not None
    return Counted(batch.counts_BC, batch.exposure_B, batch.expected_background_BC)


@torch.inference_mode()
def _flat(simulator: Simulator, data: Counted, best: Fit) -> Tensor:
    """Projected gradients (B) of the model in float64."""
    config = simulator.config
    exact = Forward.of(
        components.parse(config.model),
        simulator.forward.response.to(dtype=torch.float64),
        simulator.spec.names,
        config.fixed,
    )
    box = UnitBox.of(exact, bounds_of(simulator.spec.parameters))
    double = Counted(
        data.counts_BC.double(),
        data.exposure_B.double(),
        data.background_BC.double(),
        None if data.scale_B is None else data.scale_B.double(),
    )
    point_BP = box.enter(best.parameters_BP)
    slopes = linearise(box, double, point_BP, box.expected(point_BP, double), central=True)
    return remaining(point_BP, *slopes, torch.ones_like(point_BP, dtype=torch.bool))[0]


def _share(found_B: Tensor) -> float:
    return float(found_B.double().mean())


if __name__ == "__main__":
    given = sys.argv[1:]
    cases: dict[str, Any] = {"n": int(given[0])} if given else {}
    cases |= {"exposures_s": (float(given[1]),)} if given[1:] else {}
    cases |= {"statistics": (given[2],)} if given[2:] else {}
    print(json.dumps(run(**cases), indent=2))
