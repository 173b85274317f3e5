"""Ways in which counts differ from what is expected of them.

Shapes: B batch, C channel, Q way, W window.
"""

import torch
from torch import Tensor, nn

from wolter.models._spectrum_decoder import deviance
from wolter.spectra.response_variation import hats
from wolter.xray.stats.goodness import goodness

WINDOWS = (2, 4, 8, 16, 32)  # channels that are scanned together
LEAST = 1e-3  # expected counts of a window
LEAST_COUNTS = 1e-4  # of a channel
TEMPLATES = 6  # ways of `smooth_misfits`


def misfits(counts_BC: Tensor, expected_BC: Tensor) -> Tensor:
    """Whether counts differ from expected ones (B, 2): in all channels, and in some window.

    The first is C-stat in deviations from its expectation (Kaastra 2017), the second the root of
    the largest deviance of a window's sum: a line of few counts is seen in it alone.
    """
    whole_B = goodness(counts_BC, expected_BC.clamp_min(LEAST_COUNTS)).z.to(counts_BC)
    worst = []
    for width in WINDOWS:
        if width > counts_BC.shape[1]:
            break
        counts_BW, expected_BW = (
            width * nn.functional.avg_pool1d(each[:, None], width, max(1, width // 2))[:, 0]
            for each in (counts_BC, expected_BC)
        )
        expected_BW = expected_BW.clamp_min(LEAST)
        log_ratio_BW = (counts_BW.clamp_min(1e-9) / expected_BW).log()
        deviance_BW = 2 * (counts_BW * log_ratio_BW + expected_BW - counts_BW)
        worst.append(deviance_BW.clamp_min(0).sqrt().amax(1))
    return torch.stack([whole_B, torch.stack(worst).amax(0)], 1)


def smooth_misfits(counts_BC: Tensor, expected_BC: Tensor, edges_C1: Tensor) -> Tensor:
    """Whether counts differ smoothly from expected ones (B, 6), in deviations: score tests (Rao).

    Of another gain, of other line widths, and of an area that differs near 0.3, 1, 3 and 10 keV.
    """
    energy_C, width_C = (edges_C1[1:] + edges_C1[:-1]) / 2, edges_C1.diff()
    expected_BC = expected_BC.clamp_min(LEAST_COUNTS)
    slope_BC = torch.gradient(expected_BC / width_C, spacing=(energy_C,), dim=1)[0]
    bend_BC = torch.gradient(slope_BC, spacing=(energy_C,), dim=1)[0]
    ways = [slope_BC * width_C / expected_BC, bend_BC * width_C / expected_BC]
    ways += [hat_C.expand_as(expected_BC) for hat_C in hats(energy_C)]
    excess_BC = counts_BC - expected_BC
    found = []
    for way_BC in ways:
        variance_B = (way_BC.square() * expected_BC).sum(1)
        found.append((way_BC * excess_BC).sum(1) / variance_B.sqrt().clamp_min(1e-6))
    return torch.stack(found, 1)


def like_background(counts_BC: Tensor, expected_BC: Tensor, shape_BC: Tensor) -> Tensor:
    """Deviance of expected counts less that of the background's shape, scaled to the counts (B).

    Above zero the background alone, as bright as the spectrum, tells its counts better.
    """
    scaled_BC = shape_BC * counts_BC.sum(1, keepdim=True)
    return deviance(counts_BC, expected_BC) - deviance(counts_BC, scaled_BC)
