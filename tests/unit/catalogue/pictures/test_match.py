"""Which record of an observation shows a source."""

import numpy as np
import pyarrow as pa
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from wolter.answering.sky_picture import PLACES, plane_of
from wolter.catalogue.pictures.match import match
from wolter.xray.imaging.tangent_plane import TangentPlane

STEP = 4 / 3600


def place(ra, dec, observation="1", exposure_s=2e4, size=60):
    plane = TangentPlane((ra, dec), (size / 2, size / 2), (-STEP, 0.0, 0.0, STEP))
    return {
        "record": "a tile",
        "reason": "",
        "observation_id": observation,
        "instrument": "XMM/EPN/Thin1",
        "t_start": 58_000.0,
        "t_stop": 58_001.0,
        "exposure_s": exposure_s,
        "rows": size,
        "columns": size,
        **plane.numbers,
    }


def matched(places, ra, dec):
    table = pa.Table.from_pylist(places, PLACES)
    return match(table, np.atleast_1d(ra).astype(float), np.atleast_1d(dec).astype(float))


def test_of_several_tiles_the_nearest_and_the_longest_exposed_is_taken():
    near, far = place(10.0, 20.0), place(10.01, 20.0)
    found = matched([far, near], 10.001, 20.0)
    assert found.record_K.tolist() == [1]
    long = place(10.01, 20.0, exposure_s=5e4)
    assert matched([near, long], 10.001, 20.0).record_K.tolist() == [1]
    assert matched([near, place(10, 20, "2")], 10.001, 20.0).record_K.tolist() == [0, 1]


def test_of_tiles_as_near_the_first_is_taken_however_numbers_are_rounded():
    """Two tiles that overlap, and a source between them, moved by what rounding leaves."""
    plane = TangentPlane((10.0, 60.0), (30.0, 30.0), (-STEP, 0.0, 0.0, STEP))
    tiles = [place(10.0, 60.0) | plane.cut(0, column).numbers for column in (0, 40)]
    middle = WCS(fits.Header(plane.cards)).pixel_to_world(49.5, 29.5)
    for moved in np.linspace(-1e-9, 1e-9, 9):
        found = matched(tiles, middle.ra.deg + moved, middle.dec.deg)
        assert (found.record_K.tolist(), found.source_K.tolist()) == ([0], [0])
        assert abs(found.column_K[0] - 49.5) < 1e-5


def test_offsets_are_angles_from_the_middle():
    found = matched([place(10.0, 20.0, size=61)], 10.0, 20.01)
    middle = SkyCoord(10.0, 20.0, unit="deg").directional_offset_by(315 * 0, 0)
    expected = middle.separation(SkyCoord(10.0, 20.01, unit="deg")).arcmin
    assert abs(found.offset_K[0] - expected) < 0.05  # the plane touches half a pixel off


@given(
    st.lists(st.tuples(st.floats(0, 360), st.floats(-90, 90)), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_a_source_is_on_a_tile_exactly_where_astropy_says(tiles, seed):
    """Sources around the tiles' corners and anywhere; tiles of observations of their own."""
    rng = np.random.default_rng(seed)
    places = [place(ra, dec, str(i)) for i, (ra, dec) in enumerate(tiles)]
    headers = [fits.Header(plane_of(each).cards) for each in places]
    at = [WCS(h).pixel_to_world(*rng.choice([-0.7, -0.3, 30, 59.3, 59.7], (2, 6))) for h in headers]
    ra = np.concatenate([each.ra.deg for each in at] + [rng.uniform(0, 360, 5)])
    dec = np.concatenate([each.dec.deg for each in at] + [rng.uniform(-90, 90, 5)])
    found = matched(places, ra, dec)
    expected = set()
    sky = SkyCoord(ra, dec, unit="deg")
    for i, header in enumerate(headers):
        near = sky.separation(SkyCoord(*tiles[i], unit="deg")).deg < 1
        x, y = WCS(header).world_to_pixel(sky)
        on = near & (x >= -0.5) & (x < 59.5) & (y >= -0.5) & (y < 59.5)
        expected |= {(int(source), i) for source in np.flatnonzero(on)}
    pairs = zip(found.source_K.tolist(), found.record_K.tolist(), strict=True)
    assert set(pairs) == expected
