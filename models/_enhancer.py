"""Shared parts of image families: generator, critic, mix of losses, metrics.

Shapes: B batch, H and W rows and columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.family import Choice, Range
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.targets import Targets, clamp_of, targets
from wolter.models import _critics
from wolter.models import _image_losses as losses
from wolter.models._rrdb import Generator

EXPOSURE_S = 2e4  # unit of exposures
CRITIC_FILTERS, CRITIC_PENALTY = 16, 1.0  # channels, and weight of the squared slope
INPUTS = ("image", "exposure", "background")
VARIANT: Mapping[str, Any] = {  # of `Family`
    "variants": ("denoise",),
    "variant": lambda spec: "denoise" if spec.scale == 1 else "",
}
SEARCH_SPACE: Mapping[str, Choice | Range] = {
    "blocks": Choice((1, 2, 3, 4)),
    "filters": Choice((8, 16, 32)),
    "growth": Choice((8, 16, 32)),
    "poisson": Choice((0.0, 1.0)),
    "l1": Range(0.001, 10.0, log=True),
    "ms_ssim": Choice((0.0, 0.001, 0.01, 0.1, 1.0)),
    "adversarial": Choice((0.0, 0.0001, 0.001, 0.01, 0.1)),
}


@dataclass(frozen=True)
class EnhancerConfig:
    """Size of the generator, its inputs, and the weights of the losses.

    Attributes:
        blocks: residual-in-residual dense blocks.
        filters: channels between blocks.
        growth: channels that each convolution of a dense block adds.
        inputs: what the network sees: "image", "exposure", "background".
        noise_free: losses compare with the noise-free target where it is known, and not with its
            photons.
        poisson: weight of the negative log-likelihood of the target, nats a pixel.
        l1: weight of the mean absolute difference of stretched images.
        psnr: weight of minus their peak signal-to-noise ratio, dB.
        ssim: weight of 1 - their structural similarity.
        ms_ssim: weight of 1 - that over several scales.
        adversarial: weight of the generator's loss before a relativistic critic; 0: no critic.
    """

    blocks: int = 3
    filters: int = 16
    growth: int = 16
    inputs: tuple[str, ...] = INPUTS
    noise_free: bool = True
    poisson: float = 1.0
    l1: float = 0.0
    psnr: float = 0.0
    ssim: float = 0.0
    ms_ssim: float = 0.0
    adversarial: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        if "image" not in self.inputs or not set(self.inputs) <= set(INPUTS):
            raise InputError(
                f"inputs {', '.join(self.inputs)}: give image, and exposure and background at will"
            )
        if not any((self.poisson, self.l1, self.psnr, self.ssim, self.ms_ssim)):
            raise InputError("every loss has weight 0; give poisson, l1, psnr, ssim or ms_ssim one")


class Enhancer(nn.Module, ABC):
    """Generator, and the critic where there is one; subclasses give inputs and outputs."""

    def __init__(
        self, config: EnhancerConfig, spec: ImageSpec, channels: int, outputs: int
    ) -> None:
        super().__init__()
        self.config, self.spec, self.scale = config, spec, spec.scale
        self.clamp = clamp_of(spec)
        sizes = (config.blocks, config.filters, config.growth)
        self.generator = Generator(channels, outputs, *sizes, spec.scale)
        self.critic = _critics.ImageCritic(CRITIC_FILTERS) if config.adversarial else None
        for module in (self.generator, self.critic or nn.Identity()):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks it

    @property
    @abstractmethod
    def receptive_field(self) -> int:
        """Receptive field in input pixels."""

    @abstractmethod
    def forward(self, batch: ImageBatch) -> tuple[Tensor, Tensor | None]:
        """Rate (B, S H, S W) in ct/s per output pixel, and the shape of its distribution."""

    @abstractmethod
    def stretched(self, rate_BHW: Tensor) -> Tensor:
        """A rate image of the target's pixels as image losses compare it."""

    def target(self, batch: ImageBatch) -> Targets:
        """Target image of the loss."""
        return targets(batch, self.spec)

    def generated(self, inputs_BFHW: Tensor, batch: ImageBatch) -> Tensor:
        """Generator output, in the precision of the batch."""
        inputs_BFHW = inputs_BFHW.contiguous(memory_format=torch.channels_last)
        return cast("Tensor", self.generator(inputs_BFHW).to(batch.counts_BHW.dtype))


def mix_losses(
    model: Enhancer,
    target: Targets,
    rate_BHW: Tensor,
    own: Mapping[str, Tensor],
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted mix of the losses, times the pixels of a target: nats of its photons.

    Args:
        model: whose config has the weights.
        target: to compare with.
        rate_BHW: of the model.
        own: further losses that judge no rate, of weight 1.
    """
    config = model.config
    parts = {"poisson": _lacking(target, rate_BHW, config.noise_free)} if config.poisson else {}
    made_BHW = model.stretched(rate_BHW)
    truth_BHW = target.truth if config.noise_free else None
    true_BHW = model.stretched(target.rate if truth_BHW is None else truth_BHW)
    # Where nothing was seen, nothing is wrong.
    true_BHW = torch.where(target.valid, true_BHW, made_BHW.detach())
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
            model.critic, true_BHW[:, None], made_BHW[:, None], CRITIC_PENALTY
        )
    mixed = torch.stack([getattr(config, name) * value for name, value in parts.items()]).sum()
    # The critic's loss judges no rate either.
    rest = torch.stack([critical, *own.values()]).sum()
    named = {**parts, **own} if model.critic is None else {**parts, **own, "critic": critical}
    pixels = rate_BHW[0].numel()
    return pixels * (mixed + rest), {name: value.detach() for name, value in named.items()}


def _lacking(target: Targets, rate_BHW: Tensor, noise_free: bool) -> Tensor:
    """Log-likelihood that the expected photons lack of a perfect fit's, nats a pixel.

    Where it is known, the photons' own expectation stands for them: the same on average over their
    noise, without it.
    """
    known = noise_free and target.expected is not None
    photons_BHW = cast("Tensor", target.expected) if known else target.photons
    lacking_BHW = 0.5 * losses.poisson_deviance(photons_BHW, target.mean(rate_BHW))
    return (lacking_BHW * target.valid).mean()


def measure_rates(model: Enhancer, target: Targets, rate_BHW: Tensor) -> dict[str, Tensor]:
    """Metrics on held-out targets.

    `deviance` is the Poisson deviance of their photons a pixel. Against noise-free targets, where
    they are known: `psnr` and `psnr_sqrt` in dB, of linear brightness and of its root, clamped as
    the reference does.
    """
    deviance_BHW = losses.poisson_deviance(target.photons, target.mean(rate_BHW))
    valid, n_valid = target.valid, target.valid.sum().clamp_min(1)
    found = {"deviance": (deviance_BHW * valid).sum() / n_valid}
    if target.truth is not None:
        clamped = [(r / model.clamp).clamp(0, 1) * valid for r in (rate_BHW, target.truth)]
        found["psnr"] = losses.psnr(*clamped)
        found["psnr_sqrt"] = losses.psnr(*(each.sqrt() for each in clamped))
    return found
