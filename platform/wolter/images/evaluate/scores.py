"""Scores of a predicted rate against a target, and against the noise-free truth.

Shapes: B batch, H and W rows and columns of the target.
"""

import torch
from torch import Tensor

from wolter.images.similarity import ms_ssim, ssim
from wolter.images.targets import Targets

STRETCHES = {"linear": 1.0, "sqrt": 0.5}  # powers of the brightness in units of the clamp
SMALLEST = 1e-12  # mean squared error: 120 dB
FAINTEST = 1e-9  # counts that a prediction of nothing is taken to mean


def scores(rate_BHW: Tensor, target: Targets) -> dict[str, Tensor]:
    """All scores (B) of predicted rates, by name.

    `deviance`, per pixel, of the target's photons: a proper score, lowest for the truth. Then
    `<metric>_<stretch>` of `compare` against the photons' rate over the whole frame; the same
    with `masked_` in front over valid pixels alone; and with `true_` in front over valid pixels
    against the noise-free truth, where that is known. `flux_made` is the sum of the predicted
    counts, `flux_seen` that of the photons.
    """
    valid = target.valid
    rate_BHW = torch.where(valid, rate_BHW, 0.0)
    found = {
        "deviance": deviance(rate_BHW, target),
        "flux_made": (rate_BHW * target.exposure).flatten(1).sum(1),
        "flux_seen": (target.photons - target.background).flatten(1).sum(1),
        **compare(rate_BHW, target.rate * valid, target.clamp),
    }
    masked = compare(rate_BHW, target.rate * valid, target.clamp, valid)
    found |= {f"masked_{name}": value for name, value in masked.items()}
    if target.truth is not None:
        truth = compare(rate_BHW, target.truth, target.clamp, valid)
        found |= {f"true_{name}": value for name, value in truth.items()}
    return found


def deviance(rate_BHW: Tensor, target: Targets) -> Tensor:
    """Poisson deviance (B) of the target's photons per valid pixel: 2 (m - n + n ln n/m)."""
    mean_BHW = (rate_BHW * target.exposure + target.background).clamp(min=FAINTEST).double()
    photons_BHW = target.photons.double()
    each_BHW = mean_BHW - photons_BHW + torch.xlogy(photons_BHW, photons_BHW / mean_BHW)
    return (2 * each_BHW * target.valid).flatten(1).sum(1) / target.valid.flatten(1).sum(1)


def compare(
    rate_BHW: Tensor, true_BHW: Tensor, clamp: float, valid_BHW: Tensor | None = None
) -> dict[str, Tensor]:
    """`l1`, `psnr` (dB), `ssim` and `ms_ssim` (B), each `_linear` and `_sqrt`.

    Brightness is clamped and divided by the clamp, then taken to the power 1 or 1/2.

    Args:
        rate_BHW: judged, ct/s.
        true_BHW: what it is to be like, ct/s.
        clamp: ct/s.
        valid_BHW: pixels to judge by; None: all.
    """
    found = {}
    units = [(each / clamp).clamp(0, 1) for each in (rate_BHW, true_BHW)]
    for stretch, power in STRETCHES.items():
        made, true = (each**power for each in units)
        error_BHW = made - true
        found[f"l1_{stretch}"] = _mean(error_BHW.abs(), valid_BHW)
        squared_B = _mean(error_BHW.square(), valid_BHW)
        found[f"psnr_{stretch}"] = -10 * squared_B.clamp(min=SMALLEST).log10()
        found[f"ssim_{stretch}"] = ssim(made, true, valid_BHW)
        found[f"ms_ssim_{stretch}"] = ms_ssim(made, true, valid_BHW)
    return found


def coverage(lower_BHW: Tensor, upper_BHW: Tensor, target: Targets) -> Tensor:
    """Share (B) of valid pixels whose noise-free rate lies in the interval."""
    assert target.truth is not None
    inside = (lower_BHW <= target.truth) & (target.truth <= upper_BHW)
    return _mean(inside.float(), target.valid)


def _mean(values_BHW: Tensor, valid_BHW: Tensor | None) -> Tensor:
    if valid_BHW is None:
        return values_BHW.flatten(1).mean(1)
    return (values_BHW * valid_BHW).flatten(1).sum(1) / valid_BHW.flatten(1).sum(1)
