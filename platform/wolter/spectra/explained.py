"""Goodness of fit of many records: which spectra a model's estimates explain.

The response of a record is made again from its description (`wolter.spectra.folding`), so that no
file is read. Shapes: B batch, C channel, F narrow band, N fitted, P parameter, S sample.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.spectra.folding import EDGES_KEV, filled, matrices
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.model_check import UNEXPLAINED, Likelihood
from wolter.spectra.reading import Record
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.spectral.response import Response
from wolter.xray.spectral.smoothing import smooth_background
from wolter.xray.stats.goodness import goodness

NOT_EXPLAINED = "not_explained"
NOT_CHECKED = "fit_not_checked"
LATENTS = 8  # degrees of freedom that a reconstruction from latents takes, at most
TRIED = 64  # samples that are tried before a fit

Values = Mapping[str, NDArray[np.float32]]


def response_of(batch: SpectraBatch, i: int, energy_edges: tuple[float, ...]) -> Response | None:
    """Response of a record on a grid, made again from its description; None where it has none."""
    if batch.folding_area_BF is None or batch.folding_offsets_BTA is None:
        return None
    area_F, offset_TA = batch.folding_area_BF[i], batch.folding_offsets_BTA[i]
    if bool(area_F.isnan().any()):
        return None
    edges_C1 = torch.tensor(energy_edges, dtype=torch.float64)
    share_FC = matrices(offset_TA[None].float(), edges_C1.float())[0]
    if batch.filled_BC is not None:
        share_FC = filled(share_FC, batch.filled_BC[i])
    edges_F1 = torch.tensor(EDGES_KEV, dtype=torch.float64)
    return Response(edges_F1, area_F[:, None] * share_FC, edges_C1, 0)


def gridded_of(batch: SpectraBatch, i: int, spec: SpectraSpec) -> GriddedObservation | None:
    """A record with its response and expected background; None where it has no response."""
    response = response_of(batch, i, spec.energy_edges)
    if response is None:
        return None
    scale = batch.background_scale_B[i]
    background_C = (smooth_background(batch.background_BC[i].double()) * scale).float()
    return GriddedObservation(Record("", batch[i : i + 1]), response, background_C)


def check_parameters(spec: SpectraSpec, batch: SpectraBatch, values: Values) -> list[str]:
    """Flag of each record: its parameters do not explain it, or could not be checked; else empty.

    The best of the posterior's samples is tried first, and only where it is far from the data is
    the best fit searched, which takes a second.

    Args:
        spec: spec of the model.
        batch: the records.
        values: the model's estimates of them.
    """
    return [_check(spec, batch, values, i) for i in range(len(batch))]


def _check(spec: SpectraSpec, batch: SpectraBatch, values: Values, i: int) -> str:
    gridded = gridded_of(batch, i, spec)
    if gridded is None or not spec.model:
        return NOT_CHECKED
    if not bool(batch.counts_BC[i].any()):
        return ""
    likelihood = Likelihood(gridded, spec)
    answer_P = torch.tensor([float(values[name][i]) for name in spec.names])
    samples_SP = torch.from_numpy(values["samples"][i]) if "samples" in values else answer_P[None]
    log_S = likelihood.log(torch.zeros(1), samples_SP[:TRIED]).nan_to_num(nan=-torch.inf)
    tried_P = samples_SP[log_S.argmax()]
    if _explains(likelihood, tried_P, 0):
        return ""
    best_P = likelihood.best(answer_P, samples_SP)
    return "" if _explains(likelihood, best_P.float(), len(spec.names)) else NOT_EXPLAINED


def _explains(likelihood: Likelihood, parameters_P: Tensor, fitted: int) -> bool:
    seen_C = likelihood.seen_C
    expected_C = likelihood.expected(parameters_P[None])[0, seen_C]
    found = goodness(likelihood.counts_BC[0, seen_C], expected_C)
    excess = float(found.statistic + fitted - found.expected)
    return excess <= UNEXPLAINED * float(found.sigma)


def check_reconstructions(batch: SpectraBatch, values: Values) -> list[str]:
    """Flag of each record: its reconstruction does not explain it; empty where it does."""
    if "reconstruction" not in values:
        return [NOT_CHECKED] * len(batch)
    found = goodness(batch.counts_BC, torch.from_numpy(values["reconstruction"]).clamp_min(1e-12))
    fitted_B = batch.counts_BC.sum(1).clamp_max(LATENTS)
    excess_B = found.statistic + fitted_B - found.expected
    return [NOT_EXPLAINED if bad else "" for bad in (excess_B > UNEXPLAINED * found.sigma).tolist()]
