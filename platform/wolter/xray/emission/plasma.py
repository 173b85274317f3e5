"""Emission of thermal plasma in collisional equilibrium, lines and continuum (APEC).

    wabs * (plasma + plasma)   two temperatures: plasma_kt, abundance, ..., plasma_kt_2, ...

Needs the optional package nnapec; see `wolter.xray.emission.plasma_table`.

Shapes: A abundance, B batch, E energy bin, K temperature, N energy bin of the table, N1 its edges,
M temperature and abundance.
"""

import functools
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wolter.xray.emission.expression import Component, Evaluate, Grid, Quantity
from wolter.xray.emission.plasma_table import ABUNDANCES, PlasmaTable, boltzmann, plasma_table

_FAINTEST = 1e-30  # photons: smaller numbers are slow to compute with in float32


def _prepare_plasma(grid: Grid) -> Evaluate:
    """Photons of an interpolated table, which is summed into the bins beforehand.

    The table is interpolated in the logarithm of temperature (cubic) and in abundance (linear).
    Bins share the photons of the network's own bins by overlap, so that none is lost. A source at a
    redshift z emits what is seen in a bin at energies (1 + z) times higher, and is seen at a rate
    1 / (1 + z): XSPEC's convention. Redshifted bins are summed spectrum by spectrum, which takes
    five times as long.
    """
    at_rest = _Interpolation.of(grid, _rows_of(grid))

    def evaluate(
        kt_B1: Tensor, abundance_B1: Tensor, redshift_B1: Tensor, norm_B1: Tensor
    ) -> Tensor:
        if not redshift_B1.requires_grad and not bool(redshift_B1.any()):
            return norm_B1 * at_rest(kt_B1, abundance_B1)
        edges_N1 = plasma_table().edges_N1.to(grid.edges_E1)
        own = Grid(edges_N1, grid.dtype)
        flux_BN = _Interpolation.of(own, _rows_of(own))(kt_B1, abundance_B1)
        factor_B1 = 1 + redshift_B1.double()
        flux_BE = _between(flux_BN, edges_N1, grid.edges_E1 * factor_B1) / factor_B1
        return norm_B1 * grid.cast(flux_BE)

    return evaluate


@dataclass(frozen=True, eq=False)
class _Interpolation:
    """Interpolation of photons per bin in temperature and abundance.

    Attributes:
        rows_ME: photons over the Boltzmann factor; abundance varies fastest.
        energy_E: middles of the bins, keV.
        low, step, last: first logarithm of kT, distance of the next, and number of the last.
    """

    rows_ME: Tensor
    energy_E: Tensor
    low: float
    step: float
    last: int

    @classmethod
    def of(cls, grid: Grid, rows_ME: Tensor) -> Self:
        log_kt_K = plasma_table().log_kt_K
        energy_E = grid.cast((grid.edges_E1[1:] + grid.edges_E1[:-1]) / 2)
        low, step = float(log_kt_K[0]), float(log_kt_K[1] - log_kt_K[0])
        return cls(rows_ME, energy_E, low, step, len(log_kt_K) - 1)

    def __call__(self, kt_B1: Tensor, abundance_B1: Tensor) -> Tensor:
        """Photons (B, E) of norm 1; columns (B, 1)."""
        device = kt_B1.device
        position_B1 = ((kt_B1.log() - self.low) / self.step).clamp(0, self.last)
        lower_B1 = position_B1.detach().floor().clamp(max=self.last - 1)
        t = position_B1 - lower_B1
        # Catmull-Rom weights of the four nearest temperatures.
        weights = (t * (-1 + t * (2 - t)), 2 + t * t * (3 * t - 5), t * (1 + t * (4 - 3 * t)))
        weight_B4 = torch.cat([*weights, t * t * (t - 1)], 1) / 2
        knots_A = torch.tensor(ABUNDANCES, dtype=kt_B1.dtype, device=device)
        abundance_B1 = abundance_B1.clamp(ABUNDANCES[0], ABUNDANCES[-1])
        upper_B1 = torch.bucketize(abundance_B1.detach(), knots_A).clamp(1, len(knots_A) - 1)
        below_B1 = knots_A[upper_B1 - 1]
        share_B1 = (abundance_B1 - below_B1) / (knots_A[upper_B1] - below_B1)
        weight_B8 = torch.cat([weight_B4 * (1 - share_B1), weight_B4 * share_B1], 1)
        row_B4 = (lower_B1.long() + torch.arange(4, device=device)) * len(knots_A)
        row_B8 = torch.cat([row_B4 + upper_B1 - 1, row_B4 + upper_B1], 1)
        flux_BE: Tensor = torch.nn.functional.embedding_bag(
            row_B8, self.rows_ME, mode="sum", per_sample_weights=weight_B8
        )
        return (flux_BE * boltzmann(self.energy_E, kt_B1)).clamp(min=_FAINTEST)


def _rows_of(grid: Grid) -> Tensor:
    """Rows of the table in the bins of a grid, kept for the next model on the same grid."""
    edges = tuple(grid.edges_E1.tolist())
    return _rows(edges, grid.dtype, str(grid.edges_E1.device))


@functools.lru_cache(maxsize=4)
def _rows(edges: tuple[float, ...], dtype: torch.dtype, device: str) -> Tensor:
    table = plasma_table()
    flux_KAE = _summed(table, torch.tensor(edges, dtype=torch.float64))
    # A temperature more at either end, for the cubic.
    first_AE, last_AE = 2 * flux_KAE[:1] - flux_KAE[1:2], 2 * flux_KAE[-1:] - flux_KAE[-2:-1]
    padded_KAE = torch.cat([first_AE, flux_KAE, last_AE])
    return padded_KAE.to(device=device, dtype=dtype).reshape(-1, len(edges) - 1)


def _summed(table: PlasmaTable, edges_E1: Tensor) -> Tensor:
    """The table's photons in the bins of a grid, over the Boltzmann factor of its bins."""
    energy_N = (table.edges_N1[1:] + table.edges_N1[:-1]) / 2
    energy_E = (edges_E1[1:] + edges_E1[:-1]) / 2
    pieces = []
    for log_kt, flux_AN in zip(table.log_kt_K, table.flux_KAN, strict=True):
        kt = log_kt.exp()
        photons_AN = flux_AN * boltzmann(energy_N, kt)
        photons_AE = _between(photons_AN, table.edges_N1, edges_E1.expand(len(flux_AN), -1))
        pieces.append(photons_AE / boltzmann(energy_E, kt))
    return torch.stack(pieces)


def _between(flux_BN: Tensor, edges_N1: Tensor, edges_BE1: Tensor) -> Tensor:
    """Photons between edges, of bins whose photons are evenly spread; none beyond the table.

    Summed from the highest energy down, where there are fewest: no digit is lost there.
    """
    above_BN1 = torch.nn.functional.pad(flux_BN.double().flip(1).cumsum(1).flip(1), (0, 1))
    edges_BE1 = edges_BE1.clamp(edges_N1[0], edges_N1[-1]).contiguous()
    upper = torch.searchsorted(edges_N1, edges_BE1.detach()).clamp(1, len(edges_N1) - 1)
    low, high = edges_N1[upper - 1], edges_N1[upper]
    share = (edges_BE1 - low) / (high - low)
    above_BE1 = torch.lerp(above_BN1.gather(1, upper - 1), above_BN1.gather(1, upper), share)
    return -above_BE1.diff(dim=1)


PLASMA = Component(
    "plasma",
    ("plasma_kt", "abundance", "redshift", "plasma_norm"),
    True,
    _prepare_plasma,
    defaults={"redshift": 0.0},
    quantities={
        "plasma_kt": Quantity("keV", (0.2, 10.0), logarithmic=True),
        "abundance": Quantity("solar", (0.1, 2.0), logarithmic=True),
        "redshift": Quantity("", (0.0, 1.0)),
        "plasma_norm": Quantity("1e-14 cm^-5", (1e-6, 1e-2), logarithmic=True),
    },
)
"""APEC plasma, from the network of nnapec; kt in keV (0.08-64), metals over solar (0.02-5).

Metals are those of Anders & Grevesse. Both are held at the ends of their ranges. The norm is 1e-14
/ (4 pi (D_A (1 + z))^2) times the emission integral of n_e n_H, D_A in cm.
"""
