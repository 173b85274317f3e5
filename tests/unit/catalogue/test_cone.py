"""Cone search equals brute force, everywhere on the sphere."""

import numpy as np
import pytest
from astropy.coordinates import angular_separation
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.catalogue import cone as cone_module
from wolter.catalogue.cone import cone, cones
from wolter.catalogue.sphere import separations, unit_vectors
from wolter.errors import InputError

ra_of = st.floats(0, 360) | st.sampled_from([0.0, 45.0, 90.0, 360.0, 5e-324, np.nextafter(360, 0)])
dec_of = st.floats(-90, 90) | st.sampled_from(
    [-90.0, 90.0, 0.0, np.degrees(np.arcsin(2 / 3)), 89.9999999]
)
radius_of = st.floats(0, 180) | st.floats(0, 20) | st.sampled_from([0.0, 1e-300, 1e-9, 90.0, 180.0])


@pytest.fixture(scope="module")
def sky(snapshot):
    rows = snapshot.query("SELECT ra, dec FROM source ORDER BY rowid")
    return rows["ra"].to_numpy(), rows["dec"].to_numpy()


def brute(sky, ra, dec):
    """Separations by another formula, deg."""
    return np.degrees(angular_separation(*np.radians([ra, dec]), *np.radians(sky)))


@settings(max_examples=1_000)
@given(ra=ra_of, dec=dec_of, radius=radius_of)
def test_a_cone_holds_what_brute_force_finds(snapshot, sky, ra, dec, radius):
    row_M, separation_M = snapshot.positions.within(ra, dec, radius)
    expected_N = brute(sky, ra, dec)
    inside = np.zeros(len(expected_N), bool)
    inside[row_M] = True
    assert len(row_M) == inside.sum()
    sure_N = np.abs(expected_N - radius) > 1e-12  # the two formulas differ in the last digit
    assert np.array_equal(inside[sure_N], (expected_N <= radius)[sure_N])
    np.testing.assert_allclose(separation_M, expected_N[row_M], rtol=0, atol=1e-12)


def test_many_cones_at_once_equal_brute_force(snapshot, sky):
    rng = np.random.default_rng(0)
    n = 2_000
    ra_P, dec_P = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    ra_P[:200], dec_P[200:300], dec_P[300:400] = 0.0, 90.0, -90.0
    ra_P[400:600], dec_P[400:600] = sky[0][:200], sky[1][:200]
    expected_PN = np.stack([brute(sky, ra, dec) for ra, dec in zip(ra_P, dec_P, strict=True)])
    for radius in (0.0, 1e-6, 0.3, 4.0, 17.0):
        position_M, row_M, separation_M = snapshot.positions.match(ra_P, dec_P, radius)
        assert (np.diff(position_M) >= 0).all()
        assert (separation_M <= radius).all()
        found_PN = np.zeros(expected_PN.shape, bool)
        found_PN[position_M, row_M] = True
        assert found_PN.sum() == len(row_M)
        assert np.array_equal(found_PN, expected_PN <= radius + 1e-12)
        assert found_PN.any()


def test_separations_are_exact_where_cosines_are_not():
    ra, dec = np.zeros(4), np.zeros(4)
    for other, angle in [(1e-10, 1e-10), (1e-3, 1e-3), (180 - 1e-9, 180 - 1e-9), (180, 180)]:
        found = separations(unit_vectors(ra, dec), unit_vectors(np.full(4, other), dec))
        np.testing.assert_allclose(found, angle, rtol=1e-15, atol=1e-14)


@settings(max_examples=100)
@given(ra=ra_of, dec=dec_of, radius=radius_of, limit=st.integers(1, 50))
def test_a_truncated_cone_holds_the_nearest_and_says_so(snapshot, ra, dec, radius, limit):
    columns = snapshot.source.columns[:3]
    whole = cone(snapshot, ra, dec, radius, columns, 10_000)
    part = cone(snapshot, ra, dec, radius, columns, limit)
    assert not whole.truncated
    assert part.truncated == (len(whole.rows) > limit)
    assert part.rows.equals(whole.rows.slice(0, limit))
    assert (np.diff(whole.rows["separation"].to_numpy()) >= 0).all()
    assert [c.name for c in part.columns] == part.rows.column_names


def test_a_limit_that_is_met_exactly_is_no_truncation(snapshot):
    columns = snapshot.source.columns[:1]
    n = len(cone(snapshot, 10, 10, 30, columns, 3_000).rows)
    assert not cone(snapshot, 10, 10, 30, columns, n).truncated
    assert cone(snapshot, 10, 10, 30, columns, n - 1).truncated


def test_positions_keep_their_names_and_order(snapshot, sky):
    at = [7, 2_000, 7]
    found = cones(
        snapshot, ["b", "a", "c"], sky[0][at], sky[1][at], 0.0, snapshot.source.columns[:1], 10
    )
    assert found.rows["position_id"].to_pylist() == ["b", "a", "c"]
    assert found.rows["source_id"].to_pylist() == [10**12 + i for i in at]
    assert found.rows["separation"].to_pylist() == [0.0] * 3
    empty = cones(snapshot, [], np.empty(0), np.empty(0), 1.0, snapshot.source.columns[:1], 10)
    assert len(empty.rows) == 0


def test_many_wide_cones_look_no_further_than_the_limit(snapshot, monkeypatch):
    looked = []
    expand = cone_module._expand
    monkeypatch.setattr(cone_module, "PIECE", 1)  # a position at a time
    monkeypatch.setattr(cone_module, "_expand", lambda *each: looked.append(1) or expand(*each))
    n, columns = 500, snapshot.source.columns[:1]
    names, ra, dec = [str(i) for i in range(n)], np.linspace(0, 359, n), np.zeros(n)
    whole = cones(snapshot, names, ra, dec, 17.0, columns, 100_000)
    assert len(looked) == n
    looked.clear()
    found = cones(snapshot, names, ra, dec, 17.0, columns, 100)
    assert 1 <= len(looked) < 20
    assert found.truncated
    assert found.rows.equals(whole.rows.slice(0, 100))
    exact = cones(snapshot, names, ra, dec, 17.0, columns, len(whole.rows))
    assert not exact.truncated
    assert exact.rows.equals(whole.rows)


@pytest.mark.parametrize(
    ("ra", "dec", "radius", "name"),
    [
        (np.nan, 0, 1, "ra"),
        (-1e-9, 0, 1, "ra"),
        (360.1, 0, 1, "ra"),
        (0, 90.0001, 1, "dec"),
        (0, np.nan, 1, "dec"),
        (0, np.inf, 1, "dec"),
        (0, 0, -1, "radius"),
        (0, 0, np.nan, "radius"),
        (0, 0, 180.1, "radius"),
    ],
)
def test_what_is_no_cone_is_refused(snapshot, ra, dec, radius, name):
    with pytest.raises(InputError, match=f"^{name}: .*degrees from"):
        cone(snapshot, ra, dec, radius, snapshot.source.columns, 10)
    with pytest.raises(InputError, match=f"^{name}: .*degrees from"):
        cones(snapshot, ["x"], np.array([ra]), np.array([dec]), radius, (), 10)
