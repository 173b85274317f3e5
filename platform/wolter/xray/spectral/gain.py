"""Gain shift and line broadening of expected counts.

Shapes: B spectrum, K component, C channel, C1 its edges. Energies in keV.
"""

from dataclasses import replace

import torch
from torch import Tensor

from wolter.xray.spectral.response import Response

# Three-point Gauss-Hermite rule: has the moments of a normal distribution up to the fifth.
_NODES, _WEIGHTS = (-(3**0.5), 0.0, 3**0.5), (1 / 6, 2 / 3, 1 / 6)
_TOGETHER = 64  # spectra whose sums stay in a processor's cache


def regain(
    counts_BKC: Tensor,
    edges_C1: Tensor,
    slope_B: Tensor,
    offset_B: Tensor,
    blur_B: Tensor | None = None,
) -> Tensor:
    """Apply a gain shift and broadening to expected counts.

    What is nominally recorded at the energy E is recorded at slope (E + offset); an edge at E of
    the result is one at E / slope - offset of the counts, which is the energy shift of XSPEC's
    command `gain`. (That one moves the effective area along, which stays here: mirrors know
    nothing of the detector's gain.) Inside a channel counts are taken to change linearly with
    energy; beyond the ends they have the density of the last channel. Nothing but what leaves
    the ends is lost.

    Args:
        counts_BKC: counts, 0 or more.
        edges_C1: edges of the channels, ascending.
        slope_B: 1 for the nominal gain.
        offset_B: keV.
        blur_B: standard deviation of an extra normal scatter of the recorded energies, keV.

    Returns:
        Counts (B, K, C) in the given precision, 0 or more.
    """
    edges_C1 = edges_C1.to(device=counts_BKC.device, dtype=torch.float64)
    at_BC1 = edges_C1 / slope_B.double()[:, None] - offset_B.double()[:, None]
    moved = [(1.0, at_BC1)]
    if blur_B is not None:
        scatter_B1 = blur_B.double()[:, None]
        pairs = zip(_WEIGHTS, _NODES, strict=True)
        moved = [(weight, at_BC1 + node * scatter_B1) for weight, node in pairs]
    recorded_BKC = torch.empty_like(counts_BKC)
    for start in range(0, len(counts_BKC), _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        sums = _Sums(counts_BKC[rows].double(), edges_C1)  # in which small counts would drown
        below = [weight * sums.below(at_BC1[rows]) for weight, at_BC1 in moved]
        recorded_BKC[rows] = torch.stack(below).sum(0).diff().clamp_min_(0)
    return recorded_BKC


def with_gain(response: Response, slope: float, offset_kev: float) -> Response:
    """Response with a gain shift applied; see `regain`."""
    edges_C1 = response.channel_edges_C1
    matrix_EC = regain_channels(response.matrix_EC, edges_C1, slope, offset_kev)
    return replace(response, matrix_EC=matrix_EC)


def regain_channels(values_BC: Tensor, edges_C1: Tensor, slope: float, offset_kev: float) -> Tensor:
    """Apply one gain to all rows (B, C); unchanged at the nominal gain."""
    if (slope, offset_kev) == (1, 0):
        return values_BC
    slope_B, offset_B = edges_C1.new_tensor([[slope], [offset_kev]], dtype=torch.float64)
    return regain(values_BC[None], edges_C1, slope_B, offset_B)[0]


class _Sums:
    """Counts below any energy."""

    def __init__(self, counts_BKC: Tensor, edges_C1: Tensor) -> None:
        self.counts_BKC, self.edges_C1 = counts_BKC, edges_C1
        self.total_BKC1 = torch.nn.functional.pad(counts_BKC.cumsum(-1), (1, 0))
        # Change of the density across a channel, times its width: at most what keeps it positive.
        self.width_C = width_C = edges_C1.diff()
        density_BKC = counts_BKC / width_C
        centre_C = (edges_C1[1:] + edges_C1[:-1]) / 2
        apart_D = centre_C[2:] - centre_C[:-2]  # between the neighbours of each inner channel
        change_BKD = (density_BKC[..., 2:] - density_BKC[..., :-2]) / apart_D * width_C[1:-1] ** 2
        self.change_BKC = torch.nn.functional.pad(change_BKD, (1, 1))
        self.change_BKC.clamp_(-2 * counts_BKC, 2 * counts_BKC)

    def below(self, at_BC1: Tensor) -> Tensor:
        """Counts below each energy, (B, K, C1)."""
        n_channels = self.counts_BKC.shape[-1]
        index_BC1 = torch.searchsorted(self.edges_C1, at_BC1, right=True) - 1
        index_BC1.clamp_(0, n_channels - 1)
        low_BC, width_BC = (
            each_C.expand(len(at_BC1), -1) for each_C in (self.edges_C1[:-1], self.width_C)
        )
        into_BC1 = at_BC1 - low_BC.gather(1, index_BC1)
        share_BKC1 = (into_BC1 / width_BC.gather(1, index_BC1))[:, None]
        index_BKC1 = index_BC1[:, None].expand(-1, self.counts_BKC.shape[1], -1)
        counts_BKC1 = self.counts_BKC.gather(-1, index_BKC1)
        bend_BKC1 = self.change_BKC.gather(-1, index_BKC1) * (1 - share_BKC1) / 2
        return self.total_BKC1.gather(-1, index_BKC1) + share_BKC1 * (counts_BKC1 - bend_BKC1)
