"""Race of classical fits: ours against Sherpa's, and what a good start is worth.

    wolter bench fit --json FILE

Both fit the same spectra (XMM-Newton EPIC-pn on the networks' energy grid, 25 ks, the response and
background of NGC 7793 ULX-4 where the reference data are there, else embedded ones) with the same
model, known background, bounds and start, the middle of the prior, each on one core. Ours is fitted
with the search for lower minima, and the statistic of both answers is computed by the same code.

Sherpa's model is that of `_sherpa.py`.

`mfe_percent` is the mean fractional error of `n_mfe` spectra by start: `prior` (one descent from
the middle, as is usual), `prior_search`, `network` (registered champion, else null) and `truth`.
Shapes: B batch, C channel, E energy, P parameter.
"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks import _sherpa
from benchmarks._standard import standard_config
from torch import Tensor

from wolter.errors import InputError
from wolter.registry.pretrained import find
from wolter.spectra.fitting.datasets import bounds_of
from wolter.spectra.fitting.files import FromNetwork
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import BLOCK, Simulator
from wolter.xray.spectral.writing import write_response
from wolter.xray.stats.fit import Counted, Fit, fit, middle

EXPOSURE_S = 25_000.0
RACE = ("sherpa_s_per_fit", "no_worse_than_sherpa", "sherpa_no_worse_than_ours")
CLOSE = 0.1  # of the statistic: a tenth of the rise that makes a 68 % interval
MFE_OF = 5  # times as many spectra for the errors, whose tails are heavy
NETWORK_OF_TRUTH = 1.1  # a good start ends within 10 % of the best one


def run(n: int = 200) -> dict[str, Any]:
    """Race on `n` spectra; errors from five times as many."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _run(n)
    finally:
        torch.set_num_threads(threads)


def _run(n: int) -> dict[str, Any]:
    simulator = Simulator(standard_config(exposure_s=(EXPOSURE_S, EXPOSURE_S)))
    blocks = [simulator.draw(0, i) for i in range(math.ceil(MFE_OF * n / BLOCK))]
    batch = SpectraBatch.concatenate(blocks)[: MFE_OF * n]
    bounds_2P = bounds_of(simulator.spec.parameters)
    start_BP = middle(bounds_2P, len(batch))
    assert batch.parameters_BP is not None

    def ours(start_BP: Tensor, rows: SpectraBatch = batch, **options: bool) -> tuple[Fit, float]:
        assert rows.expected_background_BC is not None
        data = Counted(rows.counts_BC, rows.exposure_B, rows.expected_background_BC)
        begin = time.perf_counter()
        best = fit(simulator.forward, data, start_BP, bounds_2P, **options)
        return best, (time.perf_counter() - begin) / len(rows)

    ours(start_BP[:8], batch[:8])  # warms up
    descent, descent_s = ours(start_BP)
    searched, searched_s = ours(start_BP, search=True)
    truth, _ = ours(batch.parameters_BP)
    _, intervals_s = ours(batch.parameters_BP[:n], batch[:n], intervals=True)
    network_BP = _network(simulator, batch)
    network, network_s = (None, None) if network_BP is None else ours(network_BP)
    by_start = {"prior": descent, "prior_search": searched, "network": network, "truth": truth}
    errors = {k: None if v is None else _mfe(simulator, batch, v) for k, v in by_start.items()}
    return {
        "n": n,
        "instrument": simulator.spec.instrument,
        "ours_s_per_fit": searched_s,
        **_race(simulator, batch[:n], searched.statistic_B[:n], bounds_2P),
        "ours_s_per_fit_by_start": {
            "prior": descent_s, "prior_search": searched_s, "network": network_s
        },
        "intervals_s_per_fit": intervals_s,
        "minutes_of_20000_fits_on_two_cores": searched_s * 20_000 / 2 / 60,
        "converged": float(searched.converged_B.double().mean()),
        "n_mfe": len(batch),
        "mfe_percent": errors,
        **_verdict(errors["prior"], errors["network"], errors["truth"]),
    }  # fmt: skip


def _network(simulator: Simulator, batch: SpectraBatch) -> Tensor | None:
    """Starts from the champion, else from the latest model; None where there is none."""
    for which in ("champion", "latest"):
        try:
            network = FromNetwork(find("deepspectra", which)[0])
            network.check(simulator.spec)
        except InputError:
            continue
        return network(batch)
    return None


def _mfe(simulator: Simulator, batch: SpectraBatch, best: Fit) -> dict[str, float]:
    truth_BP = batch.parameters_BP
    assert truth_BP is not None
    error_P = 100 * ((best.parameters_BP - truth_BP).abs() / truth_BP).mean(0)
    return dict(zip(simulator.spec.names, error_P.tolist(), strict=True))


def _verdict(
    prior: dict[str, float] | None,
    network: dict[str, float] | None,
    truth: dict[str, float] | None,
) -> dict[str, bool | None]:
    """Verdict on the starts: network against prior and truth."""
    if prior is None or network is None or truth is None:
        return {"network_beats_prior": None, "network_near_truth": None}
    return {
        "network_beats_prior": all(network[k] < prior[k] for k in prior),
        "network_near_truth": all(network[k] <= NETWORK_OF_TRUTH * truth[k] for k in truth),
    }


def _race(
    simulator: Simulator, batch: SpectraBatch, ours_B: Tensor, bounds_2P: Tensor
) -> dict[str, float | None]:
    """Sherpa's fits of the same spectra, and how often ours are no worse."""
    if not _sherpa.installed():
        return dict.fromkeys(RACE)
    assert batch.expected_background_BC is not None
    with tempfile.TemporaryDirectory() as name:
        write_response(Path(name) / "grid.rsp", simulator.forward.response)
        sherpa = _sherpa.fitter(Path(name) / "grid.rsp", EXPOSURE_S, bounds_2P.numpy())
    counts_BC, background_BC = batch.counts_BC.double(), batch.expected_background_BC.double()
    start_P = bounds_2P.mean(0).numpy()
    begin = time.perf_counter()
    found = [
        sherpa(counts_C.numpy(), background_C.numpy(), start_P)
        for counts_C, background_C in zip(counts_BC, background_BC, strict=True)
    ]
    seconds = (time.perf_counter() - begin) / len(batch)
    best_BP = torch.from_numpy(np.array(found))
    data = Counted(batch.counts_BC, batch.exposure_B, batch.expected_background_BC)
    theirs_B = data.statistic(simulator.forward(best_BP.float(), batch.exposure_B))
    ours_share = float((ours_B <= theirs_B + CLOSE).double().mean())
    theirs_share = float((theirs_B <= ours_B + CLOSE).double().mean())
    return dict(zip(RACE, (seconds, ours_share, theirs_share), strict=True))


if __name__ == "__main__":
    text = json.dumps(run(), indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
