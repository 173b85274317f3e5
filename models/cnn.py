"""Convolutional network: spectrum -> parameters."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family, Range
from wolter.models._spectra import Convolutions, Estimator, loss, measure, normalise, predict
from wolter.spectra.outputs import ESTIMATE_METRICS, estimate_outputs
from wolter.spectra.schema import SpectraBatch, SpectraSpec


@dataclass(frozen=True)
class Config:
    """Filters of the first of three strided convolutions, width and dropout of the dense head."""

    filters: int = 24
    width: int = 384
    dropout: float = 0.0


class CNN(Estimator):
    """Three strided convolutions with doubling filters, then dense layers."""

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__(spec)
        self.convolutions = Convolutions(2, config.filters, spec.n_channels)
        self.head = nn.Sequential(
            nn.Linear(self.convolutions.n_outputs + self.features.n_context, config.width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, config.width),
            nn.GELU(),
            nn.Linear(config.width, 2 * len(spec.names)),
        )

    def raw(self, batch: SpectraBatch) -> tuple[Tensor, None]:
        """See `Estimator`."""
        channels, context = self.features(batch)
        output = self.head(torch.cat([self.convolutions(channels), context], 1))
        return output.unflatten(1, (2, -1)), None


FAMILY = Family(
    name="cnn",
    task="spectra/parameters",
    config=Config,
    build=CNN,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, spec: estimate_outputs(spec),
    measure=measure,
    metrics=ESTIMATE_METRICS,
    search_space={
        "filters": Choice((16, 24, 32, 48)),
        "width": Choice((128, 256, 384, 512)),
        "dropout": Range(0.0, 0.3),
    },
)
