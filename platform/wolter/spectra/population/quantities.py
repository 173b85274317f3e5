"""Physical labels of simulated sources, and the features that a catalogue would hold of them.

Labels are noise-free. Catalogue features are measured from the record's own counts, as those of the
Chandra Source Catalog are: energy fluxes of bands by aperture photometry (Evans et al. 2010, ApJS
189, 37, section 3.4), a power law where there are enough counts, variability probabilities.

Shapes: B sources, C channel, E photon energy, G group of channels, S slope, T pair of slope and
column, X catalogue feature.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from wolter.spectra.population.classes import CLASSES
from wolter.spectra.population.emission import WIDE_KEV, Emission, energy_fluxes
from wolter.spectra.schema import Parameter
from wolter.xray.emission.components import parse
from wolter.xray.spectral.fluxes import ERG_PER_KEV
from wolter.xray.spectral.response import Response

BANDS_KEV = ((0.5, 1.2), (1.2, 2.0), (2.0, 7.0))
"""Soft, medium and hard band of the Chandra Source Catalog."""

PARAMETERS = (
    Parameter("nh", 1e-3, 50.0, "1e22 cm^-2", "log"),
    Parameter("slope", 0.0, 4.0),
    Parameter("kt", 0.03, 50.0, "keV", "log"),
    Parameter("hard_hm", -1.0, 1.0),
    Parameter("hard_hs", -1.0, 1.0),
    Parameter("hard_ms", -1.0, 1.0),
    Parameter("flux_s", 1e-19, 1e-9, "erg cm^-2 s^-1", "log", scales_with_flux=True),
    Parameter("flux_m", 1e-19, 1e-9, "erg cm^-2 s^-1", "log", scales_with_flux=True),
    Parameter("flux_h", 1e-19, 1e-9, "erg cm^-2 s^-1", "log", scales_with_flux=True),
    Parameter("flux_b", 1e-18, 1e-9, "erg cm^-2 s^-1", "log", scales_with_flux=True),
)
"""Labels. nh: of the main absorber. slope: of the power law. kt: mean of the thermal components,
weighted by their norms; of the blackbody or the disk in neutron stars and low-mass binaries. Slope
and kt are NaN where a source has none. hard_xy: (F_x - F_y) / (F_x + F_y) of noise-free energy
fluxes after absorption, as fluxes are."""

CATALOGUE = (
    "log_flux_s", "log_flux_m", "log_flux_h", "log_error_s", "log_error_m", "log_error_h",
    "gamma", "gamma_error", "var_intra_prob", "var_inter_prob",
)  # fmt: skip
"""Catalogue features: decimal logarithms of fluxes and errors in erg cm^-2 s^-1; photon index."""

FEWEST_FOR_SLOPE = 150.0  # net counts that the Chandra Source Catalog fits
_SLOPES = torch.linspace(-1.0, 5.6, 34)
# 1e22 cm^-2; closer where slopes depend on them most
_LOG_COLUMNS = torch.tensor(
    [-2.0, -1.5, -1.2, -1.0, -0.8, *(-0.65 + 0.15 * i for i in range(16)), 1.8]
)
_GROUP = 8  # channels that slopes are measured in
_LEAST_ERROR = 0.08  # of a slope: the grid's
_TOGETHER = 8  # sources: what is expected of them stays in a processor's cache
FAINTEST = 1e-19  # erg cm^-2 s^-1: label of a band that nothing passes


def labels(
    emission: Emission, values: Mapping[str, Tensor], norms: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Labels nh, slope and kt (B) of drawn sources; NaN where the model has none."""
    variant = emission.variant
    nothing_B = torch.full_like(values["nh"], torch.nan)
    slope_B = values[variant.slope] if variant.slope else nothing_B
    kt_B = nothing_B
    if variant.kt:
        weight = [_norm_of(name, emission, norms) for name in variant.kt]
        total_B = torch.stack(weight).sum(0)
        pairs = zip(weight, variant.kt, strict=True)
        kt_B = torch.stack([w_B * values[name] for w_B, name in pairs]).sum(0) / total_B
    return values["nh"], slope_B, kt_B


def _norm_of(name: str, emission: Emission, norms: Mapping[str, Tensor]) -> Tensor:
    own = next(each for each in emission.prepared.model.names if name in each)
    return norms[own[-1]]


def fluxes(flux_BE: Tensor, edges_E1: Tensor) -> Tensor:
    """Energy fluxes (B, 4) in s, m, h and b, erg cm^-2 s^-1."""
    return energy_fluxes(flux_BE, edges_E1, (*BANDS_KEV, WIDE_KEV)) * ERG_PER_KEV


def hardness(flux_B4: Tensor) -> Tensor:
    """Hardness ratios hm, hs, ms (B, 3) of fluxes in s, m, h."""
    s_B, m_B, h_B = flux_B4[:, 0], flux_B4[:, 1], flux_B4[:, 2]
    pairs = ((h_B, m_B), (h_B, s_B), (m_B, s_B))
    return torch.stack([(x_B - y_B) / (x_B + y_B) for x_B, y_B in pairs], 1)


def measured_fluxes(
    counts_BC: Tensor,
    background_BC: Tensor,
    scale_B: Tensor,
    exposure_B: Tensor,
    area_BC: Tensor,
    energy_edges: tuple[float, ...],
) -> tuple[Tensor, Tensor]:
    """Band fluxes and their errors (B, 3), erg cm^-2 s^-1, as aperture photometry has them.

    The sum over counts of energy over area and exposure. Fluxes are not negative: each is the mean
    of the positive part of a normal distribution, as upper limits are where nothing is seen.

    Args:
        counts_BC: of source and background.
        background_BC: of the background's region.
        scale_B: area of the source's region over the background's.
        exposure_B: s.
        area_BC: effective area in each channel, cm^2.
        energy_edges: of the channels, keV.
    """
    edges = torch.tensor(energy_edges)
    energy_C = (edges[1:] + edges[:-1]) / 2
    weight_BC = energy_C * ERG_PER_KEV / (area_BC * exposure_B[:, None])
    net_BC = counts_BC - background_BC * scale_B[:, None]
    variance_BC = counts_BC + background_BC * scale_B[:, None] ** 2
    fluxes, errors = [], []
    for low, high in BANDS_KEV:
        first, last = torch.searchsorted(energy_C, torch.tensor([low, high])).tolist()
        band_BC = weight_BC[:, first:last]
        flux_B = (band_BC * net_BC[:, first:last]).sum(1)
        # One count more than was seen: nothing seen does not mean no error.
        one_B = band_BC.mean(1) ** 2
        error_B = ((band_BC**2 * variance_BC[:, first:last]).sum(1) + one_B).sqrt()
        flux_B, error_B = _positive(flux_B, error_B)
        fluxes.append(flux_B)
        errors.append(error_B)
    return torch.stack(fluxes, 1), torch.stack(errors, 1)


def _positive(mean_B: Tensor, sigma_B: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the positive part of a normal distribution."""
    x_B = (mean_B / sigma_B).double().clamp(min=-8)
    density_B = torch.exp(-(x_B**2) / 2) / math.sqrt(2 * math.pi)
    ratio_B = density_B / torch.special.ndtr(x_B)
    variance_B = (1 - x_B * ratio_B - ratio_B**2).clamp(min=1e-4)
    return ((x_B + ratio_B) * sigma_B).to(mean_B), (variance_B.sqrt() * sigma_B).to(mean_B)


def power_law_shapes(response: Response) -> Tensor:
    """Counts (T, C) of absorbed power laws on a grid of slopes and columns, over their sum."""
    slope_T, column_T = (
        each.flatten() for each in torch.meshgrid(_SLOPES, _LOG_COLUMNS, indexing="ij")
    )
    model = parse("wabs * powerlaw").on(response.energy_edges_E1, torch.float32)
    flux_TE = model({"nh": 10**column_T, "slope": slope_T, "pow_norm": 1.0})
    counts_TC: Tensor = response.fold(flux_TE)
    return counts_TC / counts_TC.sum(1, keepdim=True)


def measured_slopes(
    counts_BC: Tensor, background_BC: Tensor, area_BC: Tensor, shape_TC: Tensor, area_C: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B) of the slope of an absorbed power law, for these counts.

    The likelihood of the channels, given their sum, is averaged over a grid of slopes and of
    logarithms of columns. NaN below `FEWEST_FOR_SLOPE` net counts, as in the catalogue.

    Args:
        counts_BC: of source and background.
        background_BC: expected background in the source's region.
        area_BC: effective area in each channel, cm^2.
        shape_TC: see `power_law_shapes`, for a response with
        area_C: this area.
    """
    net_B = counts_BC.sum(1) - background_BC.sum(1)
    mean_B, sigma_B = (torch.full_like(net_B, torch.nan) for _ in range(2))
    bright = (net_B >= FEWEST_FOR_SLOPE).nonzero()[:, 0]
    shape_GT = _grouped(shape_TC).T.contiguous()
    # Within a group of channels the area is the mean one.
    relative_BG = _grouped(area_BC[bright] / area_C) / _grouped(torch.ones_like(area_C))
    relative_BG.clamp_(min=1e-6)  # background is divided by it
    counts_BG, background_BG = _grouped(counts_BC[bright]), _grouped(background_BC[bright]) + 1e-6
    scale_BT = net_B[bright, None] / (relative_BG @ shape_GT)
    # A factor that all pairs share changes no weight, so that counts are left over the area.
    log_BT = _log_likelihood(counts_BG, background_BG / relative_BG, scale_BT, shape_GT)
    weight_BS = torch.softmax(log_BT, 1).view(len(bright), len(_SLOPES), len(_LOG_COLUMNS)).sum(2)
    slope_B = weight_BS @ _SLOPES
    variance_B = (weight_BS * (_SLOPES - slope_B[:, None]) ** 2).sum(1)
    mean_B[bright], sigma_B[bright] = slope_B, (variance_B + _LEAST_ERROR**2).sqrt()
    return mean_B, sigma_B


def _log_likelihood(
    counts_BG: Tensor, background_BG: Tensor, scale_BT: Tensor, shape_GT: Tensor
) -> Tensor:
    """Poisson log-likelihood (B, T) of counts whose sum is known, less what all T share."""
    pieces = []
    for start in range(0, len(counts_BG), _TOGETHER):
        piece = slice(start, start + _TOGETHER)
        expected_BGT = torch.addcmul(
            background_BG[piece, :, None], shape_GT[None], scale_BT[piece, None]
        )
        np.log(expected_BGT.numpy(), out=expected_BGT.numpy())  # three times as fast as torch's
        pieces.append((counts_BG[piece, None] @ expected_BGT)[:, 0])
    return torch.cat(pieces) if pieces else torch.empty_like(scale_BT)


def _grouped(values_BC: Tensor) -> Tensor:
    """Sums over groups of channels; what is left over at the end is a smaller group."""
    missing = -values_BC.shape[-1] % _GROUP
    padded = torch.nn.functional.pad(values_BC, (0, missing))
    groups = padded.shape[-1] // _GROUP
    return padded.reshape(*padded.shape[:-1], groups, _GROUP).sum(-1)


def variability(
    class_B: Tensor, net_B: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Probabilities of variability within and between observations (B), drawn by class.

    No light curve is simulated: a share of each class varies, and what varies is noticed where
    there are counts enough. Half of the sources were observed once and have no second one.
    """
    n = len(class_B)
    share_K2 = torch.tensor([each.variable for each in CLASSES])
    noticed_B = 1 - torch.exp(-net_B / 150)
    result = []
    for column in range(2):
        varies_B = torch.rand(n, generator=generator) < share_K2[class_B, column] * noticed_B
        unit_B = torch.rand(n, generator=generator)
        result.append(torch.where(varies_B, 1 - 0.1 * unit_B**3, 0.9 * unit_B))
    once_B = torch.rand(n, generator=generator) < 0.55
    return result[0], torch.where(once_B, torch.nan, result[1])
