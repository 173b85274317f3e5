"""Super-resolution and denoising of X-ray images as Sweere et al. (2022) published it.

Brightness is clamped, divided by the clamp and stretched, and the output of the network is a
stretched image.

Shapes: B batch, F features, H and W rows and columns of the image at hand.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family
from wolter.images.outputs import RATE_METRICS, rate_outputs
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.targets import Targets, clamp_of, targets
from wolter.images.tiling import BackgroundInRate, Tiled
from wolter.models import _image_losses as losses
from wolter.models._enhancer import (
    EXPOSURE_S,
    SEARCH_SPACE,
    VARIANT,
    Enhancer,
    EnhancerConfig,
    measure_rates,
    mix_losses,
)

Scaling = Literal["linear", "sqrt", "asinh", "log"]


@dataclass(frozen=True)
class Config(EnhancerConfig):
    """Network, stretch of the brightness, and the weights of the losses.

    Attributes:
        inputs: what the network sees: "image", "exposure", "background".
        scaling: stretch of the brightness: "linear", "sqrt", "asinh" or "log".
        noise_free: losses compare with the noise-free target where it is known.
        poisson: weight of the negative log-likelihood of the target, nats a pixel.
        l1: weight of the mean absolute difference of stretched images.
    """

    inputs: tuple[str, ...] = ("image", "exposure")
    scaling: Scaling = "sqrt"
    noise_free: bool = False
    poisson: float = 0.0
    l1: float = 1.0


PRESETS = {
    # "AI-Assisted Super-Resolution and De-Noising for XMM-Newton EPIC-pn": L1 and a critic.
    "slides": Config(adversarial=0.01),
    # Sweere et al. (2022).
    "published": Config(blocks=4, filters=32, growth=32),
}


METRICS = RATE_METRICS[::-1]  # first the ratio of what the network stretches by default, the root


class Sweere2022(Enhancer):
    """Generator of a stretched image from a stretched image."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec, channels=len(config.inputs), outputs=1)
        self.scaling, self.input_clamp = config.scaling, clamp_of(spec, 1)

    @property
    def receptive_field(self) -> int:
        """See `Enhancer`."""
        return self.generator.receptive_field

    def features(self, batch: ImageBatch) -> Tensor:
        """Input features (B, F, H, W)."""
        exposure_BHW = batch.exposure_BHW / EXPOSURE_S
        seen_BHW = exposure_BHW > 0
        safe_BHW = torch.where(seen_BHW, exposure_BHW, 1.0) * EXPOSURE_S
        maps = {"image": batch.counts_BHW, "background": batch.background_BHW}
        columns = {
            name: self._stretched(value / safe_BHW * seen_BHW, self.input_clamp)
            for name, value in maps.items()
        }
        columns["exposure"] = exposure_BHW
        return torch.stack([columns[name] for name in self.config.inputs], 1)

    def forward(self, batch: ImageBatch) -> tuple[Tensor, None]:
        """See `Enhancer`."""
        image_BHW = self.generated(self.features(batch), batch)[:, 0].clamp(0, 1)
        return losses.unstretch(image_BHW, self.scaling) * self.clamp, None

    def stretched(self, rate_BHW: Tensor) -> Tensor:
        """See `Enhancer`."""
        return self._stretched(rate_BHW, self.clamp)

    def _stretched(self, rate_BHW: Tensor, clamp: float) -> Tensor:
        return losses.stretch((rate_BHW.clamp_min(0) / clamp).clamp_max(1), self.scaling)

    def target(self, batch: ImageBatch) -> Targets:
        """See `Enhancer`; it holds the background."""
        return targets(batch, self.spec, background=True)


def loss(module: nn.Module, batch: ImageBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The mix of the losses; see `mix_losses`."""
    model = cast("Sweere2022", module)
    return mix_losses(model, model.target(batch), model(batch)[0], {})


def measure(module: nn.Module, batch: ImageBatch) -> dict[str, Tensor]:
    """Metrics of `measure_rates`."""
    model = cast("Sweere2022", module)
    return measure_rates(model, model.target(batch), model(batch)[0])


def predict(module: nn.Module, batch: ImageBatch) -> dict[str, Tensor]:
    """Rates (B, S H, S W), ct/s per output pixel, of the background too where targets held it."""
    return {"rate": module(batch)[0]}


def normalise(_module: nn.Module, _batch: ImageBatch) -> None:
    """Nothing is learnt from the data but by gradients."""


FAMILY = Family(
    name="sweere2022",
    task="images/enhance",
    config=Config,
    build=Sweere2022,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, _spec: rate_outputs(interval=False),
    measure=measure,
    metrics=METRICS,
    search_space={**SEARCH_SPACE, "scaling": Choice(("linear", "sqrt", "asinh", "log"))},
    defaults={"batch_size": 16},
    presets=PRESETS,
    abilities=(
        Tiled(lambda module: cast("Sweere2022", module).receptive_field),
        BackgroundInRate(lambda _config, spec: spec.target_background),
    ),
    **VARIANT,
)
