import math

import pytest
import torch

from wolter.xray.instruments.psf import Psf

ROUND = Psf(ellipticity=0.0, reach_arcsec=600.0)


def stamp(psf: Psf, pixel: float, theta: float = 0.0, phi: float = 0.0, offset=(0.0, 0.0)):
    one = torch.ones(1, dtype=torch.float64)
    offset_N2 = torch.tensor([offset], dtype=torch.float64)
    return psf.stamps(offset_N2, theta * one, phi * one, pixel)[0]


def radii(stamp_KK: torch.Tensor, pixel: float) -> torch.Tensor:
    half = len(stamp_KK) // 2
    at = torch.arange(-half, half + 1, dtype=torch.float64) * pixel
    return torch.hypot(at[:, None], at[None, :])


def test_the_width_is_that_of_the_profile():
    psf = Psf(core_arcsec=5.0, slope=1.5)
    peak = stamp(psf, 0.1)
    half = len(peak) // 2
    row = peak[half, half:]
    crossing = float((row < row[0] / 2).nonzero()[0]) * 0.1
    assert psf.fwhm() == pytest.approx(2 * 5 * math.sqrt(2 ** (1 / 1.5) - 1))
    assert 2 * crossing == pytest.approx(psf.fwhm(), abs=0.2)  # a pixel on each side


@pytest.mark.parametrize("radius", [5.0, 15.0, 30.0])
def test_a_stamp_encloses_the_energy_of_the_closed_form(radius):
    image = stamp(ROUND, 1.0)
    inside = float(image[radii(image, 1.0) <= radius].sum())
    whole = ROUND.enclosed(torch.tensor(600.0, dtype=torch.float64))
    expected = float(ROUND.enclosed(torch.tensor(radius, dtype=torch.float64)) / whole)
    # 1 arcsec pixels are in or out as wholes: a few per cent of a ring near the core
    assert inside == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.4, -0.3), (-0.5, 0.5)])
@pytest.mark.parametrize("theta", [0.0, 12.0])
def test_stamps_keep_flux_and_position(offset, theta):
    psf = Psf()
    image = stamp(psf, 2.0, theta, 0.7, offset)
    half = len(image) // 2
    at = torch.arange(-half, half + 1, dtype=torch.float64)
    assert float(image.sum()) == pytest.approx(1, abs=1e-12)
    centre = float((image.sum(0) * at).sum()), float((image.sum(1) * at).sum())
    assert centre == pytest.approx(offset, abs=0.02)  # the reach cuts unequal wings


def test_sharper_mirrors_give_the_same_image_on_smaller_pixels():
    wide, sharp = stamp(Psf(), 4.0, 6.0), stamp(Psf(sharpness=2.0), 2.0, 6.0)
    assert torch.allclose(wide, sharp, atol=1e-12)


def test_images_stretch_along_the_azimuth():
    at_right = stamp(Psf(ellipticity=0.5), 2.0, theta=10.0, phi=0.0)
    half = len(at_right) // 2
    at = torch.arange(-half, half + 1, dtype=torch.float64) ** 2
    middle = at_right[half - 5 : half + 6, half - 5 : half + 6]
    radial, azimuthal = (
        float((middle.sum(axis) * at[half - 5 : half + 6]).sum()) for axis in (0, 1)
    )
    assert azimuthal > 1.2 * radial
    on_axis = stamp(Psf(ellipticity=0.5), 2.0)
    assert torch.allclose(on_axis, on_axis.T, atol=1e-12)


def test_the_core_shrinks_with_energy():
    zero = torch.zeros(())
    assert float(Psf().core(zero, 1.0) - Psf().core(zero, 3.0)) == pytest.approx(0.61)


def test_a_kernel_is_blurred_by_one_pixel():
    kernel = ROUND.kernel(0.0, 2.0)
    plain = stamp(ROUND, 2.0)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-12)
    assert float(kernel.max()) < float(plain.max())
    assert torch.allclose(kernel, kernel.flip(0), atol=1e-12)
