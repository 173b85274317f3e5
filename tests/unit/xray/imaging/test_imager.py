import pickle

import pytest
import torch

from wolter.xray.imaging.imager import Exposure, Imager, _halve
from wolter.xray.imaging.scenes import Scene
from wolter.xray.instruments import epic_pn_camera as camera
from wolter.xray.instruments.psf import Psf

ONE = {"agn": 1.0, "cluster": 1.0}


@pytest.fixture(scope="module")
def imager():
    return Imager()


def point(x: float, y: float, flux: float = 1.0) -> Scene:
    return Scene(torch.tensor([[x, y, flux]]))


def extended(brightness_FF: torch.Tensor) -> Scene:
    return Scene(torch.zeros(0, 3), brightness_FF)


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (203.0, -121.0), (-300.0, 350.0)])
def test_points_keep_their_vignetted_flux_and_place_at_both_scales(imager, x, y):
    images = imager.rates(point(x, y), ONE)
    theta = torch.hypot(torch.tensor(x), torch.tensor(y)) / 60
    expected = float(camera.vignetting(theta))
    for scale, name in ((1, "input"), (2, "target")):
        image = images[name]
        assert float(image.sum()) == pytest.approx(expected, rel=1e-5)
        y_H1, x_1W = camera.offsets(scale)
        centre = float((image * x_1W).sum() / expected), float((image * y_H1).sum() / expected)
        assert centre == pytest.approx((x, y), abs=0.1)


def test_a_map_keeps_its_vignetted_flux(imager):
    y_F1, x_1F = camera.offsets(2)
    map_FF = (-(x_1F**2 + (y_F1 - 100) ** 2) / (2 * 60**2)).exp()
    images = imager.rates(extended(map_FF), ONE)
    expected = float((map_FF.double() * imager.vignetting[2]).sum())
    for image in images.values():
        assert float(image.sum()) == pytest.approx(expected, rel=1e-4)
        assert float(image.min()) >= 0


@pytest.mark.parametrize("name", ["input", "target"])
def test_a_point_of_a_map_is_the_point_source_blurred_by_its_pixel(imager, name):
    map_FF = torch.zeros(832, 832)
    row, column = 451, 499  # the fine pixel beyond the boresight: 1 arcsec off in x and y
    map_FF[row, column] = 1.0
    image = imager.rates(extended(map_FF), ONE)[name]
    spots = torch.tensor([-2 / 3, 0.0, 2 / 3]) + 1.0  # the middles of the pixel's thirds
    scene = Scene(torch.cat([torch.cartesian_prod(spots, spots), torch.full((9, 1), 1 / 9)], 1))
    direct = imager.rates(scene, ONE)[name]
    # summed from fine pixels, and interpolated between kernels that are 8 arcmin apart
    assert float((image - direct).abs().max()) < 0.01 * float(direct.max())
    assert float(image.sum()) == pytest.approx(float(direct.sum()), rel=1e-4)


def test_many_faint_sources_go_into_the_map_without_loss(imager):
    generator = torch.Generator().manual_seed(0)
    n = 300
    position_N2 = (torch.rand(n, 2, generator=generator) - 0.5) * 800
    scene = Scene(torch.cat([position_N2, torch.rand(n, 1, generator=generator)], 1))
    theta_N = torch.hypot(*position_N2.unbind(1)) / 60
    expected = float((scene.point_N3[:, 2] * camera.vignetting(theta_N)).sum())
    for image in imager.rates(scene, ONE).values():
        # what falls outside the frame is lost; a map is vignetted where it is, points before
        assert float(image.sum()) == pytest.approx(expected, rel=2e-3)


def test_sources_outside_the_frame_do_not_wrap_around(imager):
    image = imager.rates(point(-1200.0, 0.0), ONE)["input"]
    assert float(image.sum()) == 0
    edge = imager.rates(point(660.0, 0.0), ONE)["input"]
    assert float(edge[:, :200].sum()) == 0


def test_maps_at_the_edge_do_not_wrap_around(imager):
    map_FF = torch.zeros(832, 832)
    map_FF[:, -1] = 1.0
    image = imager.rates(extended(map_FF), ONE)["input"]
    assert float(image[:, :200].abs().max()) < 1e-6 * float(image.max())


def test_extended_emission_is_sharper_on_the_axis_than_off_it():
    imager = Imager({"target": (Psf(core_per_arcmin=0.3), 2)})
    peaks = []
    for column in (499, 499 - 330):
        map_FF = torch.zeros(832, 832)
        map_FF[451, column] = 1.0
        image = imager.rates(extended(map_FF), ONE)["target"]
        peaks.append(float(image.max() / image.sum()))
    assert peaks[0] > 1.3 * peaks[1]


def test_exposure_background_and_mask(imager):
    live_HW = camera.live()
    how = Exposure(20_000.0, background=1e-5, particles=0.25, out_of_time=0.063)
    dark = imager.expose(torch.zeros(416, 416), how, live_HW)
    assert torch.equal(dark.counts_HW, dark.background_HW)
    assert bool((dark.counts_HW[~live_HW] == 0).all())
    assert bool((dark.exposure_HW[~live_HW] == 0).all())
    axis = (225, 248)  # beside the boresight, since the pixel itself lies on a rejected column
    assert float(dark.background_HW[axis]) == pytest.approx(0.2, rel=1e-3)
    in_place = 0.937 * 20_000
    assert float(dark.exposure_HW[axis]) == pytest.approx(in_place, rel=2e-3)
    corner = (20, 230)
    vignetting = float(imager.vignetting[1][corner])
    assert float(dark.background_HW[corner]) == pytest.approx(0.2 * (0.25 + 0.75 * vignetting))


def test_the_background_is_the_same_sky_at_both_scales(imager):
    how = Exposure(20_000.0, background=1e-5, particles=0.25)
    one, two = (
        imager.expose(torch.zeros(416 * k, 416 * k), how, camera.live(k)).background_HW
        for k in (1, 2)
    )
    assert torch.allclose(_halve(two), one, rtol=1e-3)


def test_input_and_target_share_no_photon(imager):
    """Draws of both are uncorrelated once what is expected is taken away."""
    y_H1, x_1W = camera.offsets(2)
    map_FF = 0.02 * (-(x_1W**2 + y_H1**2) / (2 * 150**2)).exp()
    rates = imager.rates(extended(map_FF), ONE)
    generator = torch.Generator().manual_seed(0)
    taken = imager.expose(rates["input"], Exposure(100.0), camera.live(1))
    target = imager.expose(rates["target"], Exposure(100.0), camera.live(2))
    bright = taken.counts_HW > 0.5
    residual_input = (taken.draw(generator) - taken.counts_HW)[bright]
    residual_target = _halve(target.draw(generator) - target.counts_HW)[bright]
    n = int(bright.sum())
    correlation = float(torch.corrcoef(torch.stack([residual_input, residual_target]))[0, 1])
    assert n > 5000
    assert abs(correlation) < 4 / n**0.5
    # the test can fail: with the same photons in both, the correlation would be near 1
    shared = torch.corrcoef(torch.stack([residual_input, residual_input + residual_target]))
    assert float(shared[0, 1]) > 0.5


def test_an_imager_travels_light(imager):
    packed = pickle.dumps(imager)
    assert len(packed) < 10_000
    again = pickle.loads(packed)
    scene = point(30.0, 40.0)
    assert torch.equal(again.rates(scene, ONE)["target"], imager.rates(scene, ONE)["target"])
    assert torch.equal(again.kernels["input"], imager.kernels["input"])
