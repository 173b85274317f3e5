"""Redistributions of ACIS, as response files differ from one another: gain and width of lines.

Files of different years, chips, rows and calibrations put photons of 1 keV up to 5 eV from one
another and those above silicon's K edge up to 40 eV, and see them 0.6 to 1.3 times as broad. Below
0.5 keV most lack the shoulder of the embedded responses. The ranges hold what files of ACIS of
2000 to 2006, of a grating's zeroth order and of several calibrations have, and a little more.

Shapes: C channel, C1 its edges, E and E1 photon energy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from wolter.xray.instruments.ccd import Knots, interpolate
from wolter.xray.spectral.response import Response

EDGE_KEV = 1.839  # silicon K: electronics and charge losses differ on both sides of it

# Least and most offset (keV, eV) of recorded energies, and factor on their distance from the
# photon's energy.
_LEAST_OFFSET: Knots = (
    (0.3, -3.0), (0.5, -3.0), (0.9, -5.0), (1.4, -7.0), (EDGE_KEV, -8.0), (EDGE_KEV, -30.0),
    (2.2, -8.0), (3.0, -7.0), (6.0, -7.0), (10.0, -14.0),
)  # fmt: skip
_MOST_OFFSET: Knots = (
    (0.3, 20.0), (0.5, 12.0), (0.9, 6.0), (1.4, 7.0), (EDGE_KEV, 9.0), (EDGE_KEV, 12.0),
    (2.2, 38.0), (2.6, 54.0), (3.0, 52.0), (5.0, 38.0), (7.0, 28.0), (10.0, 42.0),
)  # fmt: skip
_LEAST_WIDTH: Knots = ((0.3, 0.3), (0.5, 0.42), (0.8, 0.54), (1.5, 0.56), (10.0, 0.56))
_MOST_WIDTH: Knots = (
    (0.3, 1.0), (0.5, 1.15), (1.5, 1.15), (EDGE_KEV, 1.2), (EDGE_KEV, 1.8), (2.2, 1.5), (3.0, 1.4),
    (6.0, 1.25), (10.0, 1.4),
)  # fmt: skip


@dataclass(frozen=True)
class Redistribution:
    """Place of one response between the least and the most, 0 to 1, below and above the K edge.

    Attributes:
        offset: of recorded energies.
        width: of the distances from the photon's energy.
    """

    offset: tuple[float, float]
    width: tuple[float, float]

    def of(self, response: Response) -> Response:
        """A response whose recorded energies are moved and stretched.

        Args:
            response: on the channels of its own, before they are summed into a grid.
        """
        edges_E1, edges_C1 = response.energy_edges_E1, response.channel_edges_C1.double()
        energy_E1 = ((edges_E1[1:] + edges_E1[:-1]) / 2)[:, None]
        offset_E1 = self._at(energy_E1, self.offset, _LEAST_OFFSET, _MOST_OFFSET) / 1e3
        width_E1 = self._at(energy_E1, self.width, _LEAST_WIDTH, _MOST_WIDTH)
        # What is recorded at e + offset + width (x - e) was recorded at x.
        at_EC1 = (energy_E1 + (edges_C1 - energy_E1 - offset_E1) / width_E1).numpy()
        below_EC1 = torch.nn.functional.pad(response.matrix_EC.double().cumsum(1), (1, 0)).numpy()
        x_C1 = edges_C1.numpy()
        moved = [np.interp(at, x_C1, below) for at, below in zip(at_EC1, below_EC1, strict=True)]
        matrix_EC = torch.from_numpy(np.diff(np.stack(moved), axis=1))
        return replace(response, matrix_EC=matrix_EC.to(response.matrix_EC))

    def _at(
        self, energy_E1: Tensor, share: tuple[float, float], least: Knots, most: Knots
    ) -> Tensor:
        share_E1 = torch.where(energy_E1 < EDGE_KEV, *share)
        low, high = (interpolate(energy_E1, knots, log=False) for knots in (least, most))
        return low + (high - low) * share_E1


def draw_redistributions(n: int, generator: torch.Generator) -> Sequence[Redistribution]:
    """Redistributions of `n` responses, spread evenly over their ranges, ends included.

    Above the K edge small offsets are more frequent: the large ones are of early calibrations.
    """

    def shares() -> list[float]:
        shares_n: list[float] = torch.linspace(0, 1, n)[
            torch.randperm(n, generator=generator)
        ].tolist()
        return shares_n

    columns = [[share**power for share in shares()] for power in (1, 2, 1, 1)]
    return [Redistribution((a, b), (c, d)) for a, b, c, d in zip(*columns, strict=True)]
