"""Quick looks at spectra: counts in bins of even logarithmic width, and what a model expects there.

Shapes: B batch, C channel, C1 its edges, F narrow band, G bin, N of all records, P parameter,
S sample.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.answering.quick_look import Array, LookAxis, QuickLook
from wolter.spectra.folding import EDGES_KEV, filled, matrices
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.emission import components
from wolter.xray.spectral.smoothing import smooth_background

AXIS = LookAxis("energy", "keV", "log")
BINS = (8, 12, 16, 24, 32, 48)
COUNTS = 12.0  # of a bin, on average: brighter spectra have more bins
SAMPLES = 64  # of a posterior
QUANTILES = (0.5, 0.16, 0.84)
PIECE = 128  # records at a time: bounds the memory

Values = Mapping[str, NDArray[np.float32]]


def quick_looks(
    spec: SpectraSpec, batch: SpectraBatch, values: Values, informed_B: NDArray[np.bool_]
) -> list[QuickLook]:
    """Quick look at each record.

    The posterior's samples are folded through the response that a record describes, the background
    added. A reconstruction, or a single answer, is a line without a band. Records without a
    response and without a reconstruction have no model.

    Args:
        spec: spec of the model.
        batch: the records.
        values: what the model predicts of them.
        informed_B: the estimate is more than the prior; others have no model.
    """
    found: list[QuickLook] = []
    for start in range(0, len(batch), PIECE):
        piece = slice(start, start + PIECE)
        own = {name: value[piece] for name, value in values.items()}
        found += _piece(spec, batch[piece], own, informed_B[piece])
    return found


def starts_of(edges_C1: Array, n: int) -> NDArray[np.int64]:
    """First channels (G) of at most `n` bins of even logarithmic width, none of them empty."""
    wanted = np.geomspace(edges_C1[0], edges_C1[-1], n + 1)[:-1]
    return np.unique(np.abs(edges_C1[:-1, None] - wanted).argmin(0))


def _piece(
    spec: SpectraSpec, batch: SpectraBatch, values: Values, informed_B: NDArray[np.bool_]
) -> list[QuickLook]:
    edges_C1 = np.array(spec.energy_edges)
    counts_BC = batch.counts_BC.double().numpy()
    scale_B1 = batch.background_scale_B[:, None].double()
    smooth_BC = torch.stack([smooth_background(each_C) for each_C in batch.background_BC])
    background_BC = smooth_BC * scale_B1
    expected_BSC = _expected(spec, batch, values, background_BC)
    found = []
    for i, counts_C in enumerate(counts_BC):
        enough = [n for n in BINS if n <= counts_C.sum() / COUNTS]
        starts_G = starts_of(edges_C1, enough[-1] if enough else BINS[0])
        model: tuple[Array, ...] = ()
        if expected_BSC is not None and informed_B[i]:
            model = _model(expected_BSC[i], starts_G)
        found.append(
            QuickLook(
                np.append(edges_C1[starts_G], edges_C1[-1]),
                np.add.reduceat(counts_C, starts_G),
                np.add.reduceat(background_BC[i].numpy(), starts_G),
                float(batch.exposure_B[i]),
                *model,
            )
        )
    return found


def _model(expected_SC: Array, starts_G: NDArray[np.int64]) -> tuple[Array, ...]:
    """Median, and ends of the interval where there are several samples; nothing where unknown."""
    grouped_SG = np.add.reduceat(expected_SC, starts_G, axis=1)
    if not np.isfinite(grouped_SG).all():
        return ()
    if len(grouped_SG) == 1:
        return (grouped_SG[0],)
    return tuple(np.quantile(grouped_SG, QUANTILES, axis=0))


def _expected(
    spec: SpectraSpec, batch: SpectraBatch, values: Values, background_BC: Tensor
) -> Array | None:
    """Expected counts (B, S, C) with background; NaN where there is no response."""
    if "reconstruction" in values:
        return values["reconstruction"].astype(float)[:, None]
    if batch.folding_area_BF is None or batch.folding_offsets_BTA is None or not spec.model:
        return None
    if "samples" in values:
        samples_BSP = torch.from_numpy(values["samples"][:, :SAMPLES]).float()
    elif all(name in values for name in spec.names):
        answer_BP = np.stack([values[name] for name in spec.names], -1)
        samples_BSP = torch.from_numpy(answer_BP)[:, None].float()
    else:
        return None
    edges_F1 = torch.tensor(EDGES_KEV, dtype=torch.float64)
    model = components.parse(spec.model).on(edges_F1, torch.float32)
    b, s, p = samples_BSP.shape
    flat_NP = samples_BSP.reshape(b * s, p)
    named: dict[str, Tensor | float] = {name: flat_NP[:, i] for i, name in enumerate(spec.names)}
    flux_BSF = model(named | spec.fixed).reshape(b, s, -1)
    rate_BSF = flux_BSF * (batch.folding_area_BF * batch.exposure_B[:, None])[:, None]
    matrix_BFC = matrices(batch.folding_offsets_BTA, torch.tensor(spec.energy_edges))
    if batch.filled_BC is not None:
        matrix_BFC = filled(matrix_BFC, batch.filled_BC[:, None])
    expected_BSC: Array = (rate_BSF @ matrix_BFC).double().add(background_BC[:, None]).numpy()
    return expected_BSC
