"""Detectors of ACIS in all years: responses, areas and backgrounds on the grid of the records.

Shapes: A band of the effective area, C channel, E photon energy, F narrow band, M background, Q and
T shares of a photon's counts, Y year. Of `power_law_TC` T is a pair of slope and column.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from wolter.data.seeds import seed_of
from wolter.spectra.folding import EDGES_KEV, describe
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.gridding import filled_by_channels
from wolter.spectra.population.quantities import power_law_shapes
from wolter.spectra.population.redistributions import draw_redistributions
from wolter.xray.instruments import acis
from wolter.xray.instruments.instrument import load
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import Response, rebin_channels

BACKGROUNDS = 32  # of each detector and era
_PHOTONS_KEV = (0.3, 10.0)  # others leave no count between 0.5 and 8 keV
ERAS = (2001, 2010, 2019)  # years whose area the sky's background is folded through


@dataclass(frozen=True, eq=False)
class Detector:
    """One detector of ACIS in all years.

    Attributes:
        response: of the first year, on the channels of the records' grid.
        ratio_YE: area of each year over that of the first.
        years_Y: the years.
        area_YA: on-axis area in the bands of `AREA_EDGES`, cm^2.
        folding_area_YF: the same in the bands of `wolter.spectra.folding.EDGES_KEV`.
        offset_TA: see `wolter.spectra.folding.describe`.
        redistribution_QA: see `wolter.spectra.schema.SpectraBatch`.
        filled_C: see `wolter.spectra.gridding.filled_by_channels`.
        background_YMC: background, counts/s per arcmin^2 in each channel.
        area_YC: on-axis area in the channels of the grid, cm^2.
        power_law_TC: counts of absorbed power laws in the first year; see
            `wolter.spectra.population.quantities`.
    """

    response: Response
    ratio_YE: Tensor
    years_Y: Tensor
    area_YA: Tensor
    folding_area_YF: Tensor
    offset_TA: Tensor
    redistribution_QA: Tensor
    filled_C: Tensor
    background_YMC: Tensor
    area_YC: Tensor
    power_law_TC: Tensor

    @classmethod
    def of(cls, name: str, years: tuple[int, int], edges: tuple[float, ...]) -> Self:
        """Make a detector's responses and backgrounds; they depend on nothing else."""
        instrument = load(name)
        full = _first(name)
        ratio_YE = _ratios(name, years)
        own = [_of_year(full, ratio_E) for ratio_E in ratio_YE]
        generator = torch.Generator().manual_seed(seed_of(0, 0, f"backgrounds {name}"))
        eras = {
            era: instrument.draw_backgrounds(
                _of_year(full, _ratios(name, (era, era))[0]), BACKGROUNDS, generator, (1.0, 1.0)
            )
            for era in ERAS
        }
        nearest = [min(ERAS, key=lambda era: abs(era - year)) for year in _inclusive(years)]
        binned = {
            era: rebin_channels(rate_MC, full.channel_edges_C1, edges).float()
            for era, rate_MC in eras.items()
        }
        return cls(
            ratio_YE=_in_pairs(ratio_YE[:, _photons(full)]).float(),
            years_Y=torch.tensor(list(_inclusive(years))),
            folding_area_YF=torch.stack([each.area_between(EDGES_KEV) for each in own]).float(),
            background_YMC=torch.stack([binned[era] for era in nearest]),
            area_YC=torch.stack([each.area_between(edges) for each in own]).float(),
            **_recorded(full, ratio_YE, edges),
        )

    @classmethod
    def all_of(
        cls, name: str, years: tuple[int, int], edges: tuple[float, ...], n: int
    ) -> tuple[Self, ...]:
        """A detector with `n` redistributions, the embedded one first.

        Areas, and what falls on the detector, are the same; backgrounds are those of the first.
        """
        first, full, ratio_YE = cls.of(name, years, edges), _first(name), _ratios(name, years)
        generator = torch.Generator().manual_seed(seed_of(0, 0, f"redistributions {name}"))
        others = [
            replace(first, **_recorded(each.of(full), ratio_YE, edges))
            for each in draw_redistributions(n - 1, generator)
        ]
        return (first, *others)

    @property
    def energy_E(self) -> Tensor:
        """Photon energies, keV."""
        return middles(self.response.energy_edges_E1)


def _inclusive(years: tuple[int, int]) -> range:
    return range(years[0], years[1] + 1)


def _first(name: str) -> Response:
    """Embedded response of an ACIS detector in its first year."""
    instrument = load(name)
    return instrument.response(instrument.filters[0])


def _ratios(name: str, years: tuple[int, int]) -> Tensor:
    """Area of each year over that of the first of an ACIS detector (Y, E)."""
    energy_E, letter = middles(_first(name).energy_edges_E1), name[-1]
    first_E = acis.area(energy_E, letter, float(load(name).filters[0]))
    wanted = [acis.area(energy_E, letter, float(year)) for year in _inclusive(years)]
    return torch.stack(wanted) / first_E


def _recorded(full: Response, ratio_YE: Tensor, edges: tuple[float, ...]) -> dict[str, Any]:
    """What of a detector depends on its redistribution.

    Args:
        full: response of the first year, on channels of its own.
        ratio_YE: area of each year over that of the first.
        edges: of the channels of the records' grid, keV.
    """
    gridded, kept = full.rebin(edges), _photons(full)
    seen = replace(
        gridded,
        energy_edges_E1=full.energy_edges_E1[kept.start : kept.stop + 1 : 2].contiguous(),
        matrix_EC=_in_pairs(gridded.matrix_EC[kept].T).T.contiguous(),
    )
    areas = [_of_year(gridded, ratio_E).area_between(AREA_EDGES) for ratio_E in ratio_YE]
    return {
        "response": seen,
        "area_YA": torch.stack(areas).float(),
        "offset_TA": describe(full)[1],
        "redistribution_QA": recorded_offsets(full, PHOTONS_KEV, RECORDED_SHARES).float(),
        "filled_C": filled_by_channels(full.channel_edges_C1, edges),
        "power_law_TC": power_law_shapes(_of_year(seen, _in_pairs(ratio_YE[:1, kept])[0])),
    }


def _photons(response: Response) -> slice:
    """The photon energies that are simulated."""
    low, high = (int(torch.searchsorted(response.energy_edges_E1, each)) for each in _PHOTONS_KEV)
    assert (high - low) % 2 == 0
    return slice(low, high)


def _in_pairs(values: Tensor) -> Tensor:
    """Means of pairs along the last axis: bins of 10 and 20 eV, a tenth of the resolution."""
    return (values[..., ::2] + values[..., 1::2]) / 2


def _of_year(response: Response, ratio_E: Tensor) -> Response:
    return replace(response, matrix_EC=response.matrix_EC * ratio_E[:, None].float())


def middles(edges_E1: Tensor) -> Tensor:
    """Middles of bins, from their edges."""
    return (edges_E1[1:] + edges_E1[:-1]) / 2
