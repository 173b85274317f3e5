"""How images are stretched and compared: the reference's scalings, similarity, photons.

Shapes: B batch, H and W rows and columns.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.data.images import CLAMP as CLAMP

ASINH, LOG = 0.02, 1000.0
SIGMA, K1, K2 = 2.5, 0.01, 0.05  # of structural similarity, as there
BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of its scales (Wang et al. 2003)
WINDOW = 13  # no smaller than this may an image be at its coarsest scale


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
    """Structural similarity (Wang et al. 2004) of images with peak 1, mean over the batch."""
    # Imported where it is used: it takes seconds.
    from torchmetrics.functional.image import structural_similarity_index_measure as similarity

    found: Tensor = similarity(
        made_BHW[:, None], true_BHW[:, None], sigma=SIGMA, data_range=1.0, k1=K1, k2=K2
    )
    return found


def ms_ssim(made_BHW: Tensor, true_BHW: Tensor) -> Tensor:
    """Structural similarity over scales (Wang et al. 2003), as many of the five as fit."""
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as similarity,
    )

    size, n = min(made_BHW.shape[-2:]), len(BETAS)
    while n > 1 and size // (n - 1) ** 2 < WINDOW:
        n -= 1
    betas = tuple(beta / sum(BETAS[:n]) for beta in BETAS[:n])
    found: Tensor = similarity(
        made_BHW[:, None],
        true_BHW[:, None],
        kernel_size=WINDOW,
        sigma=SIGMA,
        data_range=1.0,
        k1=K1,
        k2=K2,
        betas=betas,
        normalize="relu",
    )
    return found


def poisson_deviance(counts: Tensor, expected: Tensor) -> Tensor:
    """Twice the log-likelihood that counts lack of that of a perfect fit, elementwise."""
    return 2 * (expected - counts + torch.xlogy(counts, counts / expected))


@dataclass
class Target:
    """What an answer is judged by; all (B, S H, S W).

    Attributes:
        valid: where photons could be seen; elsewhere all others mean nothing.
        photons: counted.
        exposure: s, times vignetting.
        background: expected background counts; 0 where the answer has to hold it.
        expected: noise-free counts of all that `photons` holds; None where not known.
    """

    valid: Tensor
    photons: Tensor
    exposure: Tensor
    background: Tensor
    expected: Tensor | None = None

    def rate(self, noise_free: bool) -> Tensor:
        """ct/s that an answer should give."""
        known = self.expected if noise_free and self.expected is not None else self.photons
        return (known - self.background) / self.exposure

    def mean(self, rate: Tensor) -> Tensor:
        """Counts expected with an answer."""
        return (rate * self.exposure + self.background).clamp_min(1e-12)
