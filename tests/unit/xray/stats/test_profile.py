"""Limits where the statistic rises steeply, slowly, or by a leap; those of fits are in test_fit."""

import pytest
import torch

from wolter.xray.stats import profile as module
from wolter.xray.stats.counts import Counted
from wolter.xray.stats.levenberg_marquardt import Optimum
from wolter.xray.stats.unit_box import UnitBox

F64 = torch.float64
BEST = 0.4


@pytest.mark.parametrize(
    ("rise", "distance"),
    [
        (lambda d: (d / 0.1) ** 2, 0.1),
        (lambda d: (d / 0.1) ** 6, 0.1),  # the root of the rise leads ever farther astray
        (lambda d: (d / 0.1) ** 0.3, 0.1),
        (lambda d: torch.where(d < 0.21, 0.12, 8.0), 0.21),  # another minimum
        (lambda d: 0.1 * d, None),
    ],
)
@pytest.mark.parametrize("sigma", [1e-3, 0.1, 0.5])
def test_limits_are_where_the_statistic_has_risen_by_one(monkeypatch, rise, distance, sigma):
    def refitted(_box, _data, start_BP, free_BP, most):
        assert most
        assert not free_BP[:, 0].any()
        assert ((start_BP >= 0) & (start_BP <= 1)).all()
        statistic_B = 50 + rise((start_BP[:, 0] - BEST).abs())
        return Optimum(start_BP, statistic_B, torch.ones(len(start_BP)) > 0)

    monkeypatch.setattr(module, "minimise", refitted)
    counts_BC = torch.ones(2, 3, dtype=F64)
    data = Counted(counts_BC, torch.ones(2, dtype=F64), counts_BC)
    box = UnitBox.of(lambda p_BP, _: p_BP, torch.tensor([[0.0], [1.0]], dtype=F64))
    point_BP = torch.full((2, 1), BEST, dtype=F64)
    covariance_BPP = torch.full((2, 1, 1), sigma**2, dtype=F64)
    limit_BSP = module.profile(
        box, data, point_BP, torch.full((2,), 50.0, dtype=F64), covariance_BPP
    )
    low, high = (0.0, 1.0) if distance is None else (BEST - distance, BEST + distance)
    expected_BSP = torch.tensor([low, high], dtype=F64)[None, :, None].expand(2, -1, -1)
    tolerance = 0.0 if distance is None else 0.07 * distance
    torch.testing.assert_close(limit_BSP, expected_BSP, rtol=0, atol=tolerance)
