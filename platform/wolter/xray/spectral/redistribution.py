"""Quantiles of the energy redistribution of a response.

Shapes: A energy, C channel, E energy bin, Q share of the counts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from wolter.xray.spectral.response import Response


def recorded_offsets(
    response: Response, energies_kev: Sequence[float], shares: Sequence[float]
) -> Tensor:
    """Quantiles of the recorded energy less the photon's energy (Q, A), keV, float64.

    Args:
        response: on the channels of its own, before they are summed into a grid.
        energies_kev: energies of the photons; the energy bin that holds one stands for it.
        shares: cumulative shares of the recorded counts, between 0 and 1.

    Returns:
        Offsets, linear within a channel; NaN where the response sees no such photon.
    """
    energy_E1 = response.energy_edges_E1.double()
    photon_A = torch.as_tensor(energies_kev, dtype=torch.float64, device=energy_E1.device)
    row_A = torch.searchsorted(energy_E1, photon_A, right=True) - 1
    inside_A = (row_A >= 0) & (row_A < response.n_energies)
    row_A = row_A.clamp(0, response.n_energies - 1)
    middle_A = (energy_E1[row_A] + energy_E1[row_A + 1]) / 2
    counts_AC = response.matrix_EC[row_A].double()
    total_A1 = counts_AC.sum(1, keepdim=True)
    below_AC1 = torch.nn.functional.pad(counts_AC.cumsum(1), (1, 0)) / total_A1.clamp_min(1e-30)
    share_AQ = torch.as_tensor(shares, dtype=torch.float64).to(photon_A).expand(len(photon_A), -1)
    last = response.n_channels
    above_AQ = torch.searchsorted(below_AC1, share_AQ.contiguous()).clamp(1, last)
    low_AQ, high_AQ = below_AC1.gather(1, above_AQ - 1), below_AC1.gather(1, above_AQ)
    part_AQ = ((share_AQ - low_AQ) / (high_AQ - low_AQ).clamp_min(1e-30)).clamp(0, 1)
    edges_C1 = response.channel_edges_C1.double()
    at_AQ = torch.lerp(edges_C1[above_AQ - 1], edges_C1[above_AQ], part_AQ)
    seen_A = inside_A & (total_A1[:, 0] > 0)
    return torch.where(seen_A[:, None], at_AQ - middle_A[:, None], torch.nan).T
