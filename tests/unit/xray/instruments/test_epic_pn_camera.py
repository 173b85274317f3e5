import numpy as np
import pytest
import torch

from wolter.xray.instruments import epic_pn_camera as camera


def test_79_9_per_cent_of_the_native_image_is_live():
    share = camera.live()[camera.native()].double().mean()
    assert float(share) == pytest.approx(0.799, abs=0.0015)


def test_gaps_and_halves_lie_where_the_wafer_has_them():
    live_HW = camera.live(bad_columns=((), ()))[camera.native()]
    row = live_HW[300].tolist()
    starts = [i for i in range(1, 403) if row[i - 1] and not row[i]]
    assert starts == [65, 132, 200, 267, 335, 402]
    rows = live_HW[:, 230].tolist()
    assert [i for i in range(411) if rows[i] != rows[i - 1]] == [11, 204, 206, 399]


def test_both_scales_have_the_same_edges():
    one, two = camera.live(1), camera.live(2)
    assert torch.equal(two, one.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert not bool(one[:2].any() | one[:, :6].any())  # the frame's padding


def test_the_boresight_is_at_detector_pixel_244_224():
    y_H1, x_1W = camera.offsets(1)
    row, column = camera.CORNER
    assert (float(y_H1[row + 223]), float(x_1W[0, column + 243])) == (0.0, 0.0)
    y_H1, x_1W = camera.offsets(2)
    assert float(y_H1[2 * (row + 223) : 2 * (row + 223) + 2].sum()) == 0
    assert float(x_1W[0, 1] - x_1W[0, 0]) == 2.0


@pytest.mark.parametrize(
    ("energy", "published"),
    [(1.0, (1, 0.914, 0.756, 0.577, 0.435, 0.329)), (7.0, (1, 0.881, 0.665, 0.451, 0.302, 0.216))],
)
def test_vignetting_is_the_published_one(energy, published):
    theta = torch.tensor([0.0, 3, 6, 9, 12, 15], dtype=torch.float64)
    ours = camera.vignetting(theta, energy)
    assert ours.tolist() == pytest.approx(published, abs=0.0015)  # the table has three digits


def test_vignetting_is_flat_in_energy_below_1_kev_and_falls_beyond_the_table():
    theta = torch.linspace(0, 20, 50)
    assert torch.equal(camera.vignetting(theta, 0.5), camera.vignetting(theta, 1.0))
    assert bool((camera.vignetting(theta).diff() < 0).all())
    assert float(camera.vignetting(torch.tensor(60.0))) == 0


@pytest.mark.parametrize("scale", [1, 2])
def test_out_of_time_events_move_along_their_ccd(scale):
    rate_HW = torch.zeros(416 * scale, 416 * scale, dtype=torch.float64)
    row, column = 300 * scale, 150 * scale
    rate_HW[row, column] = 100.0
    smeared_HW = camera.smear(rate_HW, 0.063, scale)
    assert float(smeared_HW.sum()) == pytest.approx(100)
    # the source's own row keeps its share of the streak: one row of 205
    assert float(smeared_HW[row, column]) == pytest.approx(93.7 + 6.3 / 205 / scale, rel=1e-6)
    assert float(smeared_HW[: 207 * scale].sum()) == 0  # the other half
    assert float(smeared_HW[:, column].sum()) == pytest.approx(100)
    assert camera.smear(rate_HW, 0.0, scale) is rate_HW


def test_bad_columns_come_from_the_generator():
    lower, upper = camera.draw_bad_columns(9, torch.Generator().manual_seed(1))
    assert len(lower) + len(upper) == 9
    assert (lower, upper) == camera.draw_bad_columns(9, torch.Generator().manual_seed(1))
    lost = camera.live(bad_columns=((), ())) & ~camera.live(bad_columns=(lower, upper))
    widths = np.array([end - first for first, end in lower + upper])
    assert 0 < int(lost.sum()) <= widths.sum() * 205
