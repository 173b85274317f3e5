"""Structural similarity against its definition, by another library's filters; and as a loss."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from wolter.images.similarity import BETAS, ms_ssim, ssim


def images(n=2, size=224, noise=0.1):
    generator = torch.Generator().manual_seed(0)
    made = torch.rand(n, size, size, generator=generator)
    return made, (made + noise * torch.randn(n, size, size, generator=generator)).clamp(0, 1)


def terms(a, b):
    """Luminance, and contrast with structure (Wang et al. 2004), in a window of 13 pixels."""

    def mean(image):  # 13 pixels are 2.4 deviations to either side
        return gaussian_filter(image, 2.5, mode="mirror", truncate=2.4)

    c1, c2 = 0.01**2, 0.05**2
    covariance = mean(a * b) - mean(a) * mean(b)
    spread = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
    luminance = (2 * mean(a) * mean(b) + c1) / (mean(a) ** 2 + mean(b) ** 2 + c1)
    return luminance, (2 * covariance + c2) / (spread + c2)


def halved(image):
    return image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2).mean((1, 3))


def test_one_scale_is_its_definition():
    made, true = images()
    for i, found in enumerate(ssim(made, true).tolist()):
        luminance, structure = terms(made[i].double().numpy(), true[i].double().numpy())
        assert found == pytest.approx(np.mean(luminance * structure), abs=1e-5)


def test_several_scales_are_the_product_of_their_structures():
    made, true = images(n=1)
    a, b = made[0].double().numpy(), true[0].double().numpy()
    expected = 1.0
    for i, beta in enumerate(BETAS):
        luminance, structure = terms(a, b)
        last = i + 1 == len(BETAS)
        expected *= np.mean(structure * luminance if last else structure) ** (beta / sum(BETAS))
        a, b = halved(a), halved(b)
    assert float(ms_ssim(made, true)) == pytest.approx(expected, abs=1e-5)


def test_an_image_is_like_itself_and_masked_pixels_do_not_count():
    made, true = images(n=1, size=64)
    assert float(ssim(made, made)) == pytest.approx(1)
    assert float(ms_ssim(made, made)) == pytest.approx(1)
    valid = torch.zeros(1, 64, 64, dtype=torch.bool)
    valid[:, :, :20] = True
    other = true.clone()
    other[:, :, 40:] = 0
    assert torch.equal(ssim(made, true, valid), ssim(made, other, valid))


def test_a_negative_has_no_similarity_and_yet_finite_slopes():
    made, true = (1 - images(n=1, size=64)[0]).requires_grad_(), images(n=1, size=64, noise=0)[1]
    worth = ms_ssim(made, true)
    assert float(worth.detach()) == 0
    worth.backward()
    assert bool(made.grad.isfinite().all())
