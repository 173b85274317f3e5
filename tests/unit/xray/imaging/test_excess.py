"""Where photons need a source: at the threshold, in empty sky, beside a bright source."""

import pytest
import torch

from wolter.xray.imaging.consistency import deviance_root
from wolter.xray.imaging.excess import NEEDED, RADII_ARCSEC, needs_source, point_significance
from wolter.xray.instruments.psf import Psf

LEVEL, SIZE, PIXEL = 0.3, 120, 4.0
EXPOSED = torch.full((SIZE, SIZE), 3e4)
EVEN = torch.full((SIZE, SIZE), LEVEL)


def seen(sources=(), seed=0):
    """Expected counts of point sources (row, column, counts) on the background, and photons."""
    expected_HW = EVEN.clone()
    for row, column, counts in sources:
        stamp_KK = Psf().kernel(0.0, PIXEL).float()
        half = len(stamp_KK) // 2
        padded_HW = torch.zeros(SIZE + 2 * half, SIZE + 2 * half)
        padded_HW[row : row + 2 * half + 1, column : column + 2 * half + 1] = counts * stamp_KK
        expected_HW += padded_HW[half : half + SIZE, half : half + SIZE]
    return expected_HW, torch.poisson(expected_HW, torch.Generator().manual_seed(seed))


def rate(sources):
    """An answer that shows the sources in one pixel each, ct/s."""
    rate_HW = torch.zeros(SIZE, SIZE)
    for row, column, counts in sources:
        rate_HW[row, column] = counts / 3e4
    return rate_HW


def test_empty_sky_needs_no_source():
    needed = sum(
        needs_source(seen(seed=i)[1], EVEN, EXPOSED, PIXEL).any().item() for i in range(20)
    )
    assert needed == 0


def test_the_threshold_is_five_sigma_in_the_disc():
    """One count below it needs no source; one above does."""
    assert NEEDED == 5.0
    area = 21  # pixels within 10 arcsec
    level = 1.0
    even_HW = torch.full((41, 41), level)
    counts = torch.arange(area, 200.0)
    enough = int(counts[deviance_root(counts, torch.tensor(area * level)) >= NEEDED][0])
    for more, expected in ((-1, False), (0, True)):
        counts_HW = even_HW.clone()
        counts_HW[20, 20] += enough + more - area
        needed_HW = needs_source(counts_HW, even_HW, torch.ones(41, 41), PIXEL)
        assert needed_HW[20, 20].item() is expected


def away(row, column):
    """Distance of every pixel, arcsec."""
    at = torch.arange(float(SIZE))
    return PIXEL * torch.hypot(at[:, None] - row, at - column)


def test_sources_are_needed_where_they_are_and_not_everywhere():
    needed_HW = needs_source(seen([(60, 60, 3000.0)])[1], EVEN, EXPOSED, PIXEL)
    assert needed_HW[58:63, 58:63].all()
    assert not needed_HW[away(60, 60) > 160].any()


def test_a_faint_glow_is_found_by_wide_discs_alone():
    """0.1 counts a pixel over 5 arcmin: 1 sigma within 10 arcsec, and 6 within 80."""
    expected_HW = EVEN + 0.1 * (away(60, 60) < 150)
    counts_HW = torch.poisson(expected_HW, torch.Generator().manual_seed(0))
    needed_HW = needs_source(counts_HW, EVEN, EXPOSED, PIXEL)
    assert needed_HW[60, 60]
    assert needed_HW[away(60, 60) < 60].float().mean() > 0.8
    assert max(RADII_ARCSEC) == 80


def test_pixels_without_exposure_need_nothing():
    exposure_HW = EXPOSED.clone()
    exposure_HW[:, :60] = 0
    counts_HW = seen([(60, 40, 3000.0)])[1]
    needed_HW = needs_source(counts_HW, EVEN, exposure_HW, PIXEL)
    assert not needed_HW[:, :60].any()


def test_without_a_background_each_photon_needs_a_source():
    counts_HW = torch.zeros(SIZE, SIZE)
    counts_HW[60, 60] = 1
    assert needs_source(counts_HW, 0 * EVEN, EXPOSED, PIXEL)[60, 60]


@pytest.mark.parametrize(
    ("faint", "significant"), [(0.0, False), (6.0, False), (300.0, True)], ids=str
)
def test_a_companion_is_judged_beside_the_wings_of_its_neighbour(faint, significant):
    """An answer shows both; the photons need the bright one, and the other if it is there."""
    bright, at = (60, 60, 3000.0), (60, 66)  # 24 arcsec apart
    shown = [bright, (*at, max(faint, 10.0))]
    counts_HW = seen([bright, (*at, faint)])[1]
    maps = counts_HW, seen(shown)[0], EVEN, EXPOSED
    places = torch.tensor([(60, 60), at])
    sigma_N = point_significance(places, rate(shown), *maps, PIXEL)
    assert sigma_N[0] > 20
    assert (sigma_N[1] > NEEDED).item() is significant
    alone_HW = needs_source(counts_HW, EVEN, EXPOSED, PIXEL)
    assert alone_HW[at]  # of the wings


def test_ripples_of_a_glow_are_no_point_sources():
    """8 % of 10,000 counts are 8 sigma, but no source; 32 % are one."""
    for contrast, significant in ((1.0, False), (4.0, True)):
        rate_HW = torch.where(away(60, 60) <= 10, 500 * (1 + 0.08 * contrast), 500.0) / 3e4
        counts_HW = (rate_HW * 3e4 + LEVEL).round()
        maps = rate_HW, counts_HW, counts_HW, EVEN, EXPOSED
        (sigma,) = point_significance(torch.tensor([(60, 60)]), *maps, PIXEL)
        assert (sigma > NEEDED).item() is significant
