"""Data augmentation of simulated spectra: gain, blur, area, background, extra components.

Networks do not see the drawn values, so that their answers hold for any of them.

Shapes: B batch, C channel, E energy, K component, N knot, P parameter, R spectrum with an extra
component.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.spectra.response_variation import KNOTS_KEV, hats
from wolter.xray.emission import components as emission
from wolter.xray.spectral.forward import Forward
from wolter.xray.spectral.gain import regain

_EXTRA = {
    # Unabsorbed, with log-uniform ranges in keV: a broad component, or a narrow line.
    "bremss": ("brems_kt", (0.2, 10.0), {"brems_norm": 1.0}),
    "gaussian": ("line_energy", (0.4, 9.0), {"sigma": 0.02, "line_norm": 1.0}),
}


@dataclass(frozen=True)
class Augmentation:
    """Augmentation settings: random deviations from response and background, by spectrum.

    Drawn from seeds of its own: the same seed gives the same parameters with and without it.

    Attributes:
        gain_slope: standard deviation of the slope of the energy scale, as a fraction, e.g. 0.005;
            energies E are recorded at slope (E + offset), as with XSPEC's `gain`.
        gain_offset: standard deviation of the offset of the energy scale, eV, e.g. 5.
        blur: extra normal scatter of the recorded energies, eV: the scale of its half-normal
            distribution, e.g. 10.
        area_tilt: standard deviation of the logarithm of a smooth factor on the effective area
            that records do not store (unlike --variety.tilt), e.g. 0.05.
        background_norm: standard deviation of the logarithm of the ratio between the source
            region's background and the background spectrum, e.g. 0.1.
        background_tilt: standard deviation of the logarithm of a smooth factor on the source
            region's background, e.g. 0.1.
        line_width: LOW HIGH, log-uniform range of the width (sigma) of the gaussian in place of
            the fixed one, keV.
        extra_share: share of the spectra with a component that the model lacks: one half of them
            bremsstrahlung of 0.2 to 10 keV, the others a narrow line at 0.4 to 9 keV.
        extra_flux: LOW HIGH, log-uniform range of the extra component's counts, as a fraction of
            the model's counts.
    """

    gain_slope: float = 0.0
    gain_offset: float = 0.0
    blur: float = 0.0
    area_tilt: float = 0.0
    background_norm: float = 0.0
    background_tilt: float = 0.0
    line_width: tuple[float, float] | None = None
    extra_share: float = 0.0
    extra_flux: tuple[float, float] = (0.01, 0.1)

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in (
            "gain_slope",
            "gain_offset",
            "blur",
            "area_tilt",
            "background_norm",
            "background_tilt",
            "extra_share",
        ):
            if getattr(self, name) < 0:
                raise InputError(f"augment: {name} = {getattr(self, name)}; give 0 or more")
        if self.gain_slope > 0.1:
            raise InputError(
                f"augment: gain_slope = {self.gain_slope} is a fraction; give 0.1 or less"
            )
        if self.extra_share > 1:
            raise InputError(f"augment: extra_share = {self.extra_share}; give 1 or less")
        for name, pair in (("line_width", self.line_width), ("extra_flux", self.extra_flux)):
            if pair is not None and not 0 < pair[0] <= pair[1]:
                raise InputError(f"augment: {name} = {pair[0]}, {pair[1]}; give 0 < low <= high")

    @property
    def regains(self) -> bool:
        """True if gain or resolution is augmented."""
        return bool(self.gain_slope or self.gain_offset or self.blur)

    @property
    def unmodelled(self) -> bool:
        """True if extra components are augmented, in neither model nor background."""
        return bool(self.extra_share or self.background_norm or self.background_tilt)

    def draw(self, n: int, generator: torch.Generator) -> "Nuisance":
        """Draw augmentation parameters of `n` spectra, each setting from its own random numbers."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(n, *shape, generator=generator)

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator)

        low, high = self.line_width or (1.0, 1.0)
        least, most = self.extra_flux
        return Nuisance(
            slope_B=1 + self.gain_slope * normal().clamp(-5, 5),
            offset_B=self.gain_offset / 1e3 * normal(),
            blur_B=self.blur / 1e3 * normal().abs(),
            area_BN=self.area_tilt * normal(len(KNOTS_KEV)),
            background_BN=self.background_norm * normal(1)
            + self.background_tilt * normal(len(KNOTS_KEV)),
            sigma_B=low * (high / low) ** uniform(),
            extra_B=(uniform() < self.extra_share) * least * (most / least) ** uniform(),
            line_B=uniform() < 0.5,
            energy_B=uniform(),
        )


@dataclass(frozen=True)
class Nuisance:
    """Augmentation parameters of each spectrum.

    Attributes:
        slope_B, offset_B: of the energy scale; keV.
        blur_B: standard deviation of the extra scatter of recorded energies, keV.
        area_BN: logarithm of the factor on the area, at the knots of `variety.KNOTS_KEV`.
        background_BN: logarithm of the factor on the background of the source region, at those.
        sigma_B: width of the gaussian, keV.
        extra_B: counts of the extra component over the model's; 0 for none.
        line_B: whether it is a line.
        energy_B: energy of the line, or temperature, as a share of its logarithmic range.
    """

    slope_B: Tensor
    offset_B: Tensor
    blur_B: Tensor
    area_BN: Tensor
    background_BN: Tensor
    sigma_B: Tensor
    extra_B: Tensor
    line_B: Tensor
    energy_B: Tensor


@dataclass(frozen=True)
class AugmentedCounts:
    """Expected counts of augmented spectra; see `SpectraBatch`."""

    expected_BKC: Tensor
    background_BC: Tensor
    unmodelled_BC: Tensor | None


class Augmenter:
    """Applies an augmentation to the spectra of one model and response."""

    def __init__(self, augmentation: Augmentation, forward: Forward) -> None:
        """Prepare the models.

        Raises:
            InputError: the width of a line is to vary, but the model has no fixed one.
        """
        self.augmentation, self.forward = augmentation, forward
        if augmentation.line_width is not None:
            if "sigma" not in forward.model.model.parameters or "sigma" in forward.names:
                raise InputError(
                    f"model '{forward.model.model}': has no parameter sigma that is not free; "
                    "leave out augment.line_width"
                )
            others = {name: value for name, value in forward.fixed.items() if name != "sigma"}
            self.forward = replace(forward, names=(*forward.names, "sigma"), fixed=others)
        grid, dtype = forward.model.grid.edges_E1, forward.model.grid.dtype
        self.extra: Mapping[str, Forward] = {
            name: Forward(emission.parse(name).on(grid, dtype), forward.response, (free,), fixed)
            for name, (free, _, fixed) in (_EXTRA.items() if augmentation.extra_share else ())
        }

    def __call__(
        self,
        nuisance: Nuisance,
        parameters_BP: Tensor,
        exposure_B: Tensor,
        throughput_BE: Tensor | None,
        background_BC: Tensor,
        components: bool,
    ) -> AugmentedCounts:
        """Expected counts with the augmentation applied.

        Args:
            nuisance: drawn.
            parameters_BP: parameters of the model.
            exposure_B: s.
            throughput_BE: known factor on the area at the energies of the response; None for 1.
            background_BC: counts in the source region, as the background spectrum tells them.
            components: give each component's counts, else their sum (K = 1).
        """
        own, edges_C1 = self.augmentation, self.forward.response.channel_edges_C1
        if own.area_tilt:
            edges_E1 = self.forward.response.energy_edges_E1
            tilt_BE = (nuisance.area_BN @ hats((edges_E1[1:] + edges_E1[:-1]) / 2)).exp_()
            throughput_BE = tilt_BE if throughput_BE is None else throughput_BE * tilt_BE
        if own.line_width is not None:
            parameters_BP = torch.cat([parameters_BP, nuisance.sigma_B[:, None]], 1)
        if components:
            source_BKC = self.forward.terms(parameters_BP, exposure_B, throughput_BE)
        else:
            source_BKC = self.forward(parameters_BP, exposure_B, throughput_BE)[:, None]
        parts = [source_BKC, background_BC[:, None]]
        if own.unmodelled:
            factor_BC = (nuisance.background_BN @ hats((edges_C1[1:] + edges_C1[:-1]) / 2)).exp_()
            region_BC = background_BC * factor_BC
            if own.extra_share:
                region_BC += self._extra(nuisance, source_BKC, throughput_BE)
            parts.append(region_BC[:, None])
        seen_BKC = torch.cat(parts, 1)
        if own.regains:
            blur_B = nuisance.blur_B if own.blur else None
            seen_BKC = regain(seen_BKC, edges_C1, nuisance.slope_B, nuisance.offset_B, blur_B)
        n_components = source_BKC.shape[1]
        background_BC = seen_BKC[:, n_components].contiguous()
        return AugmentedCounts(
            expected_BKC=seen_BKC[:, :n_components].contiguous(),
            background_BC=background_BC,
            unmodelled_BC=seen_BKC[:, -1] - background_BC if own.unmodelled else None,
        )

    def _extra(
        self, nuisance: Nuisance, source_BKC: Tensor, throughput_BE: Tensor | None
    ) -> Tensor:
        """Expected counts of the extra components (B, C)."""
        counts_BC = torch.zeros_like(source_BKC[:, 0])
        for name, is_line in (("bremss", False), ("gaussian", True)):
            row_R = torch.nonzero((nuisance.extra_B > 0) & (nuisance.line_B == is_line)).flatten()
            if len(row_R) == 0:
                continue
            low, high = _EXTRA[name][1]
            energy_R1 = (log(low) + log(high / low) * nuisance.energy_B[row_R, None]).exp_()
            throughput_RE = None if throughput_BE is None else throughput_BE[row_R]
            shape_RC = self.extra[name](energy_R1, 1.0, throughput_RE)
            wanted_R = nuisance.extra_B[row_R] * source_BKC[row_R].sum((1, 2))
            counts_BC[row_R] = shape_RC * (wanted_R / shape_RC.sum(1))[:, None]
        return counts_BC
