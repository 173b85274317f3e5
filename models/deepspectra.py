"""DeepSpectra: decompose the spectrum into its components, then infer the parameters from both.

A convolutional encoder and a decoder with skip connections predict the noise-free component
spectra, which are labels in training only; a residual network reads the encoded spectrum and the
components, and estimates the parameters (after Manduchi et al. 2022).
"""

import itertools
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.family import Choice, Family, Range
from wolter.models._spectra import (
    Convolutions,
    Estimator,
    Residual,
    Standardise,
    known_mean,
    loss_and_extra,
    measure,
    normalise,
    predict,
)
from wolter.spectra.outputs import ESTIMATE_METRICS, estimate_outputs
from wolter.spectra.schema import SpectraBatch, SpectraSpec


@dataclass(frozen=True)
class Config:
    """Network sizes.

    Attributes:
        filters: filters of the first of the encoder's three convolutions.
        widths: widths of the encoder's dense layers; the decoder mirrors them.
        width: width of the inference network.
        blocks: residual blocks of the inference network.
        decomposition_weight: weight of the decomposition loss relative to the parameters' loss.
    """

    filters: int = 24
    widths: tuple[int, ...] = (256, 128, 64)
    width: int = 384
    blocks: int = 2
    decomposition_weight: float = 1.0


class Layer(nn.Sequential):
    """Dense layer; without normalisation, which would take the flux out of the features."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__(nn.Linear(size, width), nn.GELU())


class DeepSpectra(Estimator):
    """Decomposition, then inference."""

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__(spec)
        if not spec.components:
            raise InputError(
                "deepspectra needs the noise-free components; simulate the dataset with components"
            )
        self.decomposition_weight = config.decomposition_weight
        self.shape_KC = (len(spec.components), spec.n_channels)
        self.roots = Standardise(*self.shape_KC)  # of the components' square roots
        self.convolutions = Convolutions(2, config.filters, spec.n_channels)
        inputs = self.convolutions.n_outputs + self.features.n_context
        sizes = (inputs, *config.widths)
        self.encoder = nn.ModuleList(Layer(a, b) for a, b in itertools.pairwise(sizes))
        self.decoder = nn.ModuleList()
        size = config.widths[-1]
        for width in reversed(config.widths[:-1]):
            self.decoder.append(Layer(size, width))
            size = 2 * width  # joined with the encoder's layer of the same width
        outputs = self.shape_KC[0] * self.shape_KC[1]
        self.to_components = nn.Linear(size, outputs)
        self.inference = nn.Sequential(
            nn.Linear(config.widths[0] + outputs + config.widths[-1], config.width),
            *(Residual(config.width) for _ in range(config.blocks)),
            nn.GELU(),
            nn.Linear(config.width, 2 * len(spec.names)),
        )

    def learn(self, batch: SpectraBatch) -> None:
        """See `Estimator`."""
        super().learn(batch)
        assert batch.expected_BKC is not None, "components are needed"
        self.roots.learn(batch.expected_BKC.sqrt())

    def raw(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """See `Estimator`; the components come as standardised square roots."""
        channels, context = self.features(batch)
        code = torch.cat([self.convolutions(channels), context], 1)
        levels = []
        for layer in self.encoder:
            code = layer(code)
            levels.append(code)
        embedding, decoded = levels[0], levels.pop()
        for layer in self.decoder:
            decoded = torch.cat([layer(decoded), levels.pop()], 1)
        roots = self.to_components(decoded)
        output = self.inference(torch.cat([embedding, roots, code], 1))
        return output.unflatten(1, (2, -1)), roots.unflatten(1, self.shape_KC)

    def components(self, roots_BKC: Tensor) -> Tensor:
        """Expected counts of the components from standardised square roots."""
        return self.roots.invert(roots_BKC).clamp_min(0).square()


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The parameters' loss plus the logarithm of each component's error.

    Components are compared by square roots, in which Poisson noise is the same in every channel,
    where they are known: an observed spectrum has a label at best.
    """
    network = cast("DeepSpectra", module)
    total, parts, roots_BKC = loss_and_extra(network, batch)
    assert batch.expected_BKC is not None, "components are needed"
    assert roots_BKC is not None
    known_BKC = ~batch.expected_BKC.isnan()
    true_BKC = torch.where(known_BKC, batch.expected_BKC, 0.0)
    squared_BKC = (network.roots.invert(roots_BKC) - true_BKC.sqrt()).square()
    squared_K = known_mean(squared_BKC, known_BKC).mean(1)
    total = total + network.decomposition_weight * squared_K.log().sum()
    return total, parts | {"decomposition": squared_K.mean().detach()}


FAMILY = Family(
    name="deepspectra",
    task="spectra/parameters",
    config=Config,
    build=DeepSpectra,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, spec: estimate_outputs(spec, components=True),
    measure=measure,
    metrics=ESTIMATE_METRICS,
    search_space={
        "filters": Choice((16, 24, 32)),
        "widths": Choice(((256, 128, 64), (512, 256, 128), (768, 384, 192))),
        "width": Choice((256, 384, 512)),
        "blocks": Choice((1, 2, 3)),
        "decomposition_weight": Range(0.1, 10.0, log=True),
    },
)
