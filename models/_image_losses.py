"""Image scalings and losses: stretching, PSNR, SSIM, Poisson deviance.

Shapes: B batch, H and W rows and columns.
"""

import math

import torch
from torch import Tensor

from wolter.images import similarity

ASINH, LOG = 0.02, 1000.0


def stretch(image: Tensor, scaling: str) -> Tensor:
    """Brightness in units of the clamp, as a network sees it: "linear", "sqrt", "asinh", "log"."""
    if scaling == "sqrt":
        return image.clamp_min(1e-12).sqrt()  # its slope at zero has no bound
    if scaling == "asinh":
        return (image / ASINH).asinh() / math.asinh(1 / ASINH)
    if scaling == "log":
        return (LOG * image).log1p() / math.log(LOG)
    assert scaling == "linear", scaling
    return image


def unstretch(image: Tensor, scaling: str) -> Tensor:
    """The inverse of `stretch`."""
    if scaling == "sqrt":
        return image.square()
    if scaling == "asinh":
        return ASINH * (image * math.asinh(1 / ASINH)).sinh()
    if scaling == "log":
        return (image * math.log(LOG)).expm1() / LOG
    assert scaling == "linear", scaling
    return image


def psnr(made_BHW: Tensor, true_BHW: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of images with peak 1, dB, mean over the batch."""
    error_B = (made_BHW - true_BHW).square().flatten(1).mean(1)
    return -10 * error_B.clamp_min(1e-12).log10().mean()


def ssim(made_BHW: Tensor, true_BHW: Tensor) -> Tensor:
    """Structural similarity of images with peak 1, mean over the batch."""
    return similarity.ssim(made_BHW, true_BHW).mean()


def ms_ssim(made_BHW: Tensor, true_BHW: Tensor) -> Tensor:
    """Structural similarity over scales, mean over the batch."""
    return similarity.ms_ssim(made_BHW, true_BHW).mean()


def poisson_deviance(counts: Tensor, expected: Tensor) -> Tensor:
    """Twice the log-likelihood that counts lack of that of a perfect fit, elementwise."""
    seen = torch.where(counts > 0, counts, 1.0)  # xlogy(0, 0) has a slope that is not a number
    return 2 * (expected - counts + counts * (seen / expected).log())


BY_NAME = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
