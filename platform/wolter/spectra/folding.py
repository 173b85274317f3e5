"""Approximate folding of photon fluxes through a response that a record describes in few numbers.

A record holds its effective area in narrow bands and quantiles of the recorded energies of a few
photons. From these a redistribution matrix is made again, the quantiles interpolated in energy and
joined by pieces of a normal distribution. Expected counts of absorbed power laws, thermal continua
and lines through ACIS-S and ACIS-I agree with the full response to a chi^2 of .2 to .6 in a
thousand counts on 155 channels, and to .2 % in sum.

Shapes: A photon energy, B batch, C channel, C1 its edges, F narrow band of the effective area,
R distinct redistribution, T share of a photon's counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from wolter.spectra.grid import PHOTONS_KEV
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import Response

BANDS = 192
EDGES_KEV = tuple(
    round((0.3**0.5 + (10.0**0.5 - 0.3**0.5) * i / BANDS) ** 2, 6) for i in range(BANDS + 1)
)
"""Edges, keV, of bands whose widths grow as the root of energy: 17 eV at 0.4 keV, 60 at 5 keV."""
SHARES = (0.005, 0.02, 0.05, 0.1, 0.16, 0.3, 0.5, 0.7, 0.84, 0.93, 0.98, 0.995)
"""Quantiles of a photon's recorded energy."""

_NEARLY_EQUAL_KEV = 1e-6


def describe(response: Response) -> tuple[Tensor, Tensor]:
    """Effective area (F), cm^2, and offsets of recorded energies (T, A), keV, of a response.

    Args:
        response: on the channels of its own, before they are summed into a grid.
    """
    area_F = response.area_between(EDGES_KEV)
    offset_TA = recorded_offsets(response, PHOTONS_KEV, SHARES)
    return area_F.float(), offset_TA.float()


def bands_kev() -> Tensor:
    """Mean energies of the bands (F), keV, float32."""
    edges_F1 = torch.tensor(EDGES_KEV)
    return (edges_F1[1:] + edges_F1[:-1]) / 2


def matrices(offset_RTA: Tensor, energy_edges: Sequence[float] | Tensor) -> Tensor:
    """Redistribution matrices (R, F, C): shares of each band's photons that channels record.

    Args:
        offset_RTA: keV, see `describe`; unknown (NaN) offsets are taken from the nearest photon
            that has some, and as 0 where none has.
        energy_edges: edges of the channels, keV.
    """
    edges_C1 = torch.as_tensor(energy_edges).to(offset_RTA)
    quantile_RTF = _interpolated(_known(offset_RTA))
    offset_FC1 = edges_C1 - bands_kev().to(edges_C1)[:, None]
    x_RFC1 = offset_FC1.expand(len(offset_RTA), -1, -1).contiguous()
    knots_RFT = quantile_RTF.mT.contiguous()
    normal_T = math.sqrt(2) * torch.erfinv(2 * torch.tensor(SHARES).to(edges_C1) - 1)
    upper = torch.searchsorted(knots_RFT, x_RFC1).clamp(1, len(SHARES) - 1)
    low, high = knots_RFT.gather(2, upper - 1), knots_RFT.gather(2, upper)
    share = (x_RFC1 - low) / (high - low).clamp_min(_NEARLY_EQUAL_KEV)
    z_RFC1 = torch.lerp(normal_T[upper - 1], normal_T[upper], share)
    below_RFC1: Tensor = torch.special.ndtr(z_RFC1)
    return below_RFC1.diff(dim=2)


def filled(counts: Tensor, filled_C: Tensor | None) -> Tensor:
    """Expected counts (..., C) where channels of an instrument do not nest in those of a grid.

    Neighbours on the grid then hold different numbers of the instrument's, which `matrices` does
    not know.

    Args:
        counts: counts, or shares of them, where all are filled alike (..., C).
        filled_C: see `filled_BC` of `wolter.spectra.schema.SpectraBatch`; it is broadcast.
    """
    return counts if filled_C is None else counts * torch.nan_to_num(filled_C, nan=1.0).to(counts)


def fold(
    flux_BF: Tensor, area_BF: Tensor, offset_BTA: Tensor, exposure_B: Tensor, edges: Tensor
) -> Tensor:
    """Expected counts (B, C) of photon fluxes.

    Args:
        flux_BF: photons cm^-2 s^-1 in each band.
        area_BF: effective area, cm^2.
        offset_BTA: offsets of recorded energies, keV; each distinct one costs one matrix.
        exposure_B: s.
        edges: edges of the channels (C1), keV.
    """
    return Redistributions.of(offset_BTA, edges)(flux_BF * area_BF * exposure_B[:, None])


@dataclass(frozen=True)
class Redistributions:
    """Redistributions of a batch of records, made once for any number of fluxes.

    Attributes:
        matrix_RFC: the distinct ones, see `matrices`.
        index_B: which of them each record has.
        filled_BC: see `filled`.
    """

    matrix_RFC: Tensor
    index_B: Tensor
    filled_BC: Tensor | None = None

    @classmethod
    def of(
        cls,
        offset_BTA: Tensor,
        edges: Sequence[float] | Tensor,
        filled_BC: Tensor | None = None,
    ) -> Self:
        """Redistributions of records from their offsets, keV, and the edges of the channels."""
        distinct_RTA, index_B = _distinct(offset_BTA)
        return cls(matrices(distinct_RTA, edges), index_B, filled_BC)

    def __getitem__(self, rows: Tensor) -> Self:
        """Those of some records."""
        filled_BC = None if self.filled_BC is None else self.filled_BC[rows]
        return replace(self, index_B=self.index_B[rows], filled_BC=filled_BC)

    def __call__(self, photons: Tensor) -> Tensor:
        """Expected counts (..., B, C) of detected photons (..., B, F)."""
        matrix_RFC = self.matrix_RFC.to(photons)
        if len(matrix_RFC) == 1:
            return filled(photons @ matrix_RFC[0], self.filled_BC)
        counts = photons.new_zeros(*photons.shape[:-1], matrix_RFC.shape[2])
        for r, matrix_FC in enumerate(matrix_RFC):
            rows = (self.index_B == r).nonzero()[:, 0]
            counts = counts.index_copy(-2, rows, photons[..., rows, :] @ matrix_FC)
        return filled(counts, self.filled_BC)


def _distinct(offset_BTA: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct offsets (R, T, A) and the index of each record's (B); NaN equals NaN."""
    plain_BTA = torch.nan_to_num(offset_BTA.float(), nan=1e3)
    keys_B = (plain_BTA.flatten(1).double() @ _weights(plain_BTA[0].numel(), plain_BTA)).tolist()
    first: dict[float, int] = {}
    rows: list[int] = []
    index = []
    for row, key in enumerate(keys_B):
        if key not in first:
            first[key] = len(rows)
            rows.append(row)
        index.append(first[key])
    return offset_BTA[rows], torch.tensor(index, device=offset_BTA.device)


def _weights(n: int, like: Tensor) -> Tensor:
    """Fixed irrational weights: sums of different offsets are different."""
    return torch.arange(1, n + 1, dtype=torch.float64, device=like.device).sqrt()


def _known(offset_RTA: Tensor) -> Tensor:
    """Unknown offsets taken from the nearest photon energy that has some."""
    known_RA = ~offset_RTA.isnan().any(1)
    n = offset_RTA.shape[2]
    position_A = torch.arange(n, device=offset_RTA.device)
    distance_RAA = (position_A[:, None] - position_A).abs() + 2 * n * ~known_RA[:, None, :]
    nearest_RA = distance_RAA.argmin(2)
    known_RTA = offset_RTA.gather(2, nearest_RA[:, None, :].expand_as(offset_RTA))
    return torch.nan_to_num(known_RTA, nan=0.0)


def _interpolated(offset_RTA: Tensor) -> Tensor:
    """Offsets at the bands (R, T, F), linear in the logarithm of energy, ascending in T."""
    knots_A = torch.tensor(PHOTONS_KEV).to(offset_RTA).log()
    at_F = bands_kev().to(offset_RTA).log().clamp(knots_A[0], knots_A[-1])
    upper_F = torch.searchsorted(knots_A, at_F).clamp(1, len(knots_A) - 1)
    share_F = (at_F - knots_A[upper_F - 1]) / knots_A.diff()[upper_F - 1]
    offset_RTF = torch.lerp(offset_RTA[..., upper_F - 1], offset_RTA[..., upper_F], share_F)
    step_T = torch.arange(len(SHARES), device=offset_RTA.device) * _NEARLY_EQUAL_KEV
    return offset_RTF + step_T[:, None]  # ascending, also where quantiles fall together
