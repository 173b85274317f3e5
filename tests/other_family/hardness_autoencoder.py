"""Autoencoder of X-ray spectra: eight latents, and whether a spectrum is soft or hard.

A spectrum is hard where the mean energy of its counts is above that of the training set.

Shapes: B batch, C channel, L latent.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family
from wolter.outputs import Metric, Output
from wolter.spectra.schema import SpectraBatch, SpectraSpec

LATENTS = 8


@dataclass(frozen=True)
class Config:
    """Width of the hidden layers, and the weight of the classes in the loss."""

    width: int = 64
    class_weight: float = 1.0


class Autoencoder(nn.Module):
    """Encoder, decoder, and a classifier of the latents."""

    energy_C: Tensor
    mean_C: Tensor
    scale_C: Tensor
    border: Tensor

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__()
        self.config, n = config, spec.n_channels
        edges = torch.tensor(spec.energy_edges)
        self.register_buffer("energy_C", (edges[1:] + edges[:-1]) / 2)
        self.register_buffer("mean_C", torch.zeros(n))
        self.register_buffer("scale_C", torch.ones(n))
        self.register_buffer("border", torch.zeros(()))
        self.encoder = nn.Sequential(
            nn.Linear(n, config.width), nn.GELU(), nn.Linear(config.width, LATENTS)
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENTS, config.width), nn.GELU(), nn.Linear(config.width, n)
        )
        self.hard = nn.Linear(LATENTS, 1)

    def inputs(self, batch: SpectraBatch) -> Tensor:
        """Standardised logarithms of counts."""
        return (batch.counts_BC.log1p() - self.mean_C) / self.scale_C

    def mean_energy(self, batch: SpectraBatch) -> Tensor:
        """Mean energy of the counts (B), keV."""
        counts_BC = batch.counts_BC
        return (counts_BC * self.energy_C).sum(1) / counts_BC.sum(1).clamp_min(1)

    def forward(self, batch: SpectraBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (B, L), decoded inputs (B, C), and logits of being hard (B)."""
        latent_BL = self.encoder(self.inputs(batch))
        return latent_BL, self.decoder(latent_BL), self.hard(latent_BL)[:, 0]


def normalise(module: nn.Module, batch: SpectraBatch) -> None:
    """Learn mean and scale of every channel, and the mean energy that parts soft from hard."""
    model = cast("Autoencoder", module)
    values_BC = batch.counts_BC.log1p()
    model.mean_C.copy_(values_BC.mean(0))
    model.scale_C.copy_(values_BC.std(0).clamp_min(0.1))
    model.border.copy_(model.mean_energy(batch).median())


def _errors(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Squared error of decoded inputs, cross-entropy and accuracy of the classes."""
    model = cast("Autoencoder", module)
    _, decoded_BC, logit_B = model(batch)
    hard_B = (model.mean_energy(batch) > model.border).float()
    squared = (decoded_BC - model.inputs(batch)).square().mean()
    entropy = nn.functional.binary_cross_entropy_with_logits(logit_B, hard_B)
    return squared, entropy, ((logit_B > 0) == hard_B.bool()).float().mean()


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared error of decoded inputs, and the classes' cross-entropy (nats)."""
    squared, entropy, _ = _errors(module, batch)
    weight = cast("Autoencoder", module).config.class_weight
    parts = {"squared": squared.detach(), "entropy": entropy.detach()}
    return squared + weight * entropy, parts


def measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Error of decoded inputs, and percentage of spectra in the right class."""
    squared, _, right = _errors(module, batch)
    return {"decoding_error": squared, "accuracy": 100 * right}


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Latents, probabilities of the classes, and the mean energy of the counts."""
    model = cast("Autoencoder", module)
    latent_BL, _, logit_B = model(batch)
    hard_B = logit_B.sigmoid()
    energy_B = model.mean_energy(batch)
    return {"latent": latent_BL, "p_soft": 1 - hard_B, "p_hard": hard_B, "mean_energy": energy_B}


FAMILY = Family(
    name="hardness",
    task="spectra/embedding",
    config=Config,
    build=Autoencoder,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, _spec: (
        Output("latent", "coordinate of the latent space", axes="L"),
        Output("p_soft", "probability that the spectrum is soft", ucd="stat.probability"),
        Output("p_hard", "probability that the spectrum is hard", ucd="stat.probability"),
        Output("mean_energy", "mean energy of the counts", "keV", ucd="em.energy"),
    ),
    measure=measure,
    metrics=(
        Metric("decoding_error", "lower", "mean squared error of decoded inputs", headline=True),
        Metric("accuracy", "higher", "spectra in the right class", "%", headline=True),
    ),
    search_space={"width": Choice((16, 32, 64)), "class_weight": Choice((0.1, 1.0))},
)
