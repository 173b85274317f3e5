"""Chandra ACIS observations of a population: detectors, years, off-axis angles, backgrounds.

Shapes: A band of the effective area, B sources, C channel, E photon energy, F narrow band, N
knot of a smooth factor, Y year.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.spectra.folding import EDGES_KEV
from wolter.spectra.grid import AREA_EDGES
from wolter.spectra.population.detector import BACKGROUNDS, Detector, middles
from wolter.spectra.response_variation import KNOTS_KEV, hats
from wolter.xray.instruments import acis

# Bounds of each range: contamination is known of these years, vignetting to this angle.
_RANGES = {
    "years": (2000, 2023),
    "off_axis_arcmin": (0, 15),
    "exposure_s": (1, 1e8),
    "aperture": (0.01, 1),
    "region": (0.01, 100),
    "background_scale": (1e-6, 1e3),
}
_BOUNDS = {
    "usual_exposure_s": (1, 1e8),
    "exposure_dex": (0, 5),
    "background_dex": (0, 5),
    "redistributions": (1, 1000),
    "tilt": (0, 1),
}


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
        redistributions: of each detector, with gains and line widths as response files differ; 1:
            the embedded one alone.
        tilt: standard deviation of the logarithm of a smooth factor on the area.
    """

    detectors: tuple[str, ...] = ("acis_s", "acis_i")
    years: tuple[int, int] = (2000, 2022)
    off_axis_arcmin: tuple[float, float] = (0.0, 10.0)
    exposure_s: tuple[float, float] = (3e3, 3e5)
    usual_exposure_s: float = 4e4
    exposure_dex: float = 0.35
    aperture: tuple[float, float] = (0.85, 1.0)
    region: tuple[float, float] = (0.9, 1.3)
    background_scale: tuple[float, float] = (0.015, 0.55)
    background_dex: float = 0.2
    redistributions: int = 10
    tilt: float = 0.03

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is none that ACIS can be simulated with.
        """
        for name, (least, most) in _RANGES.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise InputError(
                    f"{name} = {low:g}, {high:g}: give {least:g} <= low <= high <= {most:g}"
                )
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(f"{name} = {value:g}: give {least:g} to {most:g}")
        if not self.detectors or not set(self.detectors) <= {"acis_s", "acis_i"}:
            raise InputError(
                f"detectors = {', '.join(self.detectors)}: give acis_s, acis_i or both"
            )


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations of a block of sources by one detector.

    Attributes:
        detector: which.
        year_B: index of the year.
        theta_B: off-axis angle, arcmin.
        aperture_B: share of the photons in the region.
        tilt_BN: logarithm of a smooth factor on the area, at `KNOTS_KEV`.
        exposure_B: s.
        scale_B: area of the source region over that of the background.
        background_BC: expected background in the source region, counts.
    """

    detector: Detector
    year_B: Tensor
    theta_B: Tensor
    aperture_B: Tensor
    tilt_BN: Tensor
    exposure_B: Tensor
    scale_B: Tensor
    background_BC: Tensor

    def expected(self, flux_BE: Tensor) -> Tensor:
        """Counts (B, C) expected of photon fluxes on the energies of the response."""
        seen_BE = self._throughput(self.detector.energy_E.float())
        seen_BE.mul_(self.detector.ratio_YE[self.year_B]).mul_(flux_BE)
        return self.detector.response.fold(seen_BE, self.exposure_B)

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
        middle_A = middles(torch.tensor(edges))
        return area_YA[self.year_B] * self._throughput(middle_A)

    def _throughput(self, energy_E: Tensor) -> Tensor:
        """Factor (B, E) on the on-axis area: vignetting, the region's share of the PSF, a tilt."""
        seen_BE = acis.vignetting(energy_E, self.theta_B).mul_(self.aperture_B[:, None])
        return seen_BE.mul_((self.tilt_BN @ hats(energy_E)).exp_())


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
        tilt_BN=config.tilt * torch.randn(n, len(KNOTS_KEV), generator=generator),
        exposure_B=exposure_B,
        scale_B=low * (high / low) ** unit(),
        background_BC=rate_BC * (region_B * factor_B * exposure_B)[:, None],
    )
