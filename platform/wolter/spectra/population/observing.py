"""Chandra ACIS observations of a population: detectors, years, off-axis angles, backgrounds.

Shapes: A band of the effective area, B sources, C channel, E photon energy, F narrow band, M
background, T and Q shares of a photon's counts, Y year.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wolter.data.seeds import seed_of
from wolter.errors import InputError
from wolter.spectra.folding import EDGES_KEV, describe
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.population.quantities import power_law_shapes
from wolter.xray.instruments import acis
from wolter.xray.instruments.instrument import load
from wolter.xray.spectral.redistribution import recorded_offsets
from wolter.xray.spectral.response import Response, rebin_channels

BACKGROUNDS = 32  # of each detector and era
_PHOTONS_KEV = (0.3, 10.0)  # others leave no count between 0.5 and 8 keV
ERAS = (2001, 2010, 2019)  # years whose area the sky's background is folded through


@dataclass(frozen=True)
class ObservingConfig:
    """How Chandra observes a population.

    Attributes:
        detectors: instruments to draw from.
        years: first and last year, which tell the contamination.
        off_axis_arcmin: range of the off-axis angle.
        exposure_s: shortest and longest exposure.
        usual_exposure_s: median of the exposures, which are log-normal.
        exposure_dex: standard deviation of their logarithm.
        aperture: range of the share of a source's photons in its region.
        region: range of the radius of the region over that of 90 % of the photons.
        background_scale: range of the region's area over that of the background's.
        background_dex: standard deviation of the logarithm of a factor on the background.
    """

    detectors: tuple[str, ...] = ("acis_s", "acis_i")
    years: tuple[int, int] = (2000, 2022)
    off_axis_arcmin: tuple[float, float] = (0.0, 10.0)
    exposure_s: tuple[float, float] = (3e3, 3e5)
    usual_exposure_s: float = 4e4
    exposure_dex: float = 0.35
    aperture: tuple[float, float] = (0.85, 0.97)
    region: tuple[float, float] = (0.9, 1.3)
    background_scale: tuple[float, float] = (0.02, 0.25)
    background_dex: float = 0.2

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("years", "off_axis_arcmin", "exposure_s", "aperture", "region"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise InputError(f"{name} = {low}, {high}: give 0 <= low <= high")
        if not self.detectors or not set(self.detectors) <= {"acis_s", "acis_i"}:
            raise InputError(
                f"detectors = {', '.join(self.detectors)}: give acis_s, acis_i or both"
            )


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
    background_YMC: Tensor
    area_YC: Tensor
    power_law_TC: Tensor

    @classmethod
    def of(cls, name: str, years: tuple[int, int], edges: tuple[float, ...]) -> "Detector":
        """Make a detector's responses and backgrounds; they depend on nothing else."""
        instrument = load(name)
        full = instrument.response(str(acis_first_year(name)))
        middle_E = _middles(full.energy_edges_E1)
        letter = name[-1]
        first_E = acis.area(middle_E, letter, float(acis_first_year(name)))
        wanted = range(years[0], years[1] + 1)
        ratio_YE = torch.stack(
            [acis.area(middle_E, letter, float(year)) / first_E for year in wanted]
        )
        own = [
            replace(full, matrix_EC=full.matrix_EC * ratio_E[:, None].float())
            for ratio_E in ratio_YE
        ]
        gridded = full.rebin(edges)
        kept = _photons(full)
        seen = replace(
            gridded,
            energy_edges_E1=full.energy_edges_E1[kept.start : kept.stop + 1 : 2].contiguous(),
            matrix_EC=_in_pairs(gridded.matrix_EC[kept].T).T.contiguous(),
        )
        generator = torch.Generator().manual_seed(seed_of(0, 0, f"backgrounds {name}"))
        eras = {
            era: instrument.draw_backgrounds(
                _of_year(full, acis.area(middle_E, letter, float(era)) / first_E),
                BACKGROUNDS,
                generator,
                (1.0, 1.0),
            )
            for era in ERAS
        }
        nearest = [min(ERAS, key=lambda era: abs(era - year)) for year in wanted]
        binned = {
            era: rebin_channels(rate_MC, full.channel_edges_C1, edges).float()
            for era, rate_MC in eras.items()
        }
        return cls(
            response=seen,
            ratio_YE=_in_pairs(ratio_YE[:, kept]).float(),
            years_Y=torch.tensor(list(wanted)),
            area_YA=torch.stack(
                [_of_year(gridded, ratio_E).area_between(AREA_EDGES) for ratio_E in ratio_YE]
            ).float(),
            folding_area_YF=torch.stack([each.area_between(EDGES_KEV) for each in own]).float(),
            offset_TA=describe(full)[1],
            redistribution_QA=recorded_offsets(full, PHOTONS_KEV, RECORDED_SHARES).float(),
            background_YMC=torch.stack([binned[era] for era in nearest]),
            area_YC=torch.stack([each.area_between(edges) for each in own]).float(),
            power_law_TC=power_law_shapes(_of_year(seen, _in_pairs(ratio_YE[:1, kept])[0])),
        )

    @property
    def energy_E(self) -> Tensor:
        """Photon energies, keV."""
        return _middles(self.response.energy_edges_E1)


def acis_first_year(name: str) -> int:
    """First year of the embedded responses of an ACIS detector."""
    return int(load(name).filters[0])


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


def _middles(edges_E1: Tensor) -> Tensor:
    return (edges_E1[1:] + edges_E1[:-1]) / 2


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations of a block of sources by one detector.

    Attributes:
        detector: which.
        year_B: index of the year.
        theta_B: off-axis angle, arcmin.
        aperture_B: share of the photons in the region.
        exposure_B: s.
        scale_B: area of the source region over that of the background.
        background_BC: expected background in the source region, counts.
    """

    detector: Detector
    year_B: Tensor
    theta_B: Tensor
    aperture_B: Tensor
    exposure_B: Tensor
    scale_B: Tensor
    background_BC: Tensor

    def expected(self, flux_BE: Tensor) -> Tensor:
        """Counts (B, C) expected of photon fluxes on the energies of the response."""
        seen_BE = (
            self._throughput(self.detector.energy_E.float()) * self.detector.ratio_YE[self.year_B]
        )
        return self.detector.response.fold(flux_BE * seen_BE, self.exposure_B)

    def area_BA(self) -> Tensor:
        """Effective area in the bands of `AREA_EDGES`, cm^2."""
        return self._area(self.detector.area_YA, AREA_EDGES)

    def folding_area_BF(self) -> Tensor:
        """Effective area in the bands of `wolter.spectra.folding.EDGES_KEV`, cm^2."""
        return self._area(self.detector.folding_area_YF, EDGES_KEV)

    def area_BC(self, edges: tuple[float, ...]) -> Tensor:
        """Effective area in the channels of the records' grid, cm^2."""
        return self._area(self.detector.area_YC, edges)

    def _area(self, area_YA: Tensor, edges: tuple[float, ...]) -> Tensor:
        middle_A = _middles(torch.tensor(edges))
        return area_YA[self.year_B] * self._throughput(middle_A)

    def _throughput(self, energy_E: Tensor) -> Tensor:
        """Share (B, E) of the on-axis area: vignetting and the region's share of the PSF."""
        return acis.vignetting(energy_E, self.theta_B) * self.aperture_B[:, None]


def observe(
    config: ObservingConfig, detector: Detector, n: int, generator: torch.Generator
) -> Observations:
    """Draw observations of `n` sources by one detector."""

    def unit() -> Tensor:
        return torch.rand(n, generator=generator)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * unit()

    year_B = (unit() * len(detector.years_Y)).long().clamp(max=len(detector.years_Y) - 1)
    theta_B = between(*config.off_axis_arcmin)
    low, high = (math.log10(each) for each in config.exposure_s)
    normal_B = torch.randn(n, generator=generator) * config.exposure_dex
    log_exposure_B = (math.log10(config.usual_exposure_s) + normal_B).clamp(low, high)
    exposure_B = 10**log_exposure_B
    radius_B = acis.radius_90_arcsec(theta_B) * between(*config.region)
    region_B = math.pi * (radius_B / 60) ** 2  # arcmin^2
    factor_B = 10 ** (torch.randn(n, generator=generator) * config.background_dex)
    which_B = torch.randint(BACKGROUNDS, (n,), generator=generator)
    rate_BC = detector.background_YMC[year_B, which_B]
    low, high = config.background_scale
    return Observations(
        detector=detector,
        year_B=year_B,
        theta_B=theta_B,
        aperture_B=between(*config.aperture),
        exposure_B=exposure_B,
        scale_B=low * (high / low) ** unit(),
        background_BC=rate_BC * (region_B * factor_B * exposure_B)[:, None],
    )
