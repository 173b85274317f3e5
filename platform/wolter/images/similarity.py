"""Structural similarity of images in a window of known size, over pixels that may be masked.

As Sweere et al. (2022) set it: Gaussian window of 13 pixels, deviation 2.5, K1 = 0.01, K2 = 0.05.
It is both a score and, for it has slopes everywhere, a loss.

Shapes: B batch, H and W rows and columns, N window.
"""

import torch
from torch import Tensor
from torch.nn import functional

WINDOW, SIGMA, K1, K2 = 13, 2.5, 0.01, 0.05
SMALLEST = 1e-12
BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of the scales (Wang et al. 2003)


def ssim(
    made_BHW: Tensor, true_BHW: Tensor, valid_BHW: Tensor | None = None, window: int = WINDOW
) -> Tensor:
    """Structural similarity (Wang et al. 2004, IEEE TIP 13, 600) of images with peak 1.

    Args:
        made_BHW: judged.
        true_BHW: what it is to be like.
        valid_BHW: pixels in whose surroundings it is judged; None: all.
        window: pixels along its side, odd.

    Returns:
        (B,), 1 for the same images; NaN where no pixel is valid.
    """
    luminance_BHW, structure_BHW = _terms(made_BHW, true_BHW, window)
    return _mean(luminance_BHW * structure_BHW, valid_BHW)


def ms_ssim(
    made_BHW: Tensor, true_BHW: Tensor, valid_BHW: Tensor | None = None, window: int = WINDOW
) -> Tensor:
    """Structural similarity over scales (Wang et al. 2003), as many of the five as fit; see `ssim`.

    A pixel of a coarser scale is valid if most of it is.
    """
    size, n = min(made_BHW.shape[-2:]), len(BETAS)
    while n > 1 and size // 2 ** (n - 1) < window:
        n -= 1
    total = made_BHW.new_ones(len(made_BHW))
    for i, beta in enumerate(BETAS[:n]):
        if i:
            made_BHW, true_BHW = (functional.avg_pool2d(x, 2) for x in (made_BHW, true_BHW))
            if valid_BHW is not None:
                valid_BHW = functional.avg_pool2d(valid_BHW.float(), 2) > 0.5
        luminance_BHW, term_BHW = _terms(made_BHW, true_BHW, window)
        if i + 1 == n:
            term_BHW = luminance_BHW * term_BHW
        mean_B, power = _mean(term_BHW, valid_BHW), beta / sum(BETAS[:n])
        # A power's slope at zero has no bound.
        total = total * torch.where(mean_B > 0, mean_B.clamp(min=SMALLEST) ** power, 0.0)
    return total


def _terms(made_BHW: Tensor, true_BHW: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast with structure, around every pixel."""
    at_N = torch.arange(window, dtype=made_BHW.dtype, device=made_BHW.device) - window // 2
    weight_N = torch.exp(-0.5 * (at_N / SIGMA).square())
    weight_N = weight_N / weight_N.sum()
    images = torch.stack(
        [made_BHW, true_BHW, made_BHW.square(), true_BHW.square(), made_BHW * true_BHW], 1
    )
    images = functional.pad(images, (window // 2,) * 4, mode="reflect")
    n = images.shape[1]
    images = functional.conv2d(images, weight_N.expand(n, 1, 1, -1), groups=n)
    images = functional.conv2d(images, weight_N[:, None].expand(n, 1, -1, 1), groups=n)
    made, true, made_square, true_square, product = images.unbind(1)
    spread = (made_square - made.square()).clamp(min=0) + (true_square - true.square()).clamp(min=0)
    luminance = (2 * made * true + K1**2) / (made.square() + true.square() + K1**2)
    return luminance, (2 * (product - made * true) + K2**2) / (spread + K2**2)


def _mean(values_BHW: Tensor, valid_BHW: Tensor | None) -> Tensor:
    if valid_BHW is None:
        return values_BHW.flatten(1).mean(1)
    return (values_BHW * valid_BHW).flatten(1).sum(1) / valid_BHW.flatten(1).sum(1)
