"""Do 68 % intervals hold 68 % of the truths, within and beyond what the network was trained on?

    wolter bench coverage --json FILE

Each case draws `n` spectra of 25 ks from the prior, through a response and over a background of its
own. Of each: `network`, the percentage of the network's 68 % intervals that hold the truth, by
parameter; `refined`, the same of exact posteriors, of a part of the spectra; `flagged`, the
percentage of spectra with each flag on the training. Response and background of the first case are
those of NGC 7793 ULX-4 (XMM-Newton EPIC-pn), a part of what the pretrained network was trained on,
where the reference data are there; else embedded ones, which it was not.
Shapes: B batch, C channel, P parameter.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from benchmarks._standard import standard_config
from torch import Tensor

from wolter.data.seeds import seed_of
from wolter.registry.checkpoint import Model, load_model
from wolter.registry.pretrained import find
from wolter.spectra.flags import estimate_flags
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraBatch, poisson_counts
from wolter.spectra.simulator import Simulator
from wolter.xray.emission import components
from wolter.xray.instruments import acis, epic_pn
from wolter.xray.spectral.forward import Forward
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import Response
from wolter.xray.stats.sampling import Sampler, refine
from wolter.xray.stats.summary import summarise

EXPOSURE_S = 25e3
REFINED = 6  # one spectrum of so many is refined, too: seconds each
ON_TRAINING = ("response_outside_training", "background_outside_training")


@dataclass(frozen=True)
class Case:
    """Spectra unlike the first case in one thing.

    Attributes:
        response: in place of the simulator's.
        rate: factor of the background's rate.
        scale: scale of the background; the simulator's where None.
    """

    response: Response | None = None
    rate: float = 1.0
    scale: float | None = None


def cases(scale: float) -> dict[str, Case]:
    """Cases by name; `scale` is that of the simulator's background."""
    return {
        "as trained": Case(),
        "embedded thin": Case(epic_pn.response("thin")),
        "embedded thick": Case(epic_pn.response("thick")),
        "embedded acis": Case(acis.response()),
        "scale 0.6": Case(rate=0.6 / scale, scale=0.6),
        "scale 1": Case(rate=1 / scale, scale=1.0),
        "10 backgrounds": Case(rate=10.0),
        "no background": Case(rate=0.0, scale=0.0),
    }


def run(n: int = 600) -> dict[str, Any]:
    """Coverage of each case."""
    model = load_model(find("posterior", "champion")[0])
    simulator = Simulator(standard_config(components=False))
    scale = float(simulator.background_scale_M[0])
    return {
        "n": n,
        "n_refined": max(1, n // REFINED),
        "exposure_s": EXPOSURE_S,
        "cases": {name: _covered(model, simulator, case, n) for name, case in cases(scale).items()},
    }


def _covered(model: Model, simulator: Simulator, case: Case, n: int) -> dict[str, Any]:
    spec, generator = model.card.spec, torch.Generator().manual_seed(seed_of(2, n, "spectra"))
    forward, redistribution_QA = simulator.forward, simulator.redistribution_QA
    if case.response is not None:
        on_grid = case.response.rebin(spec.energy_edges).to(dtype=torch.float32)
        model_of = components.parse(spec.model)
        forward = Forward.of(model_of, on_grid, spec.names, spec.fixed)
        redistribution_QA = recorded_offsets(case.response, PHOTONS_KEV, RECORDED_SHARES).float()
    low_P, high_P = spec.bounds_2P()
    truth_BP = low_P + (high_P - low_P) * torch.rand(n, len(low_P), generator=generator)
    exposure_B = torch.full((n,), EXPOSURE_S)
    scale = simulator.background_scale_M[:1] if case.scale is None else torch.tensor([case.scale])
    background_BC = case.rate * (simulator.background_MC[:1] * EXPOSURE_S).expand(n, -1)
    source_BC = forward(truth_BP, exposure_B)
    counts_BC, region_BC = poisson_counts(source_BC, background_BC, scale.expand(n), generator)
    batch = SpectraBatch(
        counts_BC=counts_BC,
        background_BC=region_BC,
        background_scale_B=scale.expand(n),
        exposure_B=exposure_B,
        area_BA=forward.response.area_between(AREA_EDGES).float().expand(n, -1),
        redistribution_BQA=redistribution_QA.expand(n, -1, -1),
    )
    values = {name: torch.from_numpy(value) for name, value in estimate(model, batch).items()}
    flags = estimate_flags(
        model.card, batch, {name: value.numpy() for name, value in values.items()}
    )
    few = max(1, n // REFINED)

    def log(row_N: Tensor, parameters_NP: Tensor) -> Tensor:
        expected_NC = forward(parameters_NP, exposure_B[row_N]) + background_BC[row_N]
        logs_NC = counts_BC[row_N] * expected_NC.clamp_min(1e-20).log() - expected_NC
        return logs_NC.double().sum(1)

    fine = refine(
        Sampler(log, spec.prior),
        torch.arange(few),
        values["samples"][:few],
        values["log_density"][:few],
    )
    refined = summarise(fine.parameters_BSP, spec.names, fine.weights_BS)
    return {
        "network": _held(spec.names, values, truth_BP),
        "refined": _held(spec.names, refined, truth_BP[:few]),
        "flagged": {flag: 100 * sum(flag in each for each in flags) / n for flag in ON_TRAINING},
    }


def _held(
    names: tuple[str, ...], values: Mapping[str, Tensor], truth_BP: Tensor
) -> dict[str, float]:
    """Percentage of 68 % intervals that hold the truth, by parameter."""
    return {
        name: 100
        * float(
            ((values[f"{name}_lolim"] <= truth_B) & (truth_B <= values[f"{name}_hilim"]))
            .float()
            .mean()
        )
        for name, truth_B in zip(names, truth_BP.T, strict=True)
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
