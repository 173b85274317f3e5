import dataclasses

import pytest
import torch
from astropy.io import fits

from wolter.images.reading import load_picture, picture_batch, save_picture
from wolter.xray.imaging.counts_image import CountsImage
from wolter.xray.instruments import epic_pn_camera as camera


@pytest.fixture
def picture():
    """A source of 20,000 photons on EPIC-pn, of which one in ten is out of time."""
    rate_HW = torch.zeros(416, 416)
    rate_HW[300:304, 150:154] = 2e4 / 16
    mean_HW = camera.smear(rate_HW, 0.1) * camera.live()
    counts_HW = torch.poisson(mean_HW + 0.1 * camera.live(), torch.Generator().manual_seed(0))
    column, row = camera.AXIS_XY
    exposure_HW = 2e4 * camera.live()
    header = fits.Header()
    return CountsImage("a.fits", counts_HW, exposure_HW, 2e4, 4.0, (row, column), header, (), 0.1)


def test_events_out_of_time_are_told_with_the_background(picture):
    without = dataclasses.replace(picture, out_of_time=0.0)
    more_HW = picture_batch(picture).background_BHW[0] - picture_batch(without).background_BHW[0]
    # A tenth of the photons, in so far as their columns are read out and live.
    assert float(more_HW[:, 150:154].sum()) == pytest.approx(1800, rel=0.15)
    assert float(more_HW[:200].abs().max()) < 0.01  # the other half of the wafer


def test_a_picture_is_the_same_in_another_process(picture, tmp_path):
    save_picture(picture, tmp_path / "a.safetensors")
    again = load_picture(tmp_path / "a.safetensors")
    for field in dataclasses.fields(picture):
        mine, theirs = getattr(picture, field.name), getattr(again, field.name)
        assert torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs
