import numpy as np
import pytest
import torch
from astropy.wcs import WCS
from tests import event_lists

from wolter.errors import InputError
from wolter.xray.imaging.binning import grid_of, picture_of
from wolter.xray.imaging.counts_image import read_counts_image
from wolter.xray.imaging.events import read_events
from wolter.xray.instruments import epic_pn_camera as camera


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    path = tmp_path_factory.mktemp("events") / "pn.fits"
    event_lists.epic_pn(path, 20_000)
    return read_events(path)


def test_detector_images_are_as_the_pipeline_makes_them(events):
    grid = grid_of(events)
    picture = picture_of(events, grid)
    assert picture.counts_HW.shape == camera.NATIVE
    keys = ("CTYPE1", "CRPIX1", "CRVAL1", "CDELT1", "CTYPE2", "CRVAL2", "CDELT2")
    values = ("DETX", 1, -18243.5, 80, "DETY", -17487.5, 80)
    assert tuple(picture.header[key] for key in keys) == values
    assert float(picture.counts_HW.sum()) == len(events)
    assert picture.remarks == ()
    column, row = np.floor((events.detector_N2[7] - [-18243.5, -17487.5]) / 80 + 0.5).astype(int)
    assert picture.counts_HW[row, column] > 0


def test_the_exposure_is_the_one_that_a_reader_of_the_image_finds(events, tmp_path):
    from astropy.io import fits

    picture = picture_of(events, grid_of(events))
    file = tmp_path / "image.fits"
    fits.writeto(file, picture.counts_HW.numpy().astype(np.int32), picture.header)
    again = read_counts_image(file)
    assert again.exposure_s == pytest.approx(27_000)
    assert torch.allclose(again.exposure_HW, picture.exposure_HW, rtol=2e-3)
    assert torch.equal(again.counts_HW, picture.counts_HW)
    assert picture.axis_yx == pytest.approx(again.axis_yx)


@pytest.mark.parametrize("coordinates", ["detector", "sky"])
@pytest.mark.parametrize("pixel", [2.0, 4.0, 5.3])
def test_slices_add_up_to_the_whole(events, coordinates, pixel):
    grid = grid_of(events, coordinates, pixel)
    whole = picture_of(events, grid)
    first, second, third = (picture_of(each, grid) for each in events.slices(9000.0))
    for name in ("counts_HW", "exposure_HW"):
        total_HW = getattr(first, name) + getattr(second, name) + getattr(third, name)
        # The map of the sky comes from each list's own photons, and may turn by a pixel at edges.
        off_HW = (total_HW - getattr(whole, name)).abs() > 0.01
        assert float(off_HW.float().mean()) < (0 if coordinates == "detector" else 0.02) + 1e-9
    assert first.exposure_s + second.exposure_s + third.exposure_s == pytest.approx(27_000)


def test_finer_pixels_add_up_to_coarse_ones(events):
    grid = grid_of(events)
    fine_HW = picture_of(events, grid.finer(2)).counts_HW
    summed_HW = torch.nn.functional.avg_pool2d(fine_HW[None], 2)[0] * 4
    assert torch.equal(summed_HW, picture_of(events, grid).counts_HW)


@pytest.mark.parametrize("pixel", [1.0, 4.0, 6.5])
def test_a_photon_of_known_position_lands_in_its_pixel(events, pixel):
    grid = grid_of(events, "sky", pixel)
    picture = picture_of(events, grid)
    wcs = WCS(picture.header)
    # By the definition of the columns: steps on the tangent plane from the reference.
    list_wcs = WCS(naxis=2)
    list_wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    list_wcs.wcs.crpix, list_wcs.wcs.crval = event_lists.REFERENCE, event_lists.POINTING
    list_wcs.wcs.cdelt = [-event_lists.STEP, event_lists.STEP]
    sky_N2 = list_wcs.wcs_pix2world(events.sky_N2, 1)
    pixel_N2 = wcs.wcs_world2pix(sky_N2, 0)
    column_N, row_N = np.floor(pixel_N2 + 0.5 + 1e-6).astype(int).T
    expected = np.zeros(grid.shape, np.float32)
    np.add.at(expected, (row_N, column_N), 1)
    off = np.abs(expected - grid.count(events.sky_N2).numpy()).sum()
    assert off <= 2 * 0.001 * len(events)  # photons on an edge, but for rounding
    assert picture.pixel_arcsec == pixel


def test_the_sky_exposure_is_the_detectors_turned(events):
    sky = picture_of(events, grid_of(events, "sky"))
    own = picture_of(events, grid_of(events))
    assert sky.remarks == ()
    assert float(sky.exposure_HW.sum() / own.exposure_HW.sum()) == pytest.approx(1, abs=0.01)
    assert float(sky.counts_HW.sum()) > 0.97 * len(events)  # but for pixels across an edge
    row, column = np.unravel_index(int(sky.exposure_HW.argmax()), sky.exposure_HW.shape)
    ra, dec = WCS(sky.header).wcs_pix2world([[column, row]], 0)[0]
    away = np.hypot((ra - event_lists.POINTING[0]) * np.cos(np.radians(dec)), dec - 22.014) * 3600
    assert away < 30
    # The axis looks where the list's reference position is.
    column, row = WCS(sky.header).wcs_world2pix([event_lists.POINTING], 0)[0]
    assert sky.axis_yx == pytest.approx((row + 0.5, column + 0.5), abs=0.05)


def test_a_chandra_source_is_where_its_coordinates_say(tmp_path):
    from astropy.coordinates import SkyCoord
    from astropy.wcs.utils import skycoord_to_pixel

    ra, dec = event_lists.POINTING
    target = SkyCoord(ra, dec, unit="deg").directional_offset_by(30 * _deg(), 0.05 * _deg())
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval = [4096.5, 4096.5], [ra, dec]
    wcs.wcs.cdelt = [-0.492 / 3600, 0.492 / 3600]
    x, y = skycoord_to_pixel(target, wcs, origin=1)
    rng = np.random.default_rng(0)
    columns = {
        "time": rng.uniform(0, 1000, 40),
        "x": np.append(np.full(30, x), rng.uniform(3000, 5000, 10)),
        "y": np.append(np.full(30, y), rng.uniform(3000, 5000, 10)),
        "energy": np.full(40, 1000.0),
        "grade": np.zeros(40, np.int16),
        "status": np.zeros((40, 32), bool),
    }
    event_lists.chandra(tmp_path / "acis.fits", columns, {7: [(0.0, 1000.0)]})
    events = read_events(tmp_path / "acis.fits")
    picture = picture_of(events, grid_of(events, "sky", 2.0))
    column, row = skycoord_to_pixel(target, WCS(picture.header), origin=0)
    assert picture.counts_HW[round(float(row)), round(float(column))] >= 30
    assert "evenly exposed" in picture.remarks[0]
    assert picture.axis_yx is None
    with pytest.raises(InputError, match="use --coordinates sky"):
        grid_of(events)


def _deg():
    from astropy import units

    return units.deg


def test_maps_spread_the_exposure(events):
    grid = grid_of(events)
    spread_HW = torch.full(grid.shape, 0.5)
    mask_HW = torch.ones(grid.shape, dtype=torch.bool)
    spread_HW[200, 200] = 1.0
    mask_HW[:100] = False
    picture = picture_of(events, grid, spread_HW, mask_HW)
    assert float(picture.exposure_HW[200, 200]) == pytest.approx(27_000)
    assert float(picture.exposure_HW[300, 300]) == pytest.approx(13_500)
    assert not picture.counts_HW[:100].any()
    with pytest.raises(InputError, match="411 x 403 pixels, and a map of 9 x 9"):
        picture_of(events, grid, torch.ones(9, 9))
