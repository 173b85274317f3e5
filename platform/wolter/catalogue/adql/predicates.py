"""Whether shapes on the sky contain or meet each other, as expressions of DuckDB."""

import numpy as np
from sqlglot import exp

from wolter.catalogue.adql.functions import fill
from wolter.catalogue.adql.shapes import (
    Circle,
    Point,
    Polygon,
    Shape,
    literal,
    number,
    tangents,
)
from wolter.catalogue.sphere import unit_vectors
from wolter.errors import InputError

_MARGIN = 1e-9  # degrees, of bounds that are implied by an exact condition
_HAVERSINE = (
    "pow(sin(radians(:lat2 - :lat1) / 2), 2)"
    " + cos(radians(:lat1)) * cos(radians(:lat2)) * pow(sin(radians(:lon2 - :lon1) / 2), 2)"
)
_X = "cos(radians(:lat)) * cos(radians(:lon))"
_Y = "cos(radians(:lat)) * sin(radians(:lon))"
_Z = "sin(radians(:lat))"


def distance(one: Point, other: Point) -> exp.Expr:
    """Angular distance, degrees, by the haversine formula: exact for small ones."""
    return fill("degrees(2 * asin(sqrt(least(1, :h))))", h=_haversine(one, other))


def near(one: Point, other: Point, radius: exp.Expr) -> exp.Expr:
    """Whether two points are within an angular distance of each other, degrees.

    A range of declinations comes first, by which DuckDB joins tables in little time.
    """
    size = number(radius)
    if size is None:
        bound = fill("pow(sin(radians(least(:r, 180)) / 2), 2)", r=radius)
        exact = fill("(:r >= 0 AND :h <= :b)", r=radius, h=_haversine(one, other), b=bound)
    else:
        bound = literal(np.sin(np.radians(min(size, 180.0)) / 2) ** 2)
        exact = fill("(:h <= :b)", h=_haversine(one, other), b=bound)
    return fill("(:band AND :exact)", band=band(one, other, radius), exact=exact)


def band(one: Point, other: Point, radius: exp.Expr) -> exp.Expr:
    """Whether two declinations are within a distance: implied by that of the points."""
    low = fill(f"(:lat - :r - {_MARGIN})", lat=other.lat, r=radius)
    high = fill(f"(:lat + :r + {_MARGIN})", lat=other.lat, r=radius)
    return fill("(:lat >= :low AND :lat <= :high)", lat=one.lat, low=low, high=high)


def contains(inner: Shape, outer: Shape) -> exp.Expr:
    """Whether a shape lies in another one.

    Raises:
        InputError: not offered for these shapes.
    """
    match inner, outer:
        case Point(), Circle():
            return near(inner, outer.centre, outer.radius)
        case Point(), Polygon():
            return _inside(inner, outer)
        case Circle(), Circle():
            apart = fill("(:b - :a)", a=inner.radius, b=outer.radius)
            return near(inner.centre, outer.centre, apart)
        case Polygon(), Circle():
            return _all(near(_at(each), outer.centre, outer.radius) for each in inner.corners)
        case Circle(), Polygon():
            within = _inside(inner.centre, outer)
            meets = _meets_edges(inner, outer)
            return fill("(:within AND NOT :meets)", within=within, meets=meets)
        case Polygon(), Polygon():
            here = _all(_inside(_at(each), outer) for each in inner.corners)
            return fill(
                "(:here AND NOT :crossing)", here=here, crossing=_boolean(_cross(inner, outer))
            )
    raise InputError("a POINT contains nothing; CONTAINS(inner, outer) has the larger one last")


def intersects(one: Shape, other: Shape) -> exp.Expr:
    """Whether two shapes have a point in common."""
    match one, other:
        case Point(), Point():
            return near(one, other, literal(0))
        case Point(), _:
            return contains(one, other)
        case _, Point():
            return contains(other, one)
        case Circle(), Circle():
            return near(one.centre, other.centre, fill("(:a + :b)", a=one.radius, b=other.radius))
        case Circle(), Polygon():
            within, meets = _inside(one.centre, other), _meets_edges(one, other)
            return fill("(:within OR :meets)", within=within, meets=meets)
        case Polygon(), Circle():
            return intersects(other, one)
        case Polygon(), Polygon():
            parts = [_inside(_at(one.corners[0]), other), _inside(_at(other.corners[0]), one)]
            a, b = parts
            return fill("(:a OR :b OR :c)", a=a, b=b, c=_boolean(_cross(one, other)))
    raise AssertionError(one, other)


def _haversine(one: Point, other: Point) -> exp.Expr:
    return fill(_HAVERSINE, lon1=one.lon, lat1=one.lat, lon2=other.lon, lat2=other.lat)


def _at(corner: np.ndarray) -> Point:
    return Point(literal(corner[0]), literal(corner[1]))


def _all(parts) -> exp.Expr:  # type: ignore[no-untyped-def]
    return exp.Paren(this=exp.and_(*parts))


def _boolean(value: bool) -> exp.Expr:
    return exp.Boolean(this=value)


def _dot(point: Point, vector_3: np.ndarray) -> exp.Expr:
    """Scalar product of a point's unit vector with a vector."""
    names = dict(zip("abc", map(literal, vector_3), strict=True))
    return fill(f"(({_X}) * :a + ({_Y}) * :b + ({_Z}) * :c)", lon=point.lon, lat=point.lat, **names)


def _plane(outer: Polygon) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Middle, east and north of a polygon, and its corners in the gnomonic plane (K, 2).

    Great circles are straight there.
    """
    middle = outer.middle_3
    east, north = tangents(middle)
    v = outer.vectors_K3
    return middle, east, north, np.stack([v @ east, v @ north], -1) / (v @ middle)[:, None]


def _inside(point: Point, outer: Polygon) -> exp.Expr:
    """Whether a point is in a polygon: crossings of a ray with its edges, in the plane."""
    middle, east, north, corners_K2 = _plane(outer)
    front = _dot(point, middle)
    u = fill("(:e / :f)", e=_dot(point, east), f=front)
    v = fill("(:n / :f)", n=_dot(point, north), f=front)
    crossings: exp.Expr | None = None
    for (u1, v1), (u2, v2) in zip(corners_K2, np.roll(corners_K2, -1, 0), strict=True):
        if v1 == v2:
            continue
        low, high = sorted((v1, v2))
        slope = (u2 - u1) / (v2 - v1)
        form = "CAST((:v >= :low AND :v < :high AND :u < :u1 + :slope * (:v - :v1)) AS INTEGER)"
        numbers = {"low": low, "high": high, "u1": u1, "v1": v1, "slope": slope}
        term = fill(form, u=u, v=v, **{name: literal(value) for name, value in numbers.items()})
        crossings = term if crossings is None else exp.Add(this=crossings, expression=term)
    assert crossings is not None
    return fill("(:f > 0 AND :n % 2 = 1)", f=front, n=crossings)


def _meets_edges(circle: Circle, polygon: Polygon) -> exp.Expr:
    """Whether an edge of a polygon is within a circle's radius (at most 90 deg) of its centre."""
    vectors = polygon.vectors_K3
    radius, edges = circle.radius, []
    for a, b in zip(vectors, np.roll(vectors, -1, 0), strict=True):
        normal = np.cross(a, b)
        length = np.linalg.norm(normal)
        if length == 0:
            continue
        normal = normal / length
        form = "(:beside1 >= 0 AND :beside2 >= 0 AND abs(:off) <= sin(radians(least(:r, 90))))"
        edge = fill(
            form,
            beside1=_dot(circle.centre, np.cross(normal, a)),
            beside2=_dot(circle.centre, np.cross(b, normal)),
            off=_dot(circle.centre, normal),
            r=radius,
        )
        edges.append(edge)
    corners = [near(_at(each), circle.centre, radius) for each in polygon.corners]
    return exp.Paren(this=exp.or_(*edges, *corners))


def _cross(one: Polygon, other: Polygon) -> bool:
    """Whether edges of two polygons cross."""
    for a, b in _edges(one):
        for c, d in _edges(other):
            n, m = np.cross(a, b), np.cross(c, d)
            line = np.cross(n, m)
            for place in (line, -line):
                ends = ((np.cross(n, a), -np.cross(n, b)), (np.cross(m, c), -np.cross(m, d)))
                if all(place @ start > 0 and place @ end > 0 for start, end in ends):
                    return True
    return False


def _edges(polygon: Polygon) -> list[tuple[np.ndarray, np.ndarray]]:
    v = unit_vectors(*polygon.corners.T)
    return list(zip(v, np.roll(v, -1, 0), strict=True))
