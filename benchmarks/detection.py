"""Is a component there? False alarms and misses of the likelihood, and of the network alone.

    wolter bench detection --json FILE

At 5, 25 and 100 ks, `n` spectra are drawn from the prior, and `n` more without each component: its
norm is 0. Response and background are those of NGC 7793 ULX-4 (XMM-Newton EPIC-pn) where the
reference data are there, else embedded ones, which the network was not trained on. `likelihood` is
the rise of C-stat where the norm is 0 and all else is fitted anew, against
`wolter.xray.stats.detection.DETECTED`; `network` the deviations between the posterior's mean and
the least norm of the prior, against `wolter.spectra.flags.DETECTED`.

Of each norm, in percent: `false_alarms`, spectra without the component in which it is detected;
`misses`, spectra with it in which it is not, however faint it is; `misses_bright`, the same where
its norm is in the upper half of the prior. `absent_95` is what 95 % of the spectra without it are
below.
Shapes: B batch, C channel, P parameter.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from benchmarks._standard import standard_config
from numpy.typing import NDArray

from wolter.data.seeds import seed_of
from wolter.registry.checkpoint import Model, load_model
from wolter.registry.pretrained import find
from wolter.spectra.fitting.datasets import bounds_of
from wolter.spectra.flags import DETECTED as BY_NETWORK
from wolter.spectra.flags import strength
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraBatch, poisson_counts
from wolter.spectra.simulator import Simulator
from wolter.xray.stats.detection import DETECTED as BY_LIKELIHOOD
from wolter.xray.stats.detection import rise_without
from wolter.xray.stats.fit import Counted, fit

EXPOSURES_S = (5e3, 25e3, 100e3)
Array = NDArray[np.float64]


def run(n: int = 200) -> dict[str, Any]:
    """Detect each component in `n` spectra with it, and in `n` without, at each exposure."""
    model = load_model(find("posterior", "champion")[0])
    simulator = Simulator(standard_config(components=False))
    norms = [p.name for p in simulator.spec.parameters if p.scales_with_flux]
    table = {
        f"{exposure_s:.0f}": _rates(model, simulator, exposure_s, norms, n)
        for exposure_s in EXPOSURES_S
    }
    return {
        "n": n,
        "thresholds": {"likelihood": BY_LIKELIHOOD, "network": BY_NETWORK},
        "by_exposure_s": table,
    }


def _rates(
    model: Model, simulator: Simulator, exposure_s: float, norms: Sequence[str], n: int
) -> dict[str, dict[str, Mapping[str, float]]]:
    """Figures by norm and method."""
    present = _draw(simulator, exposure_s, n, seed_of(0, int(exposure_s)))
    with_it = _strengths(model, simulator, present, norms)
    rates: dict[str, dict[str, Mapping[str, float]]] = {}
    for norm in norms:
        absent = _draw(simulator, exposure_s, n, seed_of(1, int(exposure_s)), without=norm)
        without = _strengths(model, simulator, absent, [norm])
        index = simulator.spec.names.index(norm)
        low, high = simulator.spec.parameters[index].low, simulator.spec.parameters[index].high
        assert present.parameters_BP is not None
        bright_B = (present.parameters_BP[:, index] > (low + high) / 2).numpy()
        rates[norm] = {
            name: {
                "false_alarms": 100 * float((without[norm][name] >= least).mean()),
                "misses": 100 * float((with_it[norm][name] < least).mean()),
                "misses_bright": 100 * float((with_it[norm][name][bright_B] < least).mean()),
                "absent_95": float(np.quantile(without[norm][name], 0.95)),
            }
            for name, least in (("likelihood", BY_LIKELIHOOD), ("network", BY_NETWORK))
        }
    return rates


def _draw(
    simulator: Simulator, exposure_s: float, n: int, seed: int, without: str = ""
) -> SpectraBatch:
    """Spectra from the prior, whose norm of that name is 0."""
    generator = torch.Generator().manual_seed(seed)
    low_P, high_P = simulator.spec.bounds_2P()
    parameters_BP = low_P + (high_P - low_P) * torch.rand(n, len(low_P), generator=generator)
    if without:
        parameters_BP[:, simulator.spec.names.index(without)] = 0.0
    exposure_B = torch.full((n,), exposure_s)
    which_B = torch.randint(len(simulator.background_MC), (n,), generator=generator)
    background_BC = simulator.background_MC[which_B] * exposure_s
    scale_B = simulator.background_scale_M[which_B]
    source_BC = simulator.forward(parameters_BP, exposure_B)
    counts_BC, region_BC = poisson_counts(source_BC, background_BC, scale_B, generator)
    return SpectraBatch(
        counts_BC=counts_BC,
        background_BC=region_BC,
        background_scale_B=scale_B,
        exposure_B=exposure_B,
        parameters_BP=parameters_BP,
        expected_background_BC=background_BC,
        area_BA=simulator.area_A.expand(n, -1),
        redistribution_BQA=simulator.redistribution_QA.expand(n, -1, -1),
    )


def _strengths(
    model: Model, simulator: Simulator, batch: SpectraBatch, norms: Sequence[str]
) -> dict[str, dict[str, Array]]:
    """Detection strength of each norm, by method."""
    spec, values = model.card.spec, estimate(model, batch)
    start_BP = torch.from_numpy(np.stack([values[name] for name in spec.names], 1)).double()
    bounds_2P = bounds_of(simulator.spec.parameters)
    assert batch.expected_background_BC is not None
    data = Counted(batch.counts_BC, batch.exposure_B, batch.expected_background_BC)
    best_BP = fit(simulator.forward, data, start_BP, bounds_2P, search=True).parameters_BP
    strengths = {}
    for norm in norms:
        index = spec.names.index(norm)
        rise_B = rise_without(simulator.forward, data, best_BP, bounds_2P, index)
        network_B = strength(spec, batch.exposure_B.numpy(), values, norm)
        strengths[norm] = {
            "likelihood": rise_B.double().numpy(),
            "network": network_B.astype(np.float64),
        }
    return strengths


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
