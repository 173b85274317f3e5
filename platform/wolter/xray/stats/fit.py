"""Classical fits of many spectra at once: maximum likelihood of Poisson counts, with errors.

Shapes: B batch, P parameter, R starts of each spectrum, S side of an interval (low, high).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.stats.counts import Counted
from wolter.xray.stats.global_search import escape
from wolter.xray.stats.levenberg_marquardt import Optimum, linearise, minimise, optimal
from wolter.xray.stats.nelder_mead import simplex
from wolter.xray.stats.profile import profile
from wolter.xray.stats.quadratic import at_bound
from wolter.xray.stats.unit_box import Model, UnitBox

__all__ = ["Counted", "Fit", "Method", "Model", "fit", "middle", "random_starts"]

Method = Literal["lm", "simplex"]
CHUNK = 1024  # fits at once: bounds the memory, and is enough to fill a processor


class Minimiser(Protocol):
    """From points in the unit box to minima."""

    def __call__(self, box: UnitBox, data: Counted, start_BP: Tensor) -> Optimum:
        """Minimise."""


_METHODS: Mapping[str, Minimiser] = {"lm": minimise, "simplex": simplex}


@dataclass(frozen=True, eq=False)
class Fit:
    """Best fits, float64.

    Attributes:
        parameters_BP: at the lowest statistic, in the parameters' own units.
        statistic_B: C-stat or W-stat there.
        covariance_BPP: inverse Fisher information; parameters at a bound count as fixed and have
            zeros. Infinite where the data say nothing of a parameter.
        converged_B: the projected gradient and the expected fall of the statistic are small there,
            see `wolter.xray.stats.levenberg_marquardt.minimise`, whatever the method.
        at_bound_BP: parameters at a bound.
        limits_BSP: profile-likelihood intervals (statistic + 1, 68 %), where asked for.
    """

    parameters_BP: Tensor
    statistic_B: Tensor
    covariance_BPP: Tensor
    converged_B: Tensor
    at_bound_BP: Tensor
    limits_BSP: Tensor | None = None

    @property
    def error_BP(self) -> Tensor:
        """Standard errors from the covariance; NaN for parameters at a bound."""
        sigma_BP = self.covariance_BPP.diagonal(dim1=1, dim2=2).sqrt()
        return torch.where(self.at_bound_BP, torch.nan, sigma_BP)


@torch.inference_mode()
def fit(
    model: Model,
    data: Counted,
    start: Tensor,
    bounds_2P: Tensor,
    *,
    method: str = "lm",
    search: bool = False,
    intervals: bool = False,
) -> Fit:
    """Fit every spectrum of a batch.

    Args:
        model: expected source counts of parameters and exposures (s): a `Forward`, or any callable
            of the same signature, such as an emulator.
        data: counts, exposures, and backgrounds known (C-stat) or measured (W-stat).
        start: of each spectrum (B, P), or several of each (B, R, P), of which the best is kept.
        bounds_2P: lowest and highest values.
        method: "lm" (Levenberg-Marquardt by Fisher scoring) or "simplex" (Nelder-Mead).
        search: then look for lower minima, see `wolter.xray.stats.global_search`; ten times the
            time. Without it a third of the fits that start in the middle of the bounds end in a
            local minimum.
        intervals: add profile-likelihood intervals; ten times the time.

    Raises:
        InputError: shapes or bounds do not fit, or the method is unknown.
    """
    if method not in _METHODS:
        raise InputError(f"unknown method {method!r}; choose one of: {', '.join(_METHODS)}")
    start_BRP = start if start.ndim == 3 else start[:, None]
    n, p = len(data), bounds_2P.shape[-1]
    if start_BRP.shape[::2] != (n, p):
        raise InputError(f"starts of shape {tuple(start.shape)} for {n} spectra, {p} parameters")
    if not bool((bounds_2P[0] < bounds_2P[1]).all()):
        raise InputError("bounds: every lowest value must be below the highest")
    box = UnitBox.of(model, bounds_2P)
    one = partial(_fit_chunk, box, method=_METHODS[method], search=search, intervals=intervals)
    size = max(1, CHUNK // (start_BRP.shape[1] * (2 if intervals else 1)))
    pieces = [slice(i, i + size) for i in range(0, n, size)] or [slice(0, 0)]
    fits = [vars(one(data[piece], start_BRP[piece])) for piece in pieces]
    columns = {name: [fit[name] for fit in fits] for name in fits[0]}
    joined = {k: None if parts[0] is None else torch.cat(parts) for k, parts in columns.items()}
    return Fit(**joined)  # type: ignore[arg-type]


def middle(bounds_2P: Tensor, n: int) -> Tensor:
    """The middle of the bounds as start of `n` spectra: (B, P), float64."""
    return bounds_2P.double().mean(0).expand(n, -1)


def random_starts(bounds_2P: Tensor, n: int, count: int, generator: torch.Generator) -> Tensor:
    """Starts drawn evenly between the bounds, `count` of each spectrum: (B, R, P), float64."""
    low_P, high_P = bounds_2P.double()
    unit_BRP = torch.rand(n, count, len(low_P), generator=generator, dtype=torch.float64)
    start_BRP: Tensor = low_P + (high_P - low_P) * unit_BRP
    return start_BRP


def _fit_chunk(
    box: UnitBox,
    data: Counted,
    start_BRP: Tensor,
    *,
    method: Minimiser,
    search: bool,
    intervals: bool,
) -> Fit:
    n, starts, p = start_BRP.shape
    repeated = data[torch.arange(n, device=start_BRP.device).repeat_interleave(starts)]
    found = method(box, repeated, box.enter(start_BRP.reshape(-1, p)))
    best = found.statistic_B.reshape(n, starts).argmin(1) + starts * torch.arange(
        n, device=start_BRP.device
    )
    found = Optimum(*(value[best] for value in vars(found).values()))
    if search:
        found = escape(box, data, found)
    covariance_BPP, at_bound_BP = _covariance(box, data, found.point_BP)
    limits_BSP = None
    if intervals:
        unit_BSP = profile(box, data, found.point_BP, found.statistic_B, covariance_BPP)
        limits_BSP = box.leave(unit_BSP)
    return Fit(
        parameters_BP=box.leave(found.point_BP),
        statistic_B=found.statistic_B,
        covariance_BPP=covariance_BPP * box.width_P[:, None] * box.width_P,
        converged_B=found.converged_B & optimal(box, data, found.point_BP),
        at_bound_BP=at_bound_BP,
        limits_BSP=limits_BSP,
    )


def _covariance(box: UnitBox, data: Counted, point_BP: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse Fisher information in the unit box, and which parameters are at a bound."""
    gradient_BP, fisher_BPP = linearise(box, data, point_BP, box.expected(point_BP, data))
    at_bound_BP = (point_BP <= 0) | (point_BP >= 1) | at_bound(point_BP, gradient_BP)
    fixed_BPP = at_bound_BP[:, :, None] | at_bound_BP[:, None]
    size_BP = fisher_BPP.diagonal(dim1=1, dim2=2).sqrt()
    unknown_BP = ~at_bound_BP & (size_BP < 1e-9)
    size_BP = torch.where(at_bound_BP | unknown_BP, 1.0, size_BP)
    scaled_BPP = fisher_BPP / (size_BP[:, :, None] * size_BP[:, None])
    left_BPP = unknown_BP[:, :, None] | unknown_BP[:, None] | fixed_BPP
    left_BPP = left_BPP & ~torch.eye(point_BP.shape[1], dtype=torch.bool, device=point_BP.device)
    scaled_BPP = torch.where(left_BPP, 0.0, scaled_BPP)
    scaled_BPP = scaled_BPP + torch.diag_embed((at_bound_BP | unknown_BP).double())
    inverse_BPP = torch.linalg.pinv(scaled_BPP, hermitian=True)
    inverse_BPP = inverse_BPP / (size_BP[:, :, None] * size_BP[:, None])
    inverse_BPP = torch.where(fixed_BPP, 0.0, inverse_BPP)
    return inverse_BPP + torch.diag_embed(torch.where(unknown_BP, torch.inf, 0.0)), at_bound_BP
