"""Goodness-of-fit check of a prediction, and refinement of posteriors.

The spectrum is fitted from the model's answer through its own response; where even the best fit is
far from the data, the answer is flagged. Posteriors are refined with the exact likelihood.

Shapes: B batch, C channel, P parameter, S sample.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.errors import InputError
from wolter.registry.checkpoint import Model
from wolter.spectra.flags import NOT_DETECTED, estimate_flags, uninformed
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.predict import estimate
from wolter.spectra.schema import SpectraSpec
from wolter.xray.emission import components
from wolter.xray.spectral.forward import Forward
from wolter.xray.stats.detection import DETECTED, rise_without
from wolter.xray.stats.fit import Counted, fit
from wolter.xray.stats.goodness import goodness, posterior_predictive_p
from wolter.xray.stats.sampling import Sampler, at_least_wide, refine
from wolter.xray.stats.summary import summarise, widths

UNEXPLAINED = 4.0  # standard deviations of C-stat above its expectation
FEW = 1e-3  # posterior-predictive p-value below which a spectrum is not explained
STARTS = 4  # samples that a best fit is started from
PLOTTED = 400  # samples of a predictive distribution


class Likelihood:
    """Expected counts and Poisson likelihood of one spectrum under a model's emission.

    Attributes:
        gridded: the spectrum.
        seen: source counts of parameters and exposures.
        prior: the model's prior, its norms scaled where the exposure is outside the trained range,
            as networks scale them; as it is where `scaled` is false.
        seen_C: channels that the response and QUALITY leave.
    """

    def __init__(self, gridded: GriddedObservation, spec: SpectraSpec, scaled: bool = True) -> None:
        """Prepare the emission model of a spec on the gridded's response."""
        self.gridded, response = gridded, gridded.response
        self.seen = Forward.of(components.parse(spec.model), response, spec.names, spec.fixed)
        self.seen_C = response.matrix_EC.any(0)
        self.exposure_B = gridded.record.batch.exposure_B
        self.counts_BC = gridded.record.batch.counts_BC
        shortest, longest = spec.exposure_s or (0.0, math.inf)
        exposure_s = float(self.exposure_B)
        factor = min(max(exposure_s, shortest), longest) / exposure_s if scaled else 1.0
        self.scales_P = spec.scales_with_flux_P()
        self.prior = spec.prior.scaled(torch.where(self.scales_P, factor, 1.0))

    def expected(self, parameters_NP: Tensor) -> Tensor:
        """Expected counts of source and background (N, C)."""
        exposure_N = self.exposure_B.expand(len(parameters_NP))
        return self.seen(parameters_NP, exposure_N) + self.gridded.background_C

    def log(self, _row_N: Tensor, parameters_NP: Tensor) -> Tensor:
        """Log likelihood of parameters, less what depends on the counts alone."""
        expected_NC = self.expected(parameters_NP).clamp_min(1e-20)
        logs_NC = self.counts_BC * expected_NC.log() - expected_NC
        return logs_NC.double().sum(1)

    @property
    def _counted(self) -> tuple[Counted, Tensor]:
        """The spectrum and the bounds of its fits."""
        data = Counted(self.counts_BC, self.exposure_B, self.gridded.background_C[None])
        return data, torch.stack([self.prior.low_P, self.prior.high_P])

    def undetected(self, best_P: Tensor) -> tuple[str, ...]:
        """Norms of components that are not detected; see `wolter.xray.stats.detection`."""
        data, bounds_2P = self._counted
        names = self.seen.names
        norms = self.scales_P.nonzero().flatten().tolist()
        return tuple(
            names[i]
            for i in norms
            if float(rise_without(self.seen, data, best_P[None], bounds_2P, i)) < DETECTED
        )

    def best(self, start_P: Tensor, samples_SP: Tensor | None = None) -> Tensor:
        """Parameters (P) of the best fit: from a start, the best samples, and the prior's middle.

        The best fit is never worse than any of its starts.
        """
        data, bounds_2P = self._counted
        starts = [start_P[None], self.prior.at(torch.full_like(self.prior.low_P, 0.5))[None]]
        if samples_SP is not None:
            log_S = self._log(samples_SP)
            starts.append(samples_SP[log_S.topk(min(STARTS, len(log_S))).indices])
        start_RP = torch.cat([each.to(self.prior.low_P) for each in starts])
        start_RP = start_RP.clamp(self.prior.low_P, self.prior.high_P).double()
        found = fit(self.seen, data, start_RP[None], bounds_2P, search=True)
        return found.parameters_BP.squeeze(0)

    def better(self, best_P: Tensor, samples_SP: Tensor) -> Tensor:
        """A best fit, fitted again where a sample explains the spectrum better."""
        if self._log(samples_SP).max() <= self._log(best_P[None].float()):
            return best_P
        return self.best(best_P, samples_SP)

    def _log(self, parameters_SP: Tensor) -> Tensor:
        log_S = self.log(torch.zeros(len(parameters_SP)), parameters_SP)
        return log_S.nan_to_num(nan=-torch.inf)


@dataclass
class ModelCheck:
    """Goodness-of-fit check of one prediction.

    Attributes:
        values: predictions of the family for the spectrum, first axis 1 (see `estimate`); the
            summary of the exact posterior where refined.
        figures: `cstat` of the best fit near the answer, `cstat_expected` and `cstat_sigma`
            (Kaastra 2017), `p_value` (posterior-predictive, of posteriors) and `effective` (share
            of the network's samples that the likelihood keeps, where refined).
        flags: see `estimate_flags`, but `not_detected` by the likelihood; `not_explained` where no
            parameters of the model give such a spectrum; `refined` where the answer is the exact
            posterior, which flags on what the network was trained on do not limit.
        sets: (S, P) samples by label, of equal weight.
        best_P: the best fit.
        likelihood: likelihood of the spectrum.
    """

    values: dict[str, NDArray[np.float32]]
    likelihood: Likelihood
    best_P: Tensor
    figures: dict[str, float]
    flags: list[str] = field(default_factory=list)
    sets: dict[str, Tensor] = field(default_factory=dict)


def check_checkable(model: Model) -> None:
    """Check that a model's predictions can be checked by likelihood.

    Raises:
        InputError: they cannot.
    """
    if not model.card.spec.model:
        raise InputError(
            f"{model.family.name}: its training data name no emission model, so that answers "
            "cannot be checked; train it on simulated spectra"
        )


def check_model(model: Model, gridded: GriddedObservation, refined: bool = False) -> ModelCheck:
    """Predict a spectrum, and check the prediction against it.

    Args:
        model: a loaded model of a spectra family that was trained on simulated spectra.
        gridded: the spectrum on the model's grid, with its response and background.
        refined: give the exact posterior in place of the network's; families of posteriors only.

    Raises:
        InputError: the model's answers cannot be held against spectra, or there is no posterior to
            refine.
    """
    check_checkable(model)
    spec, batch = model.card.spec, gridded.record.batch
    few = bool(uninformed(model.card, batch))
    likelihood = Likelihood(gridded, spec, scaled=not few)
    values = estimate(model, batch)
    if refined and "samples" not in values:
        raise InputError(f"{model.family.name} gives no posterior to refine; choose posterior")
    answer_P = torch.tensor([values[name].item() for name in spec.names])
    samples_SP = torch.from_numpy(values["samples"]).squeeze(0) if "samples" in values else None
    best_P = likelihood.best(answer_P, samples_SP)
    figures = _goodness(likelihood, best_P)
    checked = ModelCheck(dict(values), likelihood, best_P, figures)
    if samples_SP is not None:
        if refined:
            figures["effective"] = 0.0
        checked.sets["posterior"] = samples_SP
        if refined and bool(likelihood.counts_BC.any()):  # of no counts the prior is the answer
            checked.sets["refined posterior"] = _refine(checked, spec)
            checked.best_P = likelihood.better(best_P, checked.sets["refined posterior"])
            figures |= _goodness(likelihood, checked.best_P)
        figures["p_value"] = _p_value(checked)
    unexplained = _unexplained(likelihood, figures, len(spec.names), refined)
    exact = "refined posterior" in checked.sets
    # It would be a narrow answer at the prior's edge, to counts that tell little.
    if exact and few and unexplained:
        del checked.sets["refined posterior"]
        checked.values, exact = values, False
    (flags,) = estimate_flags(model.card, batch, checked.values, exact)
    # The likelihood knows better than the network.
    checked.flags += [flag for flag in flags if not flag.startswith(NOT_DETECTED)]
    absent = likelihood.undetected(checked.best_P)
    checked.flags += [f"{NOT_DETECTED}{norm}" for norm in absent]
    if exact:
        checked.flags.append("refined")
    if unexplained:
        checked.flags.append("not_explained")
    return checked


def _goodness(likelihood: Likelihood, best_P: Tensor) -> dict[str, float]:
    seen_C, expected_BC = likelihood.seen_C, likelihood.expected(best_P[None].float())
    found = goodness(likelihood.counts_BC[:, seen_C], expected_BC[:, seen_C])
    return {
        "cstat": float(found.statistic),
        "cstat_expected": float(found.expected),
        "cstat_sigma": float(found.sigma),
    }


def _unexplained(
    likelihood: Likelihood, figures: dict[str, float], fitted: int, refined: bool
) -> bool:
    """True if the best fit, or the exact posterior, does not explain the data."""
    # Each fitted parameter takes one from the statistic, where there are counts to fit.
    fitted = min(fitted, int(likelihood.counts_BC.sum()))
    excess = figures["cstat"] + fitted - figures["cstat_expected"]
    if excess > UNEXPLAINED * figures["cstat_sigma"]:
        return True
    # The p-value of a network's posterior judges the network as well as the model.
    return refined and figures["p_value"] < FEW


def predictive(samples_SP: Tensor) -> Tensor:
    """Evenly spaced samples for a predictive distribution."""
    return samples_SP[torch.linspace(0, len(samples_SP) - 1, PLOTTED).long()]


def _p_value(checked: ModelCheck) -> float:
    likelihood = checked.likelihood
    expected_SC = likelihood.expected(predictive(list(checked.sets.values())[-1]))
    seen_C = likelihood.seen_C
    generator = torch.Generator().manual_seed(0)
    p_B = posterior_predictive_p(
        likelihood.counts_BC[:, seen_C], expected_SC[None][..., seen_C], generator
    )
    return float(p_B)


def _refine(checked: ModelCheck, spec: SpectraSpec) -> Tensor:
    """Refined samples (S, P) of equal weight; the estimates become theirs."""
    sampler = Sampler(checked.likelihood.log, checked.likelihood.prior)
    samples_BSP = torch.from_numpy(checked.values["samples"])
    density_BS = torch.from_numpy(checked.values["log_density"])
    fine = refine(sampler, torch.zeros(1, dtype=torch.long), samples_BSP, density_BS)
    summary = summarise(fine.parameters_BSP, spec.names, fine.weights_BS)
    checked.figures["effective"] = float(fine.share_B)
    weights_S = fine.weights_BS.squeeze(0)
    chosen = torch.multinomial(weights_S, len(weights_S), True, generator=sampler.generator)
    samples_BSP = fine.parameters_BSP[:, chosen]
    wide_BSP = at_least_wide(samples_BSP, widths(summary, spec.names), checked.likelihood.prior)
    if wide_BSP is not samples_BSP:
        samples_BSP, summary = wide_BSP, summarise(wide_BSP, spec.names)
    checked.values |= {name: value.float().numpy() for name, value in summary.items()}
    checked.values["samples"] = samples_BSP.float().numpy()
    return samples_BSP.squeeze(0)
