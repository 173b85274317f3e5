"""One observed spectrum, answered in four ways: posterior, refined posterior, our fit, Sherpa's.

    wolter bench observed --json FILE [--pha PHA]

Without --pha it is NGC 7793 ULX-4 (XMM-Newton EPIC-pn) of the reference data. All four have the
same counts on the network's energy grid, response, known background (the measured one, smoothed)
and C-stat. Both codes fit from the same starts, the network's estimate and `n` random ones, with
the same bounds, and keep the best; ours also looks for lower minima. Sherpa's model is that of
`_sherpa.py`; its C-stat is computed by our code from its parameters.

Of each, `cstat` with `cstat_expected` and `cstat_sigma` (Kaastra 2017) at the fit, or at the mean
of the expected counts of a posterior. `p_value` is posterior-predictive for posteriors, and for
fits the normal tail of C-stat beyond its expectation less one for each parameter. `effective` is
the share of the network's samples that the likelihood keeps. `explained` says whether any
parameters of the model give such a spectrum; where not, posteriors and fits are those of a model
that is wrong. The picture is one figure of all four.

Shapes: C channel, P parameter, S sample.
"""

import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks import _observed_plot, _sherpa
from torch import Tensor

from wolter.errors import InputError
from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import find
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.model_check import Likelihood, ModelCheck, check_model, predictive
from wolter.spectra.reading import read_observed
from wolter.xray.spectral.writing import write_response
from wolter.xray.stats.fit import Counted, fit, random_starts
from wolter.xray.stats.goodness import goodness, posterior_predictive_p

POSTERIOR, REFINED, OURS, SHERPA = "posterior", "refined posterior", "our fit", "Sherpa's fit"
Entry = dict[str, Any]


def run(n: int = 8, pha: Path | None = None) -> dict[str, Any]:
    """Answer one spectrum; fits from `n` random starts beside the network's."""
    pha = pha or _reference()
    folder, version = find("posterior", "champion")
    model = load_model(folder)
    gridded = GriddedObservation.of(read_observed(pha), model.card.spec, pha.name)
    checked = check_model(model, gridded, refined=True)
    likelihood, names = checked.likelihood, model.card.spec.names
    bounds_2P = torch.stack([likelihood.prior.low_P, likelihood.prior.high_P]).double()
    random_RP = random_starts(bounds_2P, 1, n, torch.Generator().manual_seed(0))[0]
    network_P = checked.sets[POSTERIOR].double().mean(0).clamp(*bounds_2P)
    starts_RP = torch.cat([network_P[None], random_RP])
    fits: dict[str, Tensor | None] = {OURS: _ours(likelihood, starts_RP, bounds_2P), SHERPA: None}
    if _sherpa.installed():
        assert names == _sherpa.NAMES, "Sherpa's model has these parameters"
        fits[SHERPA] = _theirs(likelihood, starts_RP, bounds_2P)
    entries: dict[str, Entry | None] = {
        label: _posterior(checked, samples_SP, names) for label, samples_SP in checked.sets.items()
    }
    for label, best_P in fits.items():
        entries[label] = None if best_P is None else _fit(likelihood, best_P, names)
    shown = {label: best_P for label, best_P in fits.items() if best_P is not None}
    explained = "not_explained" not in checked.flags
    return {
        "file": pha.name,
        "model": model.card.spec.model,
        "model_version": version,
        "counts": float(gridded.record.batch.counts_BC.sum()),
        "exposure_s": float(gridded.record.batch.exposure_B[0]),
        "channels": int(likelihood.seen_C.sum()),
        "starts": len(starts_RP),
        "explained": explained,
        "flags": checked.flags,
        "anomaly": float(checked.values["anomaly"][0]),
        "effective": checked.figures["effective"],
        **entries,
        "pictures": {
            "figure": _observed_plot.draw(checked, model.card.spec, shown, entries, explained)
        },
    }


def _reference() -> Path:
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("WOLTER_REFERENCE_DATA", beside))
    pha = folder / "xmm" / "ngc7793_ulx4" / "PN.pha"
    if not pha.is_file():
        raise InputError(f"{pha}: not there; give a spectrum with --pha")
    return pha


def _ours(likelihood: Likelihood, starts_RP: Tensor, bounds_2P: Tensor) -> Tensor:
    background_BC = likelihood.gridded.background_C[None]
    data = Counted(likelihood.counts_BC, likelihood.exposure_B, background_BC)
    found = fit(likelihood.seen, data, starts_RP[None], bounds_2P, search=True)
    return found.parameters_BP[0]


def _theirs(likelihood: Likelihood, starts_RP: Tensor, bounds_2P: Tensor) -> Tensor:
    gridded, response = likelihood.gridded, likelihood.gridded.response.seen()
    with tempfile.TemporaryDirectory() as name:
        write_response(Path(name) / "grid.rsp", response)
        fitter = _sherpa.fitter(
            Path(name) / "grid.rsp", float(likelihood.exposure_B[0]), bounds_2P.numpy()
        )
    counts_C = likelihood.counts_BC[0].double().numpy()
    background_C = gridded.background_C.double().numpy()
    found = [fitter(counts_C, background_C, start_P.numpy()) for start_P in starts_RP]
    found_RP = torch.from_numpy(np.array(found))
    zeros_R = torch.zeros(len(found_RP), dtype=torch.long)
    return found_RP[likelihood.log(zeros_R, found_RP.float()).argmax()]


def _goodness(likelihood: Likelihood, expected_C: Tensor) -> Entry:
    seen_C = likelihood.seen_C
    found = goodness(likelihood.counts_BC[0, seen_C], expected_C[seen_C])
    return {
        "cstat": float(found.statistic),
        "cstat_expected": float(found.expected),
        "cstat_sigma": float(found.sigma),
    }


def _fit(likelihood: Likelihood, best_P: Tensor, names: tuple[str, ...]) -> Entry:
    entry = _goodness(likelihood, likelihood.expected(best_P[None].float())[0])
    excess = entry["cstat"] + len(names) - entry["cstat_expected"]
    p_value = 0.5 * math.erfc(excess / entry["cstat_sigma"] / math.sqrt(2))
    parameters = dict(zip(names, best_P.tolist(), strict=True))
    return {"parameters": parameters, **entry, "p_value": p_value}


def _posterior(checked: ModelCheck, samples_SP: Tensor, names: tuple[str, ...]) -> Entry:
    likelihood = checked.likelihood
    expected_SC = likelihood.expected(predictive(samples_SP))
    p_B = posterior_predictive_p(
        likelihood.counts_BC[:, likelihood.seen_C],
        expected_SC[None][..., likelihood.seen_C],
        torch.Generator().manual_seed(0),
    )
    quantiles = torch.tensor([0.1587, 0.5, 0.8413])
    limits_3P = samples_SP.quantile(quantiles, dim=0)
    columns = zip(names, samples_SP.mean(0).tolist(), limits_3P.T.tolist(), strict=True)
    parameters = {
        name: {"mean": mean, "lower_68": low, "median": middle, "upper_68": high}
        for name, mean, (low, middle, high) in columns
    }
    goodness_of_mean = _goodness(likelihood, expected_SC.mean(0))
    return {"parameters": parameters, **goodness_of_mean, "p_value": float(p_B[0])}


if __name__ == "__main__":
    figures = run()
    pictures = figures.pop("pictures")
    text = json.dumps(figures, indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
        Path(sys.argv[1]).with_suffix(".png").write_bytes(pictures["figure"])
