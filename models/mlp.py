"""Multi-layer perceptron: spectrum -> parameters, the reference's smallest network."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family, Range
from wolter.models._spectra import Estimator, loss, measure, normalise, predict
from wolter.spectra.outputs import ESTIMATE_METRICS, estimate_outputs
from wolter.spectra.schema import SpectraBatch, SpectraSpec


@dataclass(frozen=True)
class Config:
    """Width and number of the hidden layers, and their dropout."""

    width: int = 256
    depth: int = 3
    dropout: float = 0.0


class MLP(Estimator):
    """Dense layers on all channel features at once."""

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__(spec)
        size = 2 * spec.n_channels + self.features.n_context
        layers: list[nn.Module] = []
        for _ in range(config.depth):
            layers += [nn.Linear(size, config.width), nn.GELU(), nn.Dropout(config.dropout)]
            size = config.width
        self.network = nn.Sequential(*layers, nn.Linear(size, 2 * len(spec.names)))

    def raw(self, batch: SpectraBatch) -> tuple[Tensor, None]:
        """See `Estimator`."""
        channels, context = self.features(batch)
        output = self.network(torch.cat([channels.flatten(1), context], 1))
        return output.unflatten(1, (2, -1)), None


FAMILY = Family(
    name="mlp",
    task="spectra/parameters",
    config=Config,
    build=MLP,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, spec: estimate_outputs(spec),
    measure=measure,
    metrics=ESTIMATE_METRICS,
    search_space={
        "width": Choice((128, 256, 512, 1024)),
        "depth": Choice((2, 3, 4, 5)),
        "dropout": Range(0.0, 0.3),
    },
)
