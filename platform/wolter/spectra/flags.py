"""Quality flags of estimates, and the prior as the answer for too few counts.

Shapes: B batch, P parameter, S sample.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.registry.checkpoint import Card
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.stats.sampling import even_normals
from wolter.xray.stats.summary import summarise

Values = Mapping[str, NDArray[np.float32]]

DETECTED = 2.0  # deviations of a norm's posterior between its mean and the least norm of the prior
PRIOR_SAMPLES = 1000
NOT_DETECTED = "not_detected:"
ANOMALOUS = 3.5  # sigmas from the training spectra: one in a thousand of their kind is beyond
EDGE = 0.005  # of the prior's range: an estimate this near its edge may stand for any value beyond


def uninformed(card: Card, batch: SpectraBatch) -> Tensor:
    """Mask of spectra (B) with too few counts: none, or fewer than any training spectrum."""
    none_B = batch.counts_BC.sum(1) == 0
    return none_B if card.trained is None else none_B | card.trained.few_counts(batch)


def prior_back(
    card: Card, batch: SpectraBatch, values: dict[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Replace the estimates of `uninformed` spectra by the prior.

    Of spectra with fewer net counts than any training spectrum, 68 % intervals of the pretrained
    posterior hold 10 to 40 % of the truths; the prior's hold 68.
    """
    few_B = uninformed(card, batch).cpu().numpy()
    for name in card.spec.names:  # what is no number is a model's fault, and stays
        few_B &= np.isfinite(values[name])
    if not few_B.any():
        return values
    samples = values.get("samples")
    size = PRIOR_SAMPLES if samples is None else samples.shape[1]
    normal_SP = even_normals(size, len(card.spec.parameters))
    prior_SP = card.spec.prior.physical(normal_SP)
    density_S = (-0.5 * (normal_SP.square() + math.log(2 * math.pi))).sum(1)
    known = summarise(prior_SP[None], card.spec.names) | {
        "samples": prior_SP[None],
        "log_density": density_S[None],
    }
    given = {name: value.copy() for name, value in values.items()}
    for name in given.keys() & known.keys():
        given[name][few_B] = known[name].numpy()
    return given


def record_flags(card: Card, batch: SpectraBatch, values: Values) -> list[list[str]]:
    """Flags on whatever a model predicts of spectra.

    - `no_counts`, `few_counts`: fewer than any training spectrum has.
    - `no_background`.
    - `anomalous`: a spectrum unlike all that the model was trained on, whose predictions may be
      anything (`anomaly_unknown` where the model cannot tell).
    - `area_unknown`, of posteriors and latents: counts came without their response, and norms and
      fluxes are guesses.
    - `exposure_outside_training`, `response_outside_training` (effective area or redistribution)
      and `background_outside_training` (scale or level, or none at all): nothing is known of how
      good the predictions are (`training_ranges_unknown` where the model cannot tell).

    Args:
        card: card of the model.
        batch: the spectra.
        values: what the model predicts of them.
    """
    flags: list[list[str]] = [[] for _ in range(len(batch))]

    def set_flag(name: str, where_B: NDArray[np.bool_]) -> None:
        for index in np.flatnonzero(where_B):
            flags[index].append(name)

    none_B = (batch.counts_BC.sum(1) == 0).numpy()
    few_B = uninformed(card, batch).numpy()
    set_flag("no_counts", none_B)
    set_flag("few_counts", few_B & ~none_B)
    set_flag("no_background", (batch.background_scale_B == 0).numpy())
    if "anomaly" in values:
        set_flag("anomalous", values["anomaly"] > ANOMALOUS)
        set_flag("anomaly_unknown", np.isnan(values["anomaly"]))
    if values.keys() & {"samples", "latent"}:  # point families do not read it
        area_BA = batch.area_BA
        unknown_B = (
            torch.ones(len(batch), dtype=torch.bool) if area_BA is None else area_BA.isnan().any(1)
        )
        set_flag("area_unknown", unknown_B.cpu().numpy())
    exposure_B = batch.exposure_B.numpy()
    shortest, longest = card.spec.exposure_s or (0.0, np.inf)
    # Headers are rounded.
    outside_B = (exposure_B < 0.999 * shortest) | (exposure_B > 1.001 * longest)
    set_flag("exposure_outside_training", outside_B)
    if card.trained is None:
        set_flag("training_ranges_unknown", np.ones(len(batch), dtype=bool))
    else:
        set_flag("response_outside_training", card.trained.other_response(batch).numpy())
        set_flag("background_outside_training", card.trained.other_background(batch).numpy())
    return flags


def estimate_flags(
    card: Card, batch: SpectraBatch, values: Values, exact: bool = False
) -> list[list[str]]:
    """Flags on each estimate of parameters: `record_flags`, and those of parameters.

    Of too few counts the prior is given back, and every component is `not_detected`.

    - `at_prior_edge:<parameter>`: the truth may lie outside the range that was trained on.
    - `not_detected:<norm>`: the component may be absent, and its upper limit is the answer. The
      posterior's mean is less than `DETECTED` of its deviations above the prior's least norm; see
      `wolter.spectra.model_check` for the decision by likelihood.

    Args:
        card: card of the model.
        batch: the spectra.
        values: values of `wolter.spectra.predict.estimate`.
        exact: they are exact posteriors, which need no prior in their place.
    """
    spec, flags = card.spec, record_flags(card, batch, values)

    def set_flag(name: str, where_B: NDArray[np.bool_]) -> None:
        for index in np.flatnonzero(where_B):
            flags[index].append(name)

    exposure_B = batch.exposure_B.numpy()
    if card.trained is not None:
        exposure_B = card.trained.effective_exposure(batch).numpy()
    shortest, longest = spec.exposure_s or (0.0, np.inf)
    few_B = uninformed(card, batch).numpy() & (not exact)
    prior = spec.prior.to(torch.float64)
    inner_P, outer_P = (
        prior.at(torch.full_like(prior.low_P, at)).tolist() for at in (EDGE, 1 - EDGE)
    )
    for p, inner, outer in zip(spec.parameters, inner_P, outer_P, strict=True):
        value_B = values[p.name]
        if p.scales_with_flux:  # what is trained is norm times exposure
            value_B = value_B * exposure_B / np.clip(exposure_B, shortest, longest)
        at_edge_B = (value_B <= inner) | (value_B >= outer)
        set_flag(f"at_prior_edge:{p.name}", at_edge_B & ~few_B)
        if p.scales_with_flux:
            absent_B = few_B.copy()
            if "samples" in values:
                absent_B |= strength(spec, exposure_B, values, p.name) < DETECTED
            set_flag(f"{NOT_DETECTED}{p.name}", absent_B)
    return flags


def strength(
    spec: SpectraSpec, exposure_B: NDArray[np.float32], values: Values, norm: str
) -> NDArray[np.float32]:
    """Deviations of a norm's samples (B) between their mean and the least norm of the prior."""
    index = spec.names.index(norm)
    samples_BS = values["samples"][:, :, index]
    shortest, longest = spec.exposure_s or (0.0, np.inf)
    least_B = spec.parameters[index].low * np.clip(exposure_B, shortest, longest) / exposure_B
    deviation_B = samples_BS.std(1)
    strength_B: NDArray[np.float32] = (samples_BS.mean(1) - least_B) / np.maximum(
        deviation_B, 1e-30
    )
    return strength_B
