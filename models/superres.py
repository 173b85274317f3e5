"""Super-resolution and denoising of X-ray images by residual dense blocks, from photons to rates.

The network reads photons, exposure and expected background as they are, at any exposure. A smoothed
image carries the brightness, and the network corrects it. The answer is the expected rate of the
sources, learnt by the likelihood of the target's photons, or of their expectation where it is
known. Nothing is clamped, so that no flux is lost.

To super-resolve, the correction is a factor, and the result is scaled to the photons around every
place. To denoise, the answer lies between the smoothed image and the photons, within a few times
their noise: no answer is far from the counts, however bright.

With `interval`, the expected rate of each pixel has a Gamma distribution, whose mean is the rate
and whose shape the network gives as well. Photons are then negative-binomial. When denoising, the
distribution is that of sources and background together. Intervals are quantiles learnt from known
truths.

Shapes: B batch, F features, H and W rows and columns of the image at hand.
"""

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.family import Choice, Family
from wolter.images.outputs import LIMIT_NAMES, RATE_METRICS, rate_outputs
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.targets import Targets, enlarge
from wolter.images.tiling import Tiled
from wolter.models import _image_losses as losses
from wolter.models import _smoothing as smoothing
from wolter.models._enhancer import (
    EXPOSURE_S,
    SEARCH_SPACE,
    VARIANT,
    Enhancer,
    EnhancerConfig,
    measure_rates,
    mix_losses,
)
from wolter.models._gamma import GammaQuantiles, deviate, log_negative_binomial, shape_of
from wolter.models._intervals import Intervals
from wolter.models._spectra import Standardise

SMOOTHINGS = (1.0, 2.0, 4.0, 8.0)  # deviations of the smoothed images that the network sees, pixels
BACKBONE = 1  # which of them the answer starts from
STEP = 2.0  # most that a denoised root differs from that of smoothed and counted photons
# Share of the background and counts, below which sources are not told from none.
SOFT, SMALL = 0.05, 1e-4
THIN = 4  # every so many rows and columns teach intervals
NORMALISING = 64  # images whose pixels set the mean and deviation of each feature


@dataclass(frozen=True)
class Config(EnhancerConfig):
    """Network, and the weights of the losses.

    Attributes:
        interval: learn how far off the rate may be, too.
    """

    interval: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        if self.interval and not self.poisson:
            raise InputError("an interval is learnt from photons; give poisson a weight")
        super().__post_init__()


CHANNELS = {"image": 2 + len(SMOOTHINGS), "exposure": 2, "background": 1}


class Superres(Enhancer):
    """Generator that corrects the brightness of a smoothed image."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        channels = sum(CHANNELS[name] for name in config.inputs)
        bounded = spec.scale == 1
        super().__init__(config, spec, channels, 1 + config.interval + bounded)
        self.interval, self.bounded = config.interval, bounded
        self.standardise = Standardise(channels, 1, 1)
        with torch.no_grad():  # starts close to the smoothed image
            for weights in self.generator.last.parameters():
                weights.mul_(0.1)
        if config.interval:
            self.quantiles, self.intervals = GammaQuantiles(), Intervals(4)

    @property
    def receptive_field(self) -> int:
        """See `Enhancer`."""
        smoothed = self.generator.receptive_field + math.ceil(smoothing.TRUNCATE * max(SMOOTHINGS))
        return smoothed if self.bounded else smoothed + smoothing.BALANCE_REACH

    def features(self, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """Input features (B, F, H, W), and the logarithm of the rate to correct."""
        counts_BHW, exposure_BHW = batch.counts_BHW, batch.exposure_BHW / EXPOSURE_S
        seen_BHW = exposure_BHW > 0
        smoothed = [smoothing.log_rate(counts_BHW, exposure_BHW, sigma) for sigma in SMOOTHINGS]
        # In units of its noise, and logarithmic where that is exceeded: none is too bright to see.
        step_BHW = smoothing.root(counts_BHW) - smoothing.root(smoothed[0].exp() * exposure_BHW)
        logarithm_BHW = torch.where(seen_BHW, exposure_BHW, 1.0).log()
        groups = {
            "image": [counts_BHW.sqrt().asinh(), (2 * step_BHW).asinh(), *smoothed],
            "exposure": [logarithm_BHW, seen_BHW.float()],
            "background": [batch.background_BHW.sqrt()],
        }
        chosen = torch.stack([each for name in self.config.inputs for each in groups[name]], 1)
        return chosen, smoothed[BACKBONE]

    def forward(self, batch: ImageBatch) -> tuple[Tensor, Tensor | None]:
        """See `Enhancer`."""
        features_BFHW, backbone_BHW = self.features(batch)
        output_BFHW = self.generated(self.standardise(features_BFHW), batch)
        shape_BHW = shape_of(output_BFHW[:, 1]) if self.interval else None
        if self.bounded:
            return self._stepped(batch, backbone_BHW, output_BFHW), shape_BHW
        if self.scale > 1:
            backbone_BHW = smoothing.enlarge_smoothly(backbone_BHW, self.scale)
        per_pixel = EXPOSURE_S * self.scale**2
        rate_BHW = (backbone_BHW + output_BFHW[:, 0]).exp() / per_pixel
        maps = batch.counts_BHW, batch.exposure_BHW, batch.background_BHW
        return rate_BHW * smoothing.balance(*maps, rate_BHW, self.scale), shape_BHW

    def _stepped(self, batch: ImageBatch, backbone_BHW: Tensor, output_BFHW: Tensor) -> Tensor:
        """Denoised rate between smoothed image and photons, within a few times their noise."""
        exposure_BHW = batch.exposure_BHW
        smooth_BHW = smoothing.root(backbone_BHW.exp() * exposure_BHW / EXPOSURE_S)
        share_BHW, step_BHW = output_BFHW[:, -1].sigmoid(), output_BFHW[:, 0]
        root_BHW = smooth_BHW.lerp(smoothing.root(batch.counts_BHW), share_BHW)
        root_BHW = (root_BHW + STEP * (step_BHW / STEP).tanh()).clamp_min(0)
        excess_BHW = root_BHW.square() - smoothing.QUARTER - batch.background_BHW
        soft_BHW = SOFT * batch.background_BHW + SMALL
        source_BHW = (excess_BHW + torch.hypot(excess_BHW, soft_BHW)) / 2
        return source_BHW / exposure_BHW.clamp_min(smoothing.NOTHING * EXPOSURE_S)

    def told(self, batch: ImageBatch) -> Tensor | float:
        """Background rate that has a distribution together with the sources'."""
        if not self.bounded:
            return 0.0
        return batch.background_BHW / batch.exposure_BHW.clamp_min(smoothing.NOTHING * EXPOSURE_S)

    def deviates(self, batch: ImageBatch, rate_BHW: Tensor, shape_BHW: Tensor) -> Tensor:
        """Deviates (B, S H, S W, L) at which `LIMITS` are read."""
        maps = (batch.exposure_BHW, batch.background_BHW)
        exposure_BHW, level_BHW = (enlarge(each, self.scale) for each in maps)
        seen = self.intervals(rate_BHW * exposure_BHW, level_BHW, shape_BHW, exposure_BHW)
        return cast("Tensor", seen)

    def limits(self, batch: ImageBatch, rate_BHW: Tensor, shape_BHW: Tensor) -> list[Tensor]:
        """Rates (B, S H, S W) that the truth exceeds with one of the probabilities `LIMITS`."""
        told_BHW = self.told(batch)
        return [
            (self.quantiles(rate_BHW + told_BHW, shape_BHW, deviate_BHW) - told_BHW).clamp_min(0)
            for deviate_BHW in self.deviates(batch, rate_BHW, shape_BHW).unbind(-1)
        ]

    def stretched(self, rate_BHW: Tensor) -> Tensor:
        """See `Enhancer`; nothing is clamped."""
        return losses.stretch(rate_BHW.clamp_min(0) / self.clamp, "sqrt")


def loss(module: nn.Module, batch: ImageBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The mix of the losses, and what teaches intervals; see `mix_losses`."""
    model = cast("Superres", module)
    target = model.target(batch)
    rate_BHW, shape_BHW = model(batch)
    spread = {} if shape_BHW is None else _spread(model, batch, target, rate_BHW, shape_BHW)
    return mix_losses(model, target, rate_BHW, spread)


def _spread(
    model: Superres, batch: ImageBatch, target: Targets, rate_BHW: Tensor, shape_BHW: Tensor
) -> dict[str, Tensor]:
    """Loss of the interval width, without gradient to the rate; nats a pixel, and deviates."""
    rate_BHW = rate_BHW.detach()
    mean_BHW = target.mean(rate_BHW)
    wide_BHW = shape_BHW
    if not model.bounded:
        # A Gamma distribution with the mean and variance of source and background together.
        source_BHW = (rate_BHW * target.exposure).clamp_min(1e-12)
        wide_BHW = shape_BHW * (mean_BHW / source_BHW).square()
    n_BHW = target.photons
    perfect_BHW = torch.xlogy(n_BHW, n_BHW) - n_BHW - (n_BHW + 1).lgamma()
    lacking_BHW = perfect_BHW - log_negative_binomial(n_BHW, mean_BHW, wide_BHW)
    parts = {"shape": (lacking_BHW * target.valid).mean()}
    deviates_BHWL = model.deviates(batch, rate_BHW, shape_BHW)
    if target.truth is None:  # every weight has a part in the loss, as several workers need
        return parts | {"interval": 0.0 * deviates_BHWL.sum()}
    some = target.valid[:, ::THIN, ::THIN]
    told_BHW = model.told(batch)
    place = [target.truth.clamp_min(0) + told_BHW, rate_BHW + told_BHW, shape_BHW.detach()]
    true_N = deviate(*(each[:, ::THIN, ::THIN][some] for each in place))
    lost_N = model.intervals.loss(deviates_BHWL[:, ::THIN, ::THIN][some], true_N)
    return parts | {"interval": lost_N.sum() / some.numel()}


def measure(module: nn.Module, batch: ImageBatch) -> dict[str, Tensor]:
    """Metrics of `measure_rates`, and `coverage_68` and `coverage_95` where the truth is known.

    A coverage is the share of pixels whose rate lies within the interval.
    """
    model = cast("Superres", module)
    target = model.target(batch)
    rate_BHW, shape_BHW = model(batch)
    found = measure_rates(model, target, rate_BHW)
    if target.truth is not None and shape_BHW is not None:
        valid, n_valid = target.valid, target.valid.sum().clamp_min(1)
        limits = model.limits(batch, rate_BHW, shape_BHW)
        source_BHW = target.truth.clamp_min(0)  # a told background may be too high
        for i, share in enumerate((68, 95)):
            inside_BHW = (limits[2 * i] <= source_BHW) & (source_BHW <= limits[2 * i + 1]) & valid
            found[f"coverage_{share}"] = inside_BHW.sum() / n_valid
    return found


def predict(module: nn.Module, batch: ImageBatch) -> dict[str, Tensor]:
    """Expected rates (B, S H, S W) of the sources, ct/s per output pixel, with intervals."""
    model = cast("Superres", module)
    rate_BHW, shape_BHW = model(batch)
    limits = [] if shape_BHW is None else model.limits(batch, rate_BHW, shape_BHW)
    return {"rate": rate_BHW, **dict(zip(LIMIT_NAMES, limits, strict=False))}


def normalise(module: nn.Module, batch: ImageBatch) -> None:
    """Set the mean and deviation of each feature from a sample of the training set."""
    model = cast("Superres", module)
    # Every pixel is a sample: features mean the same wherever they are.
    features_BFHW, _ = model.features(batch[:: max(1, len(batch) // NORMALISING)])
    model.standardise.learn(features_BFHW.movedim(1, -1).flatten(0, 2)[:, :, None, None])


def upgrade(config: dict[str, Any]) -> dict[str, Any]:
    """A config of earlier releases, whose `scaling` chose between this network and `sweere2022`."""
    if config.get("scaling", "counts") != "counts":
        raise InputError(
            f"scaling {config['scaling']!r}: such networks are of the family sweere2022 now; train "
            "it again"
        )
    return {k: v for k, v in config.items() if k not in ("scaling", "critic", "penalty")}


FAMILY = Family(
    name="superres",
    task="images/enhance",
    config=Config,
    build=Superres,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda config, _spec: rate_outputs(config.interval),
    measure=measure,
    metrics=RATE_METRICS,
    search_space={**SEARCH_SPACE, "interval": Choice((True, False))},
    defaults={"batch_size": 16},
    upgrade=upgrade,
    abilities=(Tiled(lambda module: cast("Superres", module).receptive_field),),
    **VARIANT,
)
