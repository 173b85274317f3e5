"""Geometry of ADQL against brute force."""

import numpy as np
import pytest

from wolter.catalogue.adql.ranges import cone
from wolter.catalogue.adql.shapes import Polygon
from wolter.errors import InputError

CONES = [(10, -5, 8), (0, 0, 5), (359.99, 20, 10), (120, 90, 8), (7, -89.5, 4), (50, 10, 100)]


def vectors(lon, lat):
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)


def separations(positions, lon, lat):
    return np.degrees(np.arccos(np.clip(vectors(*positions[:, 1:].T) @ vectors(lon, lat), -1, 1)))


def identifiers(rows):
    return sorted(row[0] for row in rows)


CONDITIONS = [
    "1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', {0}, {1}, {2}))",
    "CONTAINS(POINT({0}, {1}), CIRCLE(POINT(s.ra, s.dec), {2})) = 1",
    "INTERSECTS(POINT(ra, dec), CIRCLE({0}, {1}, {2})) <> 0",
    "DISTANCE(POINT(ra, dec), POINT({0}, {1})) <= {2}",
    "{2} > DISTANCE(ra, dec, {0}, {1})",
    "NOT 0 = CONTAINS(POINT(ra, dec), CIRCLE({0}, {1}, {2}))",
]


@pytest.mark.parametrize(
    ("lon", "lat", "radius", "condition"),
    [(*CONES[0], condition) for condition in CONDITIONS]
    + [(*cone, CONDITIONS[0]) for cone in CONES[1:]],
)
def test_cone(ask, positions, lon, lat, radius, condition):
    found = ask(f"SELECT source_id FROM source AS s WHERE {condition.format(lon, lat, radius)}")
    inside = separations(positions, lon, lat) <= radius
    assert identifiers(found) == sorted(positions[inside, 0])
    assert inside.any()


@pytest.mark.parametrize("sign", ["<", ">", "<=", ">="])
def test_two_distances_are_compared(ask, positions, sign):
    query = f"DISTANCE(ra, dec, 10, -5) {sign} DISTANCE(POINT(ra, dec), POINT(60, 40))"
    found = ask(f"SELECT source_id FROM source WHERE {query}")
    here, there = separations(positions, 10, -5), separations(positions, 60, 40)
    inside = here < there if sign.startswith("<") else here > there
    assert identifiers(found) == sorted(positions[inside, 0])


def test_a_distance_is_compared_with_a_column_in_another_unit(ask):
    near = "IN_UNIT(pos_err, 'deg') >= DISTANCE(ra, dec, ra, dec + 0.9 / 3600)"
    assert ask(f"SELECT COUNT(*) FROM source WHERE {near}") == ask("SELECT COUNT(*) FROM source")


def test_outside_is_the_complement(ask, positions):
    here, away = (
        ask(f"SELECT COUNT(*) FROM source WHERE CONTAINS(POINT(ra, dec), CIRCLE(9, 9, 30)) = {k}")
        for k in (1, 0)
    )
    assert here[0][0] + away[0][0] == len(positions)


def test_box_is_between_great_circles_at_right_angles_to_its_cross(ask, positions):
    lon, lat, width, height = 200, 60, 40, 20
    found = ask(
        "SELECT source_id FROM source WHERE"
        f" 1 = CONTAINS(POINT(ra, dec), BOX({lon}, {lat}, {width}, {height}))"
    )
    xyz = vectors(*positions[:, 1:].T)
    middle = vectors(lon, lat)
    east = np.array([-np.sin(np.radians(lon)), np.cos(np.radians(lon)), 0])
    x, y, z = xyz @ middle, xyz @ east, xyz @ np.cross(middle, east)
    within = np.abs(y) <= x * np.tan(np.radians(width / 2))
    within &= np.abs(z) <= x * np.tan(np.radians(height / 2))
    assert identifiers(found) == sorted(positions[within, 0])
    assert within.any()


@pytest.mark.parametrize("lon", [90, 0])
def test_triangle_in_both_directions(ask, positions, lon):
    corners = np.array([[lon - 20, -10], [lon + 30, 0], [lon, 40]])
    v = vectors(*corners.T)
    xyz = vectors(*positions[:, 1:].T)
    sides = np.stack([xyz @ np.cross(a, b) for a, b in zip(v, np.roll(v, -1, 0), strict=True)])
    within = (sides > 0).all(0)
    for order in (corners, corners[::-1]):
        numbers = ", ".join(map(str, order.ravel()))
        found = ask(
            f"SELECT source_id FROM source WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON({numbers}))"
        )
        assert identifiers(found) == sorted(positions[within, 0])
    assert within.any()


def test_a_notch_is_outside(ask):
    corners = "0, 0, 10, 0, 10, 10, 5, 2, 0, 10"
    query = "SELECT DISTINCT CONTAINS(POINT({}), POLYGON(" + corners + ")) FROM source"
    assert ask(query.format("5, 1")) == [(1,)]
    assert ask(query.format("5, 5")) == [(0,)]


@pytest.mark.parametrize(
    ("one", "other", "contains", "intersects"),
    [
        ("CIRCLE(10, 10, 1)", "CIRCLE(10, 10, 2)", 1, 1),
        ("CIRCLE(10, 10, 2)", "CIRCLE(10, 11, 2)", 0, 1),
        ("CIRCLE(10, 10, 1)", "CIRCLE(10, 13, 1)", 0, 0),
        ("CIRCLE(10, 10, 1)", "BOX(10, 10, 4, 4)", 1, 1),
        ("CIRCLE(10, 10, 3)", "BOX(10, 10, 4, 4)", 0, 1),
        ("CIRCLE(10, 15, 2.9)", "BOX(10, 10, 4, 4)", 0, 0),
        ("CIRCLE(10, 15, 3.1)", "BOX(10, 10, 4, 4)", 0, 1),
        ("BOX(10, 10, 1, 1)", "CIRCLE(10, 10, 1)", 1, 1),
        ("BOX(10, 10, 1, 1)", "BOX(10, 10, 2, 2)", 1, 1),
        ("BOX(10, 10, 2, 2)", "BOX(11, 11, 2, 2)", 0, 1),
        ("BOX(10, 10, 8, 1)", "BOX(10, 10, 1, 8)", 0, 1),
        ("BOX(10, 10, 1, 1)", "BOX(20, 10, 1, 1)", 0, 0),
        ("POINT(10, 10)", "POINT(10, 10)", None, 1),
    ],
)
def test_shapes(ask, one, other, contains, intersects):
    if contains is not None:
        assert ask(f"SELECT TOP 1 CONTAINS({one}, {other}) FROM source") == [(contains,)]
    for a, b in ((one, other), (other, one)):
        assert ask(f"SELECT TOP 1 INTERSECTS({a}, {b}) FROM source") == [(intersects,)]


def test_values(ask):
    row = ask(
        "SELECT TOP 1 AREA(CIRCLE(1, 2, 90)), AREA(BOX(0, 0, 1, 1)), COORD1(POINT(3, -4)),"
        " COORD2(CENTROID(CIRCLE(3, -4, 1))), COORDSYS(POINT(1, 2)), POINT(3, -4),"
        " CIRCLE(3, -4, 1) FROM source"
    )[0]
    assert row[0] == pytest.approx(2 * np.pi * (180 / np.pi) ** 2)
    assert row[1] == pytest.approx(1, rel=1e-4)
    assert row[2:] == (3, -4, "ICRS", [3, -4], [3, -4, 1])


def test_an_octant_has_an_eighth_of_the_sky():
    assert Polygon(np.array([[0.0, 0], [90, 0], [0, 90]])).area == pytest.approx(41252.96 / 8)


def test_s_region_is_a_circle(ask):
    found = ask(
        "SELECT COUNT(*) FROM ivoa.obscore WHERE 1 = CONTAINS(POINT(s_ra, s_dec), s_region)"
    )
    assert found == ask("SELECT COUNT(*) FROM detection")


def test_observations_are_named_below_the_publishers_authority(ask):
    ((found, detection),) = ask(
        "SELECT TOP 1 o.obs_publisher_did, d.detection_id FROM ivoa.obscore AS o"
        " JOIN detection AS d ON o.s_ra = d.ra AND o.s_dec = d.dec"
    )
    assert found == f"ivo://example.org/wolter?{detection}"


def test_positions_are_joined(ask, positions):
    found = ask(
        "SELECT a.source_id, b.source_id FROM source AS a JOIN source AS b"
        " ON 1 = CONTAINS(POINT(a.ra, a.dec), CIRCLE(b.ra, b.dec, 1)) AND a.source_id < b.source_id"
    )
    xyz = vectors(*positions[:, 1:].T)
    pairs = np.argwhere(np.triu(np.degrees(np.arccos(np.clip(xyz @ xyz.T, -1, 1))) <= 1, 1))
    expected = {tuple(sorted(positions[pair, 0])) for pair in pairs}
    assert set(found) == expected


def test_few_ranges_cover_a_cone():
    for lon, lat, radius in ((10, 10, 0.01), (10, 10, 1), (0, 90, 10)):
        ranges_R2 = cone(lon, lat, radius)
        assert 1 <= len(ranges_R2) < 40
        assert (ranges_R2[1:, 0] > ranges_R2[:-1, 1] + 1).all()


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ("CIRCLE(10, 91, 1)", "declination"),
        ("CIRCLE(10, 10, -1)", "radius"),
        ("CIRCLE(1e999, 10, 1)", "too large"),
        ("CIRCLE(1e200 * 1e200, 10, 1)", "too large"),
        ("POLYGON(1e999, 0, 1, 1, 2, 0)", "too large"),
        ("CIRCLE('GALACTIC', 10, 10, 1)", "ICRS"),
        ("POLYGON(1, 2, 3, 4)", "3 to 100 corners"),
        ("POLYGON(1, 2, 3, 4, 5)", "3 to 100 corners"),
        ("POLYGON(0, 0, 120, 0, 240, 0)", "half of the sky"),
        ("POLYGON(0, 0, ra, 0, 240, 0)", "numbers"),
        ("BOX(1, 2, 200, 3)", "180 deg"),
        ("ra", "geometry is given as"),
    ],
)
def test_shapes_out_of_range(ask, shape, why):
    with pytest.raises(InputError, match=why):
        ask(f"SELECT ra FROM source WHERE 1 = CONTAINS(POINT(ra, dec), {shape})")
