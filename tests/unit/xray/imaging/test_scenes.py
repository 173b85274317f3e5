import math

import numpy as np
import pytest
import torch
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.imaging import scenes, shapes
from wolter.xray.instruments import epic_pn_camera as camera


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_log_n_log_s_integrates_its_own_density():
    law = scenes.LogNLogS()
    # dN/dS by hand, in units of 1e-14, integrated from 1e-15 to 1e-12
    s = torch.logspace(-1, 2, 20_001, dtype=torch.float64)
    b = law.break_flux / 1e-14
    upper = law.norm * b ** (law.bright - law.faint) * s**-law.bright
    density = torch.where(s < b, law.norm * s**-law.faint, upper)
    counted = float(torch.trapezoid(density, s))
    assert float(law.above(1e-15) - law.above(1e-12)) == pytest.approx(counted, rel=1e-4)


@pytest.mark.parametrize("flux", [3e-16, 3e-15, 2e-14])
def test_drawn_agn_follow_the_log_n_log_s(flux):
    law = scenes.LogNLogS()
    flux_N = law.draw(40.0, 2e-16, seeded())
    n = int((flux_N > flux).sum())
    expected = 40 * float(law.above(flux))
    assert abs(n - expected) < 4 * math.sqrt(expected)
    assert float(flux_N.min()) >= 2e-16 * (1 - 1e-5)


def test_agn_fill_the_frame_evenly():
    point_N3 = torch.cat([scenes.agn_field(seeded(seed)).point_N3 for seed in range(30)])
    x_axis, y_axis = (axis * 4 for axis in camera.AXIS_XY)
    x, y = point_N3[:, 0] + x_axis, point_N3[:, 1] + y_axis
    assert 0 <= float(x.min()) < float(x.max()) <= scenes.FIELD_ARCSEC
    half = scenes.FIELD_ARCSEC / 2
    error = 4 * scenes.FIELD_ARCSEC / math.sqrt(12 * len(x))
    assert abs(float(x.mean()) - half) < error
    assert abs(float(y.mean()) - half) < error


def test_pairs_are_as_far_apart_and_as_unequal_as_drawn():
    for seed in range(20):
        first, second = scenes.agn_pairs(seeded(seed)).point_N3.chunk(2)
        apart = torch.hypot(*(first - second)[:, :2].unbind(1))
        ratio = first[:, 2] / second[:, 2]
        assert float(apart.min()) >= 4 - 1e-3
        assert float(apart.max()) <= 40 + 1e-3
        assert float(ratio.min()) >= 1 - 1e-4
        assert float(ratio.max()) <= 10 * (1 + 1e-4)


@pytest.mark.parametrize("kind", sorted(scenes.SCENES))
@pytest.mark.parametrize("seed", range(4))
def test_scenes_are_sound_and_depend_on_the_seed_alone(kind, seed):
    scene, again = (scenes.SCENES[kind](seeded(seed)) for _ in range(2))
    assert torch.equal(scene.point_N3, again.point_N3)
    assert bool((scene.point_N3[:, 2] > 0).all())
    if scene.brightness_FF is not None:
        assert scene.brightness_FF.shape == (832, 832)
        assert torch.equal(scene.brightness_FF, again.brightness_FF)
        assert bool((scene.brightness_FF >= 0).all())
        assert 1e-13 * 0.99 < float(scene.brightness_FF.sum()) < 5e-11 * 1.01
        other = scenes.SCENES[kind](seeded(seed + 100))
        assert not torch.equal(scene.brightness_FF, other.brightness_FF)


def test_beta_model_has_its_closed_form():
    y_F1, x_1F = torch.zeros(1, 1), torch.tensor([[0.0, 30.0, 60.0]])
    profile = shapes.Ellipse(0, 0).beta_model(x_1F, y_F1, core=30.0, beta=0.6)[0]
    assert profile.tolist() == pytest.approx([1, 2**-1.3, 5**-1.3], rel=1e-5)
    turned = shapes.Ellipse(0, 0, axis_ratio=0.5, angle=math.pi / 2)
    assert float(turned.radius(torch.tensor([[3.0]]), torch.zeros(1, 1))) == pytest.approx(6)


def test_a_shell_is_brightest_at_its_rim():
    x_1F = torch.linspace(-150, 150, 301)[None]
    profile = shapes.shell(shapes.Draw(seeded()), x_1F, x_1F.T, size=100.0, thickness=0.1)
    middle = profile[150]
    assert 60 < abs(float(x_1F[0, int(middle.argmax())])) < 130
    assert float(middle[0]) == float(middle[-1]) == 0


def test_rough_fields_have_the_power_law_asked_for():
    field = shapes.rough_field(seeded(), 512, slope=3.0)
    power = torch.fft.rfft2(field).abs() ** 2
    k = torch.hypot(torch.fft.fftfreq(512)[:, None], torch.fft.rfftfreq(512)[None])
    low, high = ((k > a) & (k < 1.1 * a) for a in (0.02, 0.2))
    assert float(power[low].mean() / power[high].mean()) == pytest.approx(1000, rel=0.25)
    assert (float(field.mean()), float(field.std())) == pytest.approx((0, 1), abs=1e-4)


def test_lumps_are_as_wide_as_asked_for():
    field = shapes.lumpy_field(seeded(), 512, scale=4.0)
    assert (float(field.mean()), float(field.std())) == pytest.approx((0, 1), abs=1e-4)
    for lag in (4, 8, 12):  # smoothed white noise is correlated by exp(-lag^2 / 4 scale^2)
        found = float((field[:, lag:] * field[:, :-lag]).mean())
        assert found == pytest.approx(math.exp(-(lag**2) / 64), abs=0.03)


def test_a_map_becomes_a_scene(tmp_path):
    image = np.zeros((64, 64), np.float32)
    image[20:40, 25:30] = 5.0
    image[0, 0] = np.nan
    fits.writeto(tmp_path / "map.fits", image)
    read = scenes.read_map(tmp_path / "map.fits")
    assert read.shape == (64, 64)
    assert float(read[0, 0]) == 0
    scene = scenes.from_map(seeded(), read)
    lit = float((scene.brightness_FF > 0.5 * scene.brightness_FF.max()).double().mean())
    # a patch of 100 of 64^2 pixels, on a map that shows 1 to 1/2 of each side
    assert 0.8 * 100 / 4096 < lit < 4.5 * 100 / 4096


@pytest.mark.parametrize("content", [None, b"not fits", "table", "dark"])
def test_a_map_that_is_none(tmp_path, content):
    path = tmp_path / "map.fits"
    if content == "table":
        fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])]).writeto(path)
    elif content == "dark":
        fits.writeto(path, np.zeros((8, 8)))
    elif content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"map\.fits: "):
        scenes.read_map(path)
