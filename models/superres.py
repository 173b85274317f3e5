"""Super-resolution and denoising of X-ray images by residual dense blocks.

Two ways in and out of the same network. With `scaling = "counts"`, our own: it sees photons,
exposure and expected background as they are, at any exposure; a smoothed image carries the
brightness, which the network corrects; the answer is the expected rate of the sources, learnt by
the likelihood of the target's photons, or of their expectation where it is known. Nothing is
clamped, so no flux is lost. To super-resolve, the correction is a factor; what comes of it is then
brought to the photons that were counted around every place. To denoise, it is a step between the
smoothed image and the photons, and a few times their noise besides.

With the other scalings, the reference's (Sweere et al. 2022): brightness is clamped, divided by the
clamp and stretched, and the network's output is a stretched image.

With `interval`, the expected rate of each pixel has a Gamma distribution, whose mean is the rate
and whose shape the network gives as well; photons then are negative-binomial. To denoise, it is the
rate of sources and background together. Intervals are quantiles learnt from known truths.

Shapes: B batch, F features, H and W rows and columns of the image at hand.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.family import Choice, Family, Range
from wolter.images.outputs import LIMIT_NAMES, RATE_METRICS, rate_outputs
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.targets import Targets, clamp_of, enlarge, targets
from wolter.images.tiling import BackgroundInRate, Tiled
from wolter.models import _critics
from wolter.models import _image_losses as losses
from wolter.models import _smoothing as smoothing
from wolter.models._gamma import GammaQuantiles, deviate, log_negative_binomial, shape_of
from wolter.models._intervals import Intervals
from wolter.models._rrdb import Generator
from wolter.models._spectra import Standardise

EXPOSURE_S = 2e4  # unit of exposures
SMOOTHINGS = (1.0, 2.0, 4.0, 8.0)  # deviations of the smoothed images that the network sees, pixels
BACKBONE = 1  # which of them the answer starts from
STEP = 2.0  # most that a denoised root differs from that of smoothed and counted photons
SOFT, SMALL = 0.05, 1e-4  # share of the background, and counts: fainter sources are as none
THIN = 4  # every so many rows and columns teach intervals
NORMALISING = 64  # images whose pixels set the mean and deviation of each feature


@dataclass(frozen=True)
class Config:
    """Network, scaling, and the weights of the losses.

    Attributes:
        blocks: residual-in-residual dense blocks.
        filters: channels between blocks.
        growth: channels that each convolution of a dense block adds.
        inputs: what the network sees: "image", "exposure", "background".
        scaling: "counts", or the reference's "linear", "sqrt", "asinh" or "log".
        interval: learn how far off the rate may be, too (scaling "counts").
        noise_free: losses compare with the noise-free target where it is known, and not with its
            photons.
        poisson: weight of the negative log-likelihood of the target, nats a pixel.
        l1: weight of the mean absolute difference of stretched images.
        psnr: weight of minus their peak signal-to-noise ratio, dB.
        ssim: weight of 1 - their structural similarity.
        ms_ssim: weight of 1 - that over several scales.
        adversarial: weight of the generator's loss before a relativistic critic.
        critic: the critic's filters.
        penalty: weight of the critic's squared slope.
    """

    blocks: int = 3
    filters: int = 16
    growth: int = 16
    inputs: tuple[str, ...] = ("image", "exposure", "background")
    scaling: Literal["counts", "linear", "sqrt", "asinh", "log"] = "counts"
    interval: bool = True
    noise_free: bool = True
    poisson: float = 1.0
    l1: float = 0.0
    psnr: float = 0.0
    ssim: float = 0.0
    ms_ssim: float = 0.0
    adversarial: float = 0.0
    critic: int = 16
    penalty: float = 1.0

    def __post_init__(self) -> None:
        """Check the values."""
        known = {"image", "exposure", "background"}
        if "image" not in self.inputs or not set(self.inputs) <= known:
            raise InputError(
                f"inputs {', '.join(self.inputs)}: give image, and exposure and background at will"
            )
        if self.scaling != "counts" and self.interval:
            raise InputError(f"scaling {self.scaling!r} has no interval; use interval = false")
        if self.interval and not self.poisson:
            raise InputError("an interval is learnt from photons; give poisson a weight")
        if not any((self.poisson, self.l1, self.psnr, self.ssim, self.ms_ssim)):
            raise InputError("every loss has weight 0; give poisson, l1, psnr, ssim or ms_ssim one")


_REFERENCE = Config(
    inputs=("image", "exposure"),
    scaling="sqrt",
    interval=False,
    noise_free=False,
    poisson=0.0,
    l1=1.0,
)
PRESETS = {
    # "AI-Assisted Super-Resolution and De-Noising for XMM-Newton EPIC-pn": L1 and a critic.
    "slides": replace(_REFERENCE, adversarial=0.01),
    # Sweere et al. (2022).
    "published": replace(_REFERENCE, blocks=4, filters=32, growth=32),
}


class Superres(nn.Module):
    """Generator with its inputs and outputs, and the critic where there is one."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.spec, self.scale = config, spec, spec.scale
        self.clamp, self.input_clamp = clamp_of(spec), clamp_of(spec, 1)
        self.native = config.scaling == "counts"
        self.bounded = self.native and spec.scale == 1
        channels = sum(self._channels(name) for name in config.inputs)
        self.standardise = Standardise(channels, 1, 1) if self.native else nn.Identity()
        self.generator = Generator(
            channels,
            1 + config.interval + self.bounded,
            config.blocks,
            config.filters,
            config.growth,
            spec.scale,
        )
        if self.native:  # starts close to the smoothed image
            with torch.no_grad():
                for weights in self.generator.last.parameters():
                    weights.mul_(0.1)
        self.critic = _critics.ImageCritic(config.critic) if config.adversarial else None
        if config.interval:
            self.quantiles, self.intervals = GammaQuantiles(), Intervals(4)
        for module in (self.generator, self.critic or nn.Identity()):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks it

    def _channels(self, name: str) -> int:
        if not self.native:
            return 1
        return {"image": 2 + len(SMOOTHINGS), "exposure": 2, "background": 1}[name]

    @property
    def receptive_field(self) -> int:
        """Receptive field in input pixels."""
        if not self.native:
            return self.generator.receptive_field
        smoothed = self.generator.receptive_field + math.ceil(smoothing.TRUNCATE * max(SMOOTHINGS))
        return smoothed if self.bounded else smoothed + smoothing.BALANCE_REACH

    def features(self, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """Input features (B, F, H, W), and the logarithm of the rate to correct."""
        counts_BHW, exposure_BHW = batch.counts_BHW, batch.exposure_BHW / EXPOSURE_S
        seen_BHW = exposure_BHW > 0
        if not self.native:
            safe_BHW = torch.where(seen_BHW, exposure_BHW, 1.0) * EXPOSURE_S
            maps = {"image": counts_BHW, "background": batch.background_BHW}
            columns = {k: self.stretched(v / safe_BHW * seen_BHW, 1) for k, v in maps.items()}
            columns["exposure"] = exposure_BHW
            chosen = torch.stack([columns[name] for name in self.config.inputs], 1)
            return chosen, chosen[:, 0]
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
        """Rate (B, S H, S W) in ct/s per output pixel, and the shape of its distribution."""
        features_BFHW, backbone_BHW = self.features(batch)
        inputs_BFHW = self.standardise(features_BFHW)
        inputs_BFHW = inputs_BFHW.contiguous(memory_format=torch.channels_last)
        output_BFHW = self.generator(inputs_BFHW).to(batch.counts_BHW.dtype)
        if not self.native:
            image_BHW = output_BFHW[:, 0].clamp(0, 1)
            return losses.unstretch(image_BHW, self.config.scaling) * self.clamp, None
        shape_BHW = shape_of(output_BFHW[:, 1]) if self.config.interval else None
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

    def stretched(self, rate_BHW: Tensor, scale: int) -> Tensor:
        """A rate image as image losses compare it; clamped in the reference's scalings alone."""
        clamp = self.clamp if scale == self.scale else self.input_clamp
        image_BHW = rate_BHW.clamp_min(0) / clamp
        if self.native:
            return losses.stretch(image_BHW, "sqrt")
        return losses.stretch(image_BHW.clamp_max(1), self.config.scaling)

    def target(self, batch: ImageBatch) -> Targets:
        """Target image of the loss; includes the background with the reference's scalings."""
        return targets(batch, self.spec, background=not self.native)


def loss(module: nn.Module, batch: ImageBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted mix of the losses, times the pixels of a target: nats of its photons."""
    model = cast("Superres", module)
    config, target = model.config, model.target(batch)
    rate_BHW, shape_BHW = model(batch)
    parts = {"poisson": _lacking(target, rate_BHW, config.noise_free)} if config.poisson else {}
    spread = {} if shape_BHW is None else _spread(model, batch, target, rate_BHW, shape_BHW)
    made_BHW = model.stretched(rate_BHW, model.scale)
    truth_BHW = target.truth if config.noise_free else None
    true_BHW = model.stretched(target.rate if truth_BHW is None else truth_BHW, model.scale)
    true_BHW = torch.where(target.valid, true_BHW, made_BHW.detach())  # unseen: nothing is wrong
    if config.l1:
        parts["l1"] = (made_BHW - true_BHW).abs().mean()
    with torch.autocast(rate_BHW.device.type, enabled=False):
        for name, function in losses.BY_NAME.items():
            if getattr(config, name):
                worth = function(made_BHW, true_BHW)
                parts[name] = -worth if name == "psnr" else 1 - worth
    critical = rate_BHW.new_zeros(())
    if model.critic is not None:
        parts["adversarial"], critical = _critics.adversarial(
            model.critic, true_BHW[:, None], made_BHW[:, None], config.penalty
        )
    mixed = torch.stack([getattr(config, name) * value for name, value in parts.items()]).sum()
    # The critic's, the shape's and the intervals' losses judge no rate.
    own = torch.stack([critical, *spread.values()]).sum()
    named = {**parts, **spread} if model.critic is None else {**parts, **spread, "critic": critical}
    pixels = rate_BHW[0].numel()
    return pixels * (mixed + own), {name: value.detach() for name, value in named.items()}


def _lacking(target: Targets, rate_BHW: Tensor, noise_free: bool) -> Tensor:
    """Log-likelihood deficit of the expected photons against a perfect fit, nats a pixel.

    Where it is known, the photons' own expectation stands for them: the same on average over their
    noise, without it.
    """
    known = noise_free and target.expected is not None
    photons_BHW = cast("Tensor", target.expected) if known else target.photons
    lacking_BHW = 0.5 * losses.poisson_deviance(photons_BHW, target.mean(rate_BHW))
    return (lacking_BHW * target.valid).mean()


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
    """Metrics on held-out targets.

    `deviance` is the Poisson deviance of their photons a pixel. Against noise-free targets, where
    they are known: `psnr` and `psnr_sqrt` in dB, of linear brightness and of its root, clamped as
    the reference does; `coverage_68` and `coverage_95`, shares of pixels whose rate lies within.
    """
    model = cast("Superres", module)
    target = model.target(batch)
    rate_BHW, shape_BHW = model(batch)
    deviance_BHW = losses.poisson_deviance(target.photons, target.mean(rate_BHW))
    valid, n_valid = target.valid, target.valid.sum().clamp_min(1)
    found = {"deviance": (deviance_BHW * valid).sum() / n_valid}
    true_BHW = target.truth
    if true_BHW is None:
        return found
    clamped = [(r / model.clamp).clamp(0, 1) * valid for r in (rate_BHW, true_BHW)]
    found["psnr"] = losses.psnr(*clamped)
    found["psnr_sqrt"] = losses.psnr(*(each.sqrt() for each in clamped))
    if shape_BHW is not None:
        limits = model.limits(batch, rate_BHW, shape_BHW)
        source_BHW = true_BHW.clamp_min(0)  # a told background may be too high
        for i, share in enumerate((68, 95)):
            inside_BHW = (limits[2 * i] <= source_BHW) & (source_BHW <= limits[2 * i + 1]) & valid
            found[f"coverage_{share}"] = inside_BHW.sum() / n_valid
    return found


def predict(module: nn.Module, batch: ImageBatch) -> dict[str, Tensor]:
    """Expected rates (B, S H, S W), ct/s per output pixel, with intervals.

    With the reference's scalings they hold the background where the training targets held it.
    """
    model = cast("Superres", module)
    rate_BHW, shape_BHW = model(batch)
    limits = [] if shape_BHW is None else model.limits(batch, rate_BHW, shape_BHW)
    return {"rate": rate_BHW, **dict(zip(LIMIT_NAMES, limits, strict=False))}


def normalise(module: nn.Module, batch: ImageBatch) -> None:
    """Set the mean and deviation of each feature from a sample of the training set."""
    model = cast("Superres", module)
    if isinstance(model.standardise, Standardise):
        # Every pixel is a sample: features mean the same wherever they are.
        features_BFHW, _ = model.features(batch[:: max(1, len(batch) // NORMALISING)])
        model.standardise.learn(features_BFHW.movedim(1, -1).flatten(0, 2)[:, :, None, None])


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
    search_space={
        "blocks": Choice((1, 2, 3, 4)),
        "filters": Choice((8, 16, 32)),
        "growth": Choice((8, 16, 32)),
        "scaling": Choice(("counts", "sqrt", "asinh")),
        "interval": Choice((True, False)),
        "poisson": Choice((0.0, 1.0)),
        "l1": Range(0.001, 10.0, log=True),
        "ms_ssim": Choice((0.0, 0.001, 0.01, 0.1, 1.0)),
        "adversarial": Choice((0.0, 0.0001, 0.001, 0.01, 0.1)),
    },
    defaults={"batch_size": 16},
    presets=PRESETS,
    variants=("denoise",),
    variant=lambda spec: "denoise" if spec.scale == 1 else "",
    abilities=(
        Tiled(lambda module: cast("Superres", module).receptive_field),
        BackgroundInRate(
            lambda config, spec: spec.target_background and config.scaling != "counts"
        ),
    ),
)
