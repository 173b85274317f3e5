"""Transformer autoencoder of count rates after Pinciroli Vago et al. (2025, arXiv:2510.14102).

The published inputs: 400 bins of 0.5-8 keV, count rates, each spectrum scaled to 0-1, a mean
absolute (or squared) error; 8 latents. Layer sizes are not published, and are those of the family
`autoencoder`. It stands here for comparison: scaling by minimum and maximum loses the flux, and the
error knows neither Poisson noise nor background nor response.

Shapes: B batch, C channel, D width, L latent, N bin, T token.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family
from wolter.models._spectrum_encoder import Block
from wolter.outputs import Metric, Output
from wolter.spectra.schema import SpectraBatch, SpectraSpec

BAND_KEV, BINS = (0.5, 8.0), 400
PER_TOKEN = 10  # bins


@dataclass(frozen=True)
class Config:
    """Sizes of the networks, number of latents, and the error that is minimised."""

    width: int = 64
    layers: int = 3
    heads: int = 4
    latents: int = 8
    error: Literal["absolute", "squared"] = "absolute"


class RateAutoencoder(nn.Module):
    """Encoder of scaled count rates to latents, and decoder back to them."""

    rebin_CN: Tensor

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("rebin_CN", _overlap(spec), persistent=False)
        n_tokens = BINS // PER_TOKEN
        self.embed = nn.Linear(PER_TOKEN, config.width)
        self.position = nn.Parameter(0.02 * torch.randn(n_tokens, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.layers))
        self.to_latent = nn.Linear(n_tokens * config.width, config.latents)
        self.decoder = nn.Sequential(
            nn.Linear(config.latents, 4 * config.width),
            nn.GELU(),
            nn.Linear(4 * config.width, BINS),
        )

    def scaled(self, batch: SpectraBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Count rates scaled to 0-1 (B, N), their least value and their range (B, 1)."""
        rate_BN = batch.counts_BC @ self.rebin_CN / batch.exposure_B.clamp_min(1.0)[:, None]
        least_B1 = rate_BN.amin(1, keepdim=True)
        range_B1 = (rate_BN.amax(1, keepdim=True) - least_B1).clamp_min(1e-30)
        return (rate_BN - least_B1) / range_B1, least_B1, range_B1

    def encode(self, scaled_BN: Tensor) -> Tensor:
        """Latents (B, L)."""
        x_BTD = self.embed(scaled_BN.reshape(len(scaled_BN), -1, PER_TOKEN)) + self.position
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return cast("Tensor", self.to_latent(x_BTD.flatten(1))).float()

    def decode(self, latent_BL: Tensor) -> Tensor:
        """Scaled count rates (B, N)."""
        return cast("Tensor", self.decoder(latent_BL)).float().sigmoid()


def _overlap(spec: SpectraSpec) -> Tensor:
    """Share of each channel's counts (C, N) in each bin."""
    edges_C1 = torch.tensor(spec.energy_edges)
    edges_N1 = torch.linspace(*BAND_KEV, BINS + 1)
    low_CN = torch.maximum(edges_C1[:-1, None], edges_N1[:-1])
    high_CN = torch.minimum(edges_C1[1:, None], edges_N1[1:])
    return (high_CN - low_CN).clamp_min(0) / edges_C1.diff()[:, None]


def normalise(module: nn.Module, batch: SpectraBatch) -> None:
    """Nothing is learnt from data: each spectrum is scaled by itself."""


def _error(module: nn.Module, batch: SpectraBatch) -> Tensor:
    network = cast("RateAutoencoder", module)
    scaled_BN, _, _ = network.scaled(batch)
    difference_BN = network.decode(network.encode(scaled_BN)) - scaled_BN
    absolute = network.config.error == "absolute"
    return (difference_BN.abs() if absolute else difference_BN.square()).mean()


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean error of scaled count rates, and itself by name."""
    error = _error(module, batch)
    return error, {"rate_error": error.detach()}


def measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Mean error of scaled count rates on held-out records."""
    return {"rate_error": _error(module, batch)}


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Latents, and expected counts of source and background by channel."""
    network = cast("RateAutoencoder", module)
    scaled_BN, least_B1, range_B1 = network.scaled(batch)
    latent_BL = network.encode(scaled_BN)
    rate_BN = network.decode(latent_BL) * range_B1 + least_B1
    # A bin's counts go back to the channels by the same shares.
    share_CN = network.rebin_CN
    per_bin_CN = share_CN / share_CN.sum(0).clamp_min(1e-9)
    counts_BC = rate_BN @ per_bin_CN.T * batch.exposure_B[:, None]
    return {"latent": latent_BL, "reconstruction": counts_BC}


FAMILY = Family(
    name="vago2025",
    task="spectra/embedding",
    config=Config,
    build=RateAutoencoder,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, _spec: (
        Output("latent", "coordinate of the latent space", axes="L"),
        Output("reconstruction", "expected counts of source and background", "count", "C"),
    ),
    measure=measure,
    metrics=(Metric("rate_error", "lower", "mean error of scaled count rates", headline=True),),
    search_space={
        "width": Choice((48, 64, 96)),
        "layers": Choice((2, 3, 4)),
        "heads": Choice((2, 4, 8)),
    },
    presets={"squared": Config(error="squared")},
    defaults={"batch_size": 256},
)
