"""Decoder of latents to photon fluxes, and of background spectra, to expected counts.

Shapes: B batch, C channel, F narrow band, L latent, X feature.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from wolter.models._anomaly import anscombe
from wolter.models._spectra import Standardise
from wolter.spectra.folding import EDGES_KEV, SHARES, Redistributions, bands_kev
from wolter.spectra.grid import PHOTONS_KEV
from wolter.spectra.schema import SpectraBatch, SpectraSpec

FLUX_BAND = (0.5, 7.0)  # keV, the broad band of the Chandra Source Catalog
ERG_PER_KEV = 1.602177e-9
N_BANDS = 16  # of background counts
BACKGROUND_COUNTS = 0.5  # added to the counts of a background, which may be zero
LEAST = 1e-4  # expected counts of a channel


class FluxDecoder(nn.Module):
    """Photon flux (B, F) of latents; the first is the logarithm of the energy flux.

    The energy flux in 0.5-7 keV is set by the first latent alone, the others shape the spectrum.
    """

    log_start_F: Tensor
    weight_F: Tensor

    def __init__(self, latents: int, width: int) -> None:
        super().__init__()
        energy_F, width_F = bands_kev(), torch.tensor(EDGES_KEV).diff()
        inside_F = (energy_F >= FLUX_BAND[0]) & (energy_F < FLUX_BAND[1])
        start_F = -1.7 * energy_F.log() + width_F.log()
        self.register_buffer("log_start_F", start_F, persistent=False)
        self.register_buffer("weight_F", ERG_PER_KEV * energy_F * inside_F, persistent=False)
        self.network = nn.Sequential(
            nn.Linear(latents, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, len(energy_F)),
        )
        with torch.no_grad():
            cast("nn.Linear", self.network[-1]).weight.mul_(0.1)

    def forward(self, latent_BL: Tensor, log_flux_B: Tensor) -> Tensor:
        """Photons cm^-2 s^-1 in each band.

        Args:
            latent_BL: latents.
            log_flux_B: natural logarithm of the energy flux in 0.5-7 keV, erg cm^-2 s^-1.
        """
        shape_BF = self.log_start_F + cast("Tensor", self.network(latent_BL)).float()
        total_B = torch.logsumexp(shape_BF + self.weight_F.clamp_min(1e-30).log(), 1)
        return (shape_BF + (log_flux_B - total_B)[:, None]).clamp(max=20.0).exp()

    def log_slopes(self, latent_BL: Tensor) -> Tensor:
        """Derivatives (B, L, F) of the flux's logarithm by each latent, at a fixed energy flux."""
        x_BX = latent_BL
        slope_BLX = torch.eye(latent_BL.shape[1]).to(latent_BL).expand(len(latent_BL), -1, -1)
        for layer in self.network:
            if isinstance(layer, nn.Linear):
                slope_BLX = slope_BLX @ layer.weight.mT
            else:  # GELU: x times the normal distribution function
                density_BX = (-0.5 * x_BX.square()).exp() / math.sqrt(2 * math.pi)
                slope_BLX = slope_BLX * (torch.special.ndtr(x_BX) + x_BX * density_BX)[:, None]
            x_BX = layer(x_BX)
        weight_F = self.log_start_F + self.weight_F.clamp_min(1e-30).log()
        share_BF = (x_BX.float() + weight_F).softmax(1)
        return slope_BLX - slope_BLX @ share_BF[..., None]


class BackgroundDecoder(nn.Module):
    """Expected background counts of source regions (B, C), from the background spectra.

    Their sum is that of the background's counts, their shape a network's, which learns it from all
    background spectra: a single one holds a few counts.
    """

    def __init__(self, spec: SpectraSpec, width: int) -> None:
        super().__init__()
        self.features = Standardise(N_BANDS + 2)
        self.network = nn.Sequential(
            nn.Linear(N_BANDS + 2, width), nn.GELU(), nn.Linear(width, spec.n_channels)
        )

    def learn(self, batch: SpectraBatch) -> None:
        """Set the scales of the features from a sample of the training set."""
        self.features.learn(self._raw(batch))

    def _raw(self, batch: SpectraBatch) -> Tensor:
        bands_BX = nn.functional.adaptive_avg_pool1d(batch.background_BC[:, None], N_BANDS)[:, 0]
        scale_B = batch.background_scale_B.clamp_min(1e-4).log()
        exposure_B = batch.exposure_B.clamp_min(1.0).log()
        return torch.cat([anscombe(bands_BX), torch.stack([scale_B, exposure_B], 1)], 1)

    def forward(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """Shape of the background, and expected background counts of the source region (B, C)."""
        shape_BC = self.network(self.features(self._raw(batch))).float().softmax(1)
        counts_B = batch.background_BC.sum(1) + BACKGROUND_COUNTS
        return shape_BC, shape_BC * (batch.background_scale_B * counts_B)[:, None]


def expected_counts(
    flux_BF: Tensor, area_BF: Tensor, batch: SpectraBatch, edges_C1: Tensor
) -> Tensor:
    """Expected counts of the source (B, C): its flux through the record's own response."""
    photons_BF = flux_BF * area_BF * batch.exposure_B[:, None]
    return redistributions(batch, edges_C1)(photons_BF)


def redistributions(batch: SpectraBatch, edges_C1: Tensor) -> Redistributions:
    """Redistributions of records; where none is known, photons keep their own energies."""
    offset_BTA = batch.folding_offsets_BTA
    if offset_BTA is None:
        offset_BTA = edges_C1.new_zeros(len(batch), len(SHARES), len(PHOTONS_KEV))
    return Redistributions.of(offset_BTA, edges_C1, batch.filled_BC)


def deviance(counts_BC: Tensor, expected_BC: Tensor) -> Tensor:
    """Poisson deviance (B): twice the log-likelihood ratio to the saturated model (Cash 1979)."""
    expected_BC = expected_BC.clamp_min(LEAST)
    log_ratio_BC = (counts_BC.clamp_min(1e-9) / expected_BC).log()
    return 2 * (counts_BC * log_ratio_BC + expected_BC - counts_BC).sum(1)
