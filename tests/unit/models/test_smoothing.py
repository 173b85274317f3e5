"""How images are brought to their photons."""

import torch

from wolter.models import _smoothing as smoothing


def seen(rate_BHW, exposure_BHW):
    """Counts of a rate (B, 2 H, 2 W) through the blur that is taken for the telescope's."""
    coarse_BHW = torch.nn.functional.avg_pool2d(rate_BHW, 2) * 4
    return smoothing.smooth(coarse_BHW[:, None], smoothing.BLUR)[:, 0] * exposure_BHW


def test_an_answer_that_is_right_stays_at_a_source_and_beside_a_gap():
    """Blurred as the photons were, or a source would be taken for too bright."""
    rate_BHW = torch.full((1, 128, 128), 1e-6)
    rate_BHW[0, 64, 64] += 0.05
    exposure_BHW = torch.full((1, 64, 64), 2e4)
    exposure_BHW[:, :, 35:38] = 0.0
    counts_BHW, nothing_BHW = seen(rate_BHW, exposure_BHW), torch.zeros(1, 64, 64)
    factor_BHW = smoothing.balance(counts_BHW, exposure_BHW, nothing_BHW, rate_BHW, 2)
    inner = (0, slice(50, -50), slice(50, -50))  # out of reach of what lies beyond the edges
    torch.testing.assert_close(factor_BHW[inner], torch.ones(28, 28), rtol=0, atol=1e-3)
    bright = smoothing.balance(2 * counts_BHW, exposure_BHW, nothing_BHW, rate_BHW, 2)
    assert 1.7 < bright[0, 64, 64] < 2


def test_edges_are_as_bright_as_what_lies_inside():
    rate_BHW, exposure_BHW = torch.full((1, 64, 64), 5e-5), torch.full((1, 32, 32), 2e4)
    counts_BHW = torch.full((1, 32, 32), 4 * 5e-5 * 2e4)
    factor_BHW = smoothing.balance(counts_BHW, exposure_BHW, 0 * counts_BHW, rate_BHW, 2)
    torch.testing.assert_close(factor_BHW, torch.ones(1, 64, 64), rtol=0, atol=1e-4)
