"""Contrastive alignment of spectra with catalogue rows (CLIP, Radford et al. 2021).

Two encoders, one of spectra and one of the rows that a catalogue has of the same sources, learn
unit vectors whose inner products are largest for spectrum and row of one source (InfoNCE, both
ways). Either then finds the other, and rows without a spectrum are found by spectra like theirs.

Shapes: B batch, L latent, X catalogue feature.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.family import Choice, Family
from wolter.models._spectrum_encoder import SpectrumEncoder
from wolter.outputs import Metric, Output
from wolter.spectra.schema import SpectraBatch, SpectraSpec

START = math.log(1 / 0.1)  # logarithm of the inverse temperature
SHARPEST = math.log(100.0)


@dataclass(frozen=True)
class Config:
    """Sizes of the networks.

    Attributes:
        width: width of the transformer.
        layers: blocks of the transformer.
        heads: attention heads of a block.
        row_width: width of the layers that read catalogue rows.
        latents: length of the vectors.
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    row_width: int = 128
    latents: int = 16


class Aligner(nn.Module):
    """Encoders of spectra and of catalogue rows to unit vectors of one space."""

    mean_X: Tensor
    scale_X: Tensor

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__()
        n = len(spec.catalogue)
        if not n:
            raise InputError(
                "the dataset has no catalogue features to align spectra with; make one with "
                "`wolter simulate population`"
            )
        self.register_buffer("mean_X", torch.zeros(n))
        self.register_buffer("scale_X", torch.ones(n))
        self.encoder = SpectrumEncoder(spec, config.width, config.layers, config.heads)
        self.from_spectrum = nn.Linear(2 * config.width, config.latents)
        self.from_row = nn.Sequential(
            nn.Linear(2 * n, config.row_width),
            nn.GELU(),
            nn.Linear(config.row_width, config.row_width),
            nn.GELU(),
            nn.Linear(config.row_width, config.latents),
        )
        self.log_sharpness = nn.Parameter(torch.tensor(START))

    def learn(self, batch: SpectraBatch) -> None:
        """Set all data-derived state from a sample of the training set."""
        self.encoder.tokens.learn(batch)
        if batch.catalogue_BX is not None:
            mean_X = batch.catalogue_BX.nanmean(0)
            scale_X = (batch.catalogue_BX - mean_X).square().nanmean(0).sqrt()
            self.mean_X.copy_(mean_X.nan_to_num(nan=0.0))
            self.scale_X.copy_(scale_X.nan_to_num(nan=1.0).clamp_min(1e-3))

    def spectra(self, batch: SpectraBatch) -> Tensor:
        """Unit vectors of spectra (B, L)."""
        return nn.functional.normalize(self.from_spectrum(self.encoder(batch)).float(), dim=1)

    def rows(self, catalogue_BX: Tensor) -> Tensor:
        """Unit vectors of catalogue rows (B, L); unknown features are NaN."""
        known_BX = ~catalogue_BX.isnan()
        value_BX = ((catalogue_BX - self.mean_X) / self.scale_X).clamp(-8, 8)
        inputs = torch.cat([value_BX.nan_to_num(nan=0.0), known_BX.to(value_BX)], 1)
        return nn.functional.normalize(self.from_row(inputs).float(), dim=1)


def normalise(module: nn.Module, batch: SpectraBatch) -> None:
    """Learn the module's data-derived state from a sample of the training set."""
    cast("Aligner", module).learn(batch)


def _similarity(network: Aligner, batch: SpectraBatch) -> Tensor:
    """Inner products (B, B) of spectra with rows, over the temperature.

    Records whose row knows no feature are left out: it is the same for all of them.
    """
    assert batch.catalogue_BX is not None, "catalogue features are needed"
    known_B = ~batch.catalogue_BX.isnan().all(1)
    rows_BX = batch.catalogue_BX
    if not known_B.all():
        rows_BX, batch = rows_BX[known_B], batch[known_B.nonzero()[:, 0]]
    sharpness = network.log_sharpness.clamp(max=SHARPEST).exp()
    return sharpness * network.spectra(batch) @ network.rows(rows_BX).T


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """InfoNCE of spectra among rows and of rows among spectra, nats (van den Oord et al. 2018)."""
    similarity_BB = _similarity(cast("Aligner", module), batch)
    n = len(similarity_BB)
    own_B = torch.arange(n, device=similarity_BB.device)
    to_rows, to_spectra = (
        nn.functional.cross_entropy(each_BB, own_B, reduction="sum") / max(1, n)
        for each_BB in (similarity_BB, similarity_BB.T)
    )
    parts = {"to_rows": to_rows.detach(), "to_spectra": to_spectra.detach()}
    return (to_rows + to_spectra) / 2, parts


def measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Rank of the true row among the batch's rows, and the share that is within the first 1 %.

    Neither, of a batch none of whose rows knows a feature.
    """
    similarity_BB = _similarity(cast("Aligner", module), batch)
    above_B = (similarity_BB > similarity_BB.diagonal()[:, None]).sum(1)
    n = len(similarity_BB)
    if n == 0:
        return {}
    return {
        "median_rank": 100 * above_B.float().median() / n,
        "recall_1": 100 * (above_B < max(1, round(0.01 * n))).float().mean(),
    }


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Unit vectors of spectra and, where there is one, of the catalogue row (NaN elsewhere)."""
    network = cast("Aligner", module)
    latent_BL = network.spectra(batch)
    row_BL = torch.full_like(latent_BL, torch.nan)
    if batch.catalogue_BX is not None:
        some_B1 = ~batch.catalogue_BX.isnan().all(1, keepdim=True)
        row_BL = torch.where(some_B1, network.rows(batch.catalogue_BX), row_BL)
    return {"latent": latent_BL, "row_latent": row_BL}


FAMILY = Family(
    name="aligner",
    task="spectra/embedding",
    config=Config,
    build=Aligner,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, _spec: (
        Output("latent", "coordinate of the spectrum in the space of spectra and rows", axes="L"),
        Output("row_latent", "coordinate of the catalogue row in that space", axes="L"),
    ),
    measure=measure,
    metrics=(
        Metric("recall_1", "higher", "true rows within the first 1 % of a batch", "%", True),
        Metric("median_rank", "lower", "median rank of the true row in a batch", "%"),
    ),
    search_space={
        "width": Choice((48, 64, 96)),
        "layers": Choice((1, 2, 3)),
        "row_width": Choice((64, 128, 256)),
        "latents": Choice((8, 16, 32)),
    },
    defaults={"batch_size": 512, "learning_rate": 2e-3, "epochs": 15},
)
