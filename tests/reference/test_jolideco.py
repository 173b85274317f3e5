"""jolideco as the benchmark of super-resolution drives it."""

import pytest
import torch
from benchmarks import _jolideco

from wolter.images.evaluate.baselines import gaussian
from wolter.images.schema import ImageBatch
from wolter.models._image_losses import poisson_deviance
from wolter.xray.imaging.consistency import ForwardImage


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")  # of its own making
def test_jolideco_finds_sources_in_their_places_and_sharper_than_smoothing():
    torch.manual_seed(0)
    fold, exposure_HW = ForwardImage(), torch.full((48, 48), 2e4)
    truth_HW = torch.full((96, 96), 2e-6)
    truth_HW[30:33, 30:33] = 4e-3
    truth_HW[60:64, 50:54] = 1e-3
    background_HW = torch.full((48, 48), 0.2)
    seen_HW = torch.poisson(fold(truth_HW, exposure_HW, background_HW))
    batch = ImageBatch(seen_HW[None], exposure_HW[None], background_HW[None])
    mixture = _jolideco.learnt(fields=1, components=3, patches=1000)
    rate_HW = _jolideco.restored(batch, fold, mixture, epochs=60)[0]
    # Of highest probability, not the mean: the total is only near.
    assert float(rate_HW.sum()) == pytest.approx(float(truth_HW.sum()), rel=0.25)
    around_HW, at = rate_HW[24:39, 24:39], torch.arange(24, 39)
    for axis in (0, 1):
        middle = float((around_HW.sum(1 - axis) * at).sum() / around_HW.sum())
        assert middle == pytest.approx(31, abs=0.3)

    def lacking(made_HW):
        return float(poisson_deviance(truth_HW * 1e5, made_HW * 1e5).mean())

    assert lacking(rate_HW) < 0.7 * lacking(gaussian(batch, 2, 1.0)[0])
