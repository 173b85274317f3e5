"""Variation of effective areas in training: filters, extraction regions, vignetting.

Shapes: A band of the effective area, B batch, E energy, F filter, N knot.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.instruments.instrument import Instrument

KNOTS_KEV = (0.3, 1.0, 3.0, 10.0)  # of the smooth differences between areas


@dataclass(frozen=True)
class ResponseVariation:
    """Settings of response and background variation in a simulated dataset.

    Every record holds its own effective area, in bands, and background spectrum.

    Attributes:
        filters: filters of the instrument to draw from; empty for the response's own.
        area: range of a factor on the area (share of the PSF in the region, vignetting), drawn
            log-uniformly.
        tilt: standard deviation of the logarithm of a smooth factor on the area.
        backgrounds: draw realistic backgrounds for one half of the spectra, observed ones for the
            other.
    """

    filters: tuple[str, ...] = ()
    area: tuple[float, float] = (1.0, 1.0)
    tilt: float = 0.0
    backgrounds: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        low, high = self.area
        if not 0 < low <= high or self.tilt < 0:
            raise InputError(
                f"variety: area = {low}, {high} and tilt = {self.tilt}; give 0 < low <= high and "
                "a tilt of 0 or more"
            )


def throughputs(
    variety: ResponseVariation,
    instrument: Instrument | None,
    energy_E: Tensor,
    own: str,
    n: int,
    generator: torch.Generator,
) -> Tensor | None:
    """Draw factors (B, E) on the effective area at energies in keV; None where all are 1.

    Args:
        variety: what to draw from.
        instrument: whose filters they are; None: of a response of an unknown one.
        energy_E: keV.
        own: filter of the response, which the others are relative to; empty for the default one.
        n: how many, B.
        generator: source of randomness.

    Raises:
        InputError: a filter is unknown, or the instrument.
    """
    if variety == ResponseVariation(backgrounds=variety.backgrounds):
        return None
    low, high = variety.area
    log_B1 = torch.empty(n, 1).uniform_(generator=generator) * _log(high / low) + _log(low)
    knots_BN = torch.randn(n, len(KNOTS_KEV), generator=generator) * variety.tilt
    log_BE = log_B1 + knots_BN @ hats(energy_E)
    if variety.filters:
        if instrument is None:
            raise InputError(
                "variety: filters of a response of no known instrument; leave them out"
            )
        areas_FE = torch.stack(
            [instrument.area(energy_E, instrument.check_filter(name)) for name in variety.filters]
        )
        known = instrument.check_filter(instrument.filter_of(own) or own)
        ratio_FE = areas_FE / instrument.area(energy_E, known)
        which_B = torch.randint(len(variety.filters), (n,), generator=generator)
        log_BE = log_BE + ratio_FE.log().float()[which_B]
    return log_BE.exp_()


def band_means(
    energy_E: Tensor,
    values_BE: Tensor,
    edges_kev: tuple[float, ...],
    weight_E: Tensor | None = None,
) -> Tensor:
    """Weighted mean of values over energy bands (B, A).

    That of the nearest energy where a band holds none.
    """
    edges_A1 = energy_E.new_tensor(edges_kev)
    inside_AE = (energy_E >= edges_A1[:-1, None]) & (energy_E < edges_A1[1:, None])
    middle_A1 = (edges_A1[1:, None] + edges_A1[:-1, None]) / 2
    nearest_A = (energy_E - middle_A1).abs().argmin(1)
    one_AE = torch.nn.functional.one_hot(nearest_A, len(energy_E)).bool()
    weight_AE = torch.where(inside_AE.any(1, keepdim=True), inside_AE, one_AE).to(values_BE)
    if weight_E is not None:
        weight_AE = weight_AE * weight_E.to(values_BE)
    return values_BE @ (weight_AE / weight_AE.sum(1, keepdim=True)).T


def hats(energy_E: Tensor) -> Tensor:
    """Linear interpolation in the logarithm of energy: weights (N, E) of the knots."""
    knots_N = energy_E.new_tensor(KNOTS_KEV).log()
    log_E = energy_E.log().clamp(knots_N[0], knots_N[-1])
    position_E = torch.searchsorted(knots_N, log_E).clamp(1, len(knots_N) - 1)
    share_E = (log_E - knots_N[position_E - 1]) / knots_N.diff()[position_E - 1]
    hats_NE = energy_E.new_zeros(len(knots_N), len(energy_E))
    hats_NE.scatter_(0, position_E[None], share_E[None])
    hats_NE.scatter_(0, position_E[None] - 1, 1 - share_E[None])
    return hats_NE.float()


def _log(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).log())
