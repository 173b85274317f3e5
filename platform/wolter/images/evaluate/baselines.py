"""Image baselines without training: interpolation, smoothing, Richardson-Lucy deconvolution.

Shapes: B batch, H and W rows and columns of the input, S H and S W those of the target.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from wolter.images.schema import ImageBatch
from wolter.images.targets import enlarge
from wolter.xray.imaging.consistency import ForwardImage

SIGMAS = (0.7, 1.0, 1.5, 2.0, 3.0)  # deviations of the Gaussians, input pixels
ITERATIONS = (3, 6, 12, 25, 50)  # of Richardson and Lucy at which its images are judged
TRUNCATE = 4  # deviations at which a Gaussian ends
NOTHING = 1e-3  # s: no exposure


@dataclass(frozen=True)
class Baseline:
    """Result of one baseline.

    Attributes:
        method: its name.
        setting: what may be chosen of it, by which the best is found; empty where nothing may.
        rate_BHW: ct/s in every pixel of the target (B, S H, S W).
    """

    method: str
    setting: str
    rate_BHW: Tensor


INPUT, BICUBIC, GAUSSIAN, LUCY = "input", "bicubic", "Gaussian", "Richardson-Lucy"


def baselines(
    batch: ImageBatch, scale: int, fold: ForwardImage | None, background: bool = False
) -> Iterator[Baseline]:
    """All baselines of a batch, one at a time.

    Args:
        batch: inputs; targets are not looked at.
        scale: target pixels along a side of an input pixel.
        fold: from the target's point-spread function to the input's; None: leave deconvolution out.
        background: targets hold the background, and so do the images then.
    """
    yield Baseline(INPUT, "", nearest(batch, scale))
    yield Baseline(BICUBIC, "", bicubic(batch, scale))
    for sigma in SIGMAS:
        yield Baseline(GAUSSIAN, f"{sigma:g} px", gaussian(batch, scale, sigma, background))
    if fold is not None:
        for n, rate_BHW in richardson_lucy(batch, fold, ITERATIONS, background):
            yield Baseline(LUCY, f"{n} iterations", rate_BHW)


def input_rate(batch: ImageBatch) -> Tensor:
    """Counts over exposure (B, H, W), ct/s; 0 where nothing is recorded."""
    seen_BHW = batch.exposure_BHW > 0
    return batch.counts_BHW / torch.where(seen_BHW, batch.exposure_BHW, 1.0) * seen_BHW


def nearest(batch: ImageBatch, scale: int) -> Tensor:
    """Nearest-neighbour upsampling, with background."""
    return enlarge(input_rate(batch), scale) / scale**2


def bicubic(batch: ImageBatch, scale: int) -> Tensor:
    """Bicubic upsampling, with background; clipped at 0."""
    return _interpolate(input_rate(batch), scale)


def gaussian(batch: ImageBatch, scale: int, sigma: float, background: bool = False) -> Tensor:
    """Gaussian smoothing of background-subtracted counts over exposure; clipped at 0.

    Args:
        batch: inputs.
        scale: see `baselines`.
        sigma: deviation, input pixels.
        background: leave the background in.
    """
    counts_BHW = batch.counts_BHW
    if not background:
        counts_BHW = counts_BHW - batch.background_BHW * (batch.exposure_BHW > 0)
    counts_BHW, exposure_BHW = smooth(torch.stack([counts_BHW, batch.exposure_BHW]), sigma)
    rate_BHW = counts_BHW.clamp(min=0) / exposure_BHW.clamp(min=NOTHING)
    return _interpolate(rate_BHW, scale)


def richardson_lucy(
    batch: ImageBatch, fold: ForwardImage, iterations: tuple[int, ...], background: bool = False
) -> Iterator[tuple[int, Tensor]]:
    """Deconvolution to the target's sharpness, by expectation maximisation from a flat image.

    Richardson (1972), Lucy (1974), with exposure map and background: u <- u A'(n / (A u + b)) / A'1
    where A blurs by the on-axis kernel, sums to input pixels and exposes.

    Args:
        batch: inputs.
        fold: the telescope, and the scale.
        iterations: after which to give the image, ascending.
        background: leave the background in.
    """
    scale = fold.scale
    exposure_BHW, counts_BHW = batch.exposure_BHW, batch.counts_BHW
    background_BHW = torch.zeros_like(counts_BHW) if background else batch.background_BHW
    fine = exposure_BHW.shape[0], exposure_BHW.shape[1] * scale, exposure_BHW.shape[2] * scale
    kernel_KK = fold.kernels()[0]
    half = kernel_KK.shape[0] // 2
    size = tuple(-(-(max(side, half + 1) + half) // 32) * 32 for side in fine[1:])
    padded = torch.zeros(size)
    padded[: 2 * half + 1, : 2 * half + 1] = kernel_KK
    transfer = torch.fft.rfft2(padded.roll((-half, -half), (0, 1)))

    def blur(image_BHW: Tensor) -> Tensor:  # its own adjoint, for the kernel is round
        spectrum = torch.fft.rfft2(image_BHW, size) * transfer
        found: Tensor = torch.fft.irfft2(spectrum, size)[:, : fine[1], : fine[2]]
        return found.clamp(min=0)

    weight_BHW = blur(enlarge(exposure_BHW, scale)).clamp(min=NOTHING)
    excess_B = (counts_BHW - background_BHW).flatten(1).sum(1).clamp(min=1)
    rate_B = excess_B / exposure_BHW.flatten(1).sum(1) / scale**2
    rate_BHW = rate_B[:, None, None].expand(fine).clone()
    for n in range(1, max(iterations) + 1):
        seen_BHW = functional.avg_pool2d(blur(rate_BHW), scale) * scale**2 * exposure_BHW
        ratio_BHW = counts_BHW / (seen_BHW + background_BHW).clamp(min=1e-9)
        rate_BHW = rate_BHW * blur(enlarge(exposure_BHW * ratio_BHW, scale)) / weight_BHW
        if n in iterations:
            yield n, rate_BHW


def smooth(images: Tensor, sigma: float) -> Tensor:
    """Images (..., H, W) convolved with a Gaussian; nothing lies beyond their edges."""
    radius = max(1, round(TRUNCATE * sigma))
    at_N = torch.arange(-radius, radius + 1, dtype=images.dtype)
    weight_N = torch.exp(-0.5 * (at_N / sigma).square())
    weight_N = weight_N / weight_N.sum()
    flat = images.reshape(-1, 1, *images.shape[-2:])
    flat = functional.conv2d(flat, weight_N[None, None, None, :], padding=(0, radius))
    flat = functional.conv2d(flat, weight_N[None, None, :, None], padding=(radius, 0))
    return flat.reshape(images.shape)


def _interpolate(rate_BHW: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return rate_BHW
    fine = functional.interpolate(rate_BHW[:, None], scale_factor=scale, mode="bicubic")[:, 0]
    return fine.clamp(min=0) / scale**2
