"""Emission of thermal plasma in collisional equilibrium, lines and continuum (APEC).

    wabs * (plasma + plasma)   two temperatures: plasma_kt, abundance, ..., plasma_kt_2, ...

Needs the optional package nnapec; see `wolter.xray.emission.plasma_table`.

Shapes: A abundance, B batch, E energy bin, K temperature, N energy bin of the table, N1 its edges.
"""

from collections.abc import Callable

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
    device = grid.edges_E1.device
    table = plasma_table()
    own = PlasmaTable(table.edges_N1.to(device), table.log_kt_K, table.flux_KAN.to(device))
    energy_E = (grid.edges_E1[1:] + grid.edges_E1[:-1]) / 2
    at_rest = _interpolation(grid, own, energy_E, _summed(own, grid.edges_E1))
    energy_N = (own.edges_N1[1:] + own.edges_N1[:-1]) / 2
    in_own_bins = _interpolation(grid, own, energy_N, own.flux_KAN)

    def evaluate(
        kt_B1: Tensor, abundance_B1: Tensor, redshift_B1: Tensor, norm_B1: Tensor
    ) -> Tensor:
        if not redshift_B1.requires_grad and not bool(redshift_B1.any()):
            return norm_B1 * at_rest(kt_B1, abundance_B1)
        flux_BN = in_own_bins(kt_B1, abundance_B1).double()
        factor_B1 = 1 + redshift_B1.double()
        flux_BE = _between(flux_BN, own.edges_N1, grid.edges_E1 * factor_B1) / factor_B1
        return norm_B1 * grid.cast(flux_BE)

    return evaluate


def _interpolation(
    grid: Grid, table: PlasmaTable, energy_E: Tensor, flux_KAE: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """Function of temperature and abundance (B, 1) that interpolates photons per bin (B, E)."""
    first_AE, last_AE = 2 * flux_KAE[:1] - flux_KAE[1:2], 2 * flux_KAE[-1:] - flux_KAE[-2:-1]
    padded_KAE = grid.cast(torch.cat([first_AE, flux_KAE, last_AE]))
    n_abundances, n_bins = len(ABUNDANCES), len(energy_E)
    rows = padded_KAE.reshape(-1, n_bins)
    knots_A = torch.tensor(ABUNDANCES, dtype=grid.dtype, device=rows.device)
    low, step = float(table.log_kt_K[0]), float(table.log_kt_K[1] - table.log_kt_K[0])
    last = len(table.log_kt_K) - 1
    energy = grid.cast(energy_E)

    def interpolate(kt_B1: Tensor, abundance_B1: Tensor) -> Tensor:
        position_B1 = ((kt_B1.log() - low) / step).clamp(0, last)
        lower_B1 = position_B1.detach().floor().clamp(max=last - 1)
        t = position_B1 - lower_B1
        # Catmull-Rom weights of the four nearest temperatures.
        weights_B4 = torch.cat(
            [
                t * (-1 + t * (2 - t)),
                2 + t * t * (3 * t - 5),
                t * (1 + t * (4 - 3 * t)),
                t * t * (t - 1),
            ],
            1,
        )
        abundance_B1 = abundance_B1.clamp(ABUNDANCES[0], ABUNDANCES[-1])
        upper_B1 = torch.bucketize(abundance_B1.detach(), knots_A).clamp(1, n_abundances - 1)
        below = knots_A[upper_B1 - 1]
        share_B1 = (abundance_B1 - below) / (knots_A[upper_B1] - below)
        weights_B8 = torch.cat([weights_B4 * (1 - share_B1), weights_B4 * share_B1], 1) / 2
        row_B4 = (lower_B1.long() + torch.arange(4, device=rows.device)) * n_abundances
        row_B8 = torch.cat([row_B4 + upper_B1 - 1, row_B4 + upper_B1], 1)
        flux_BE: Tensor = torch.nn.functional.embedding_bag(
            row_B8, rows, mode="sum", per_sample_weights=weights_B8
        )
        return (flux_BE * boltzmann(energy, kt_B1)).clamp(min=_FAINTEST)

    return interpolate


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
"""APEC plasma, from the network of nnapec; kt in keV (0.08-64), metals relative to Anders & Grevesse
(0.02-5; held at the ends of these ranges), norm 1e-14 / (4 pi (D_A (1 + z))^2) times the emission
integral of n_e n_H, D_A in cm."""
