import numpy as np
import pytest
import torch

from wolter.xray.imaging.field_of_view import unexposed
from wolter.xray.instruments.psf import Psf


def offsets(size):
    return np.mgrid[:size, :size] - (size - 1) / 2


def round_field(size, radius):
    return np.hypot(*offsets(size)) < radius


def turned_square(size, half):
    y, x = offsets(size)
    along, across = x * np.cos(0.4) + y * np.sin(0.4), y * np.cos(0.4) - x * np.sin(0.4)
    return np.maximum(np.abs(along), np.abs(across)) < half


def photons(mask, level, sources=(), seed=0):
    """Vignetted background and sources; each source is (row, column, photons)."""
    rng = np.random.default_rng(seed)
    vignetting = 1 - 0.6 * (np.hypot(*offsets(len(mask))) / (0.7 * len(mask))) ** 2
    image = rng.poisson(level * vignetting).astype(np.float32)
    kernel = Psf().kernel(0.0, 4.0, 1.0).numpy()
    half = len(kernel) // 2
    padded = np.pad(image, half)
    for row, column, number in sources:
        padded[row : row + 2 * half + 1, column : column + 2 * half + 1] += rng.poisson(
            number * kernel / kernel.sum()
        )
    return torch.from_numpy(padded[half:-half, half:-half] * mask)


@pytest.mark.parametrize("mask", [round_field(240, 102), turned_square(240, 75)])
@pytest.mark.parametrize(("level", "wrong"), [(0.1, 0.07), (0.3, 0.03), (1.0, 0.01)])
def test_what_lies_outside_the_field_is_found(mask, level, wrong):
    image = photons(mask, level, [(101, 150, 1500), (130, 90, 40)])
    dark = unexposed(image, 4.0).numpy()
    assert (dark & mask).sum() < wrong * mask.sum()
    assert (~dark & ~mask).sum() < 0.01 * (~mask).sum()


@pytest.mark.parametrize("level", [0.01, 0.03, 0.1, 0.3, 2.0])
@pytest.mark.parametrize("sources", [(), [(60, 150, 3000), (130, 90, 20_000), (200, 200, 50)]])
def test_empty_pixels_of_an_exposed_image_say_nothing(level, sources):
    image = photons(np.ones((240, 240), bool), level, sources, seed=1)
    assert not unexposed(image, 4.0).any()


@pytest.mark.parametrize("sources", [(), [(60, 30, 100)]])
def test_next_to_no_photons_leave_the_image_as_it_is(sources):
    image = photons(np.ones((96, 96), bool), 1e-4, sources)
    assert not unexposed(image, 4.0).any()


def test_a_few_stray_photons_do_not_save_the_corners():
    mask = round_field(240, 102)
    image = photons(mask, 0.3)
    image[3, 5] = image[230, 12] = 1
    dark = unexposed(image, 4.0).numpy()
    assert (~dark & ~mask).sum() < 0.01 * (~mask).sum()
    assert dark[3, 5]


def test_corners_with_particles_were_exposed_to_them():
    mask = round_field(240, 102)
    image = photons(mask, 0.3) + photons(~mask, 0.1, seed=3)
    assert unexposed(image, 4.0).float().mean() < 0.01


def test_a_field_of_a_single_pixel_s_size_is_a_source():
    image = torch.zeros(96, 96)
    image[40:46, 40:46] = 100
    assert not unexposed(image, 4.0).any()
