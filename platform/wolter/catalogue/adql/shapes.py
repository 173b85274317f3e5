"""Shapes on the sky that queries name: points, circles and polygons, with ICRS degrees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from wolter.catalogue.adql.functions import fill
from wolter.catalogue.sphere import unit_vectors
from wolter.errors import InputError

MOST_CORNERS = 100
_FRAMES = ("", "ICRS", "FK5", "J2000", "UNKNOWNFRAME")  # that are ICRS to 0.1 arcsec
_DEGREES2 = (180 / np.pi) ** 2


@dataclass(frozen=True)
class Point:
    """A position; expressions of degrees."""

    lon: exp.Expr
    lat: exp.Expr


@dataclass(frozen=True)
class Circle:
    """All within an angular distance, degrees."""

    centre: Point
    radius: exp.Expr


@dataclass(frozen=True)
class Polygon:
    """Great circles between corners (K, 2), degrees; the smaller of the two sides is inside."""

    corners: NDArray[np.float64]

    @property
    def vectors_K3(self) -> NDArray[np.float64]:
        """Unit vectors of the corners."""
        return unit_vectors(*self.corners.T)

    @property
    def middle_3(self) -> NDArray[np.float64]:
        """Unit vector of the mean of the corners."""
        mean = self.vectors_K3.mean(0)
        return mean / np.linalg.norm(mean)  # type: ignore[no-any-return]

    @property
    def area(self) -> float:
        """Area, square degrees: the solid angles of triangles about the middle.

        See Van Oosterom and Strackee 1983, IEEE Transactions on Biomedical Engineering 30, 125.
        """
        a, b = self.vectors_K3, np.roll(self.vectors_K3, -1, 0)
        middle = self.middle_3
        triple = np.cross(a, b) @ middle
        solid = 2 * np.arctan2(triple, 1 + (a * b).sum(1) + a @ middle + b @ middle)
        return abs(float(solid.sum())) * _DEGREES2


Shape = Point | Circle | Polygon


def degrees(vector_3: NDArray[np.float64]) -> tuple[float, float]:
    """Longitude and latitude of a vector, degrees."""
    x, y, z = vector_3
    lon = float(np.degrees(np.arctan2(y, x)) % 360)
    return lon, float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def shape(node: exp.Expr) -> Shape:
    """Shape that a function, or ObsCore's column s_region, names.

    Raises:
        InputError: it names none, or one that is out of range.
    """
    if isinstance(node, exp.Paren):
        return shape(node.this)
    if isinstance(node, exp.Column) and node.name.lower() == "s_region":
        lon, lat, size = (_beside(node, name) for name in ("s_ra", "s_dec", "s_fov"))
        return Circle(Point(lon, lat), fill("0.5 * :size", size=size))
    if not isinstance(node, exp.Anonymous) or node.this.upper() not in SHAPES:
        raise InputError("geometry is given as POINT(...), CIRCLE(...), BOX(...) or POLYGON(...)")
    name, arguments = node.this.upper(), list(node.expressions)
    if arguments and isinstance(arguments[0], exp.Literal) and arguments[0].is_string:
        frame = arguments.pop(0).this.upper().split(" ")[0]
        if frame not in _FRAMES:
            raise InputError(f"coordinates are ICRS; {frame[:20]!r} is not offered")
    return SHAPES[name](name, arguments)


def number(node: exp.Expr) -> float | None:
    """Value of an expression of numbers alone; None for any other.

    Raises:
        InputError: it is too large for a number.
    """
    value = _number(node)
    if value is not None and not np.isfinite(value):
        raise InputError(f"{node.sql()[:40]} is too large for a number; geometry is in degrees")
    return value


def _number(node: exp.Expr) -> float | None:
    match node:
        case exp.Literal() if not node.is_string:
            return float(node.this)
        case exp.Paren():
            return _number(node.this)
        case exp.Neg():
            value = _number(node.this)
            return None if value is None else -value
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            left, right = _number(node.left), _number(node.right)
            if left is None or right is None or (isinstance(node, exp.Div) and right == 0):
                return None
            return _ARITHMETIC[type(node)](left, right)
    return None


_ARITHMETIC: Mapping[type[exp.Expr], Callable[[float, float], float]] = MappingProxyType(
    {
        exp.Add: lambda a, b: a + b,
        exp.Sub: lambda a, b: a - b,
        exp.Mul: lambda a, b: a * b,
        exp.Div: lambda a, b: a / b,
    }
)


def literal(value: float) -> exp.Expr:
    """A number as an expression; a negative one in parentheses, so that no sign meets another."""
    digits = repr(abs(float(value)))
    text = exp.Literal.number(digits if "e" in digits else f"{digits}e0")  # never a DECIMAL
    return exp.Paren(this=exp.Neg(this=text)) if value < 0 else text


def _beside(column: exp.Column, name: str) -> exp.Column:
    other = column.copy()
    other.set("this", exp.to_identifier(name))
    return other


def _point(name: str, arguments: Sequence[exp.Expr]) -> Point:
    if len(arguments) != 2:
        raise InputError(f"{name} needs a right ascension and a declination, in degrees")
    lat = number(arguments[1])
    if lat is not None and not -90 <= lat <= 90:
        raise InputError(f"declination {lat:g} is not between -90 and 90 deg")
    return Point(*arguments)


def _centred(name: str, arguments: Sequence[exp.Expr], more: int) -> Point:
    """The centre, given as a point or as two numbers, with `more` arguments after it."""
    if len(arguments) == more + 1:
        centre = shape(arguments[0])
        if isinstance(centre, Point):
            return centre
    if len(arguments) != more + 2:
        raise InputError(f"{name} needs a centre and {more} more arguments, in degrees")
    return _point(name, arguments[:2])


def _circle(name: str, arguments: Sequence[exp.Expr]) -> Circle:
    centre, radius = _centred(name, arguments, 1), arguments[-1]
    size = number(radius)
    if size is not None and not 0 <= size <= 180:
        raise InputError(f"radius {size:g} is not between 0 and 180 deg")
    return Circle(centre, radius)


def _box(name: str, arguments: Sequence[exp.Expr]) -> Polygon:
    """Great circles at right angles to the ends of a cross, as ADQL defines a box."""
    centre = _centred(name, arguments, 2)
    values = [number(each) for each in (centre.lon, centre.lat, *arguments[-2:])]
    if any(value is None for value in values):
        raise InputError("BOX takes numbers; compare ra and dec where it is to follow columns")
    lon, lat, width, height = (value for value in values if value is not None)
    if not (0 < width < 180 and 0 < height < 180):
        raise InputError("the sides of a BOX are more than 0 and less than 180 deg")
    middle = unit_vectors(np.array([lon]), np.array([lat]))[0]
    east, north = tangents(middle)
    across, up = np.tan(np.radians([width / 2, height / 2]))
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners = [middle + a * across * east + b * up * north for a, b in signs]
    return Polygon(np.array([degrees(each) for each in corners]))


def _polygon(name: str, arguments: Sequence[exp.Expr]) -> Polygon:
    values: list[float | None] = []
    for each in arguments:
        if isinstance(each, exp.Anonymous):
            corner = shape(each)
            if not isinstance(corner, Point):
                raise InputError("a corner of a POLYGON is a POINT or two numbers")
            values += [number(corner.lon), number(corner.lat)]
        else:
            values.append(number(each))
    if any(value is None for value in values):
        raise InputError(f"the corners of a {name} are numbers, in degrees")
    if len(values) % 2 or not 6 <= len(values) <= 2 * MOST_CORNERS:
        raise InputError(f"a POLYGON has 3 to {MOST_CORNERS} corners, two numbers each")
    found = Polygon(np.array(values, float).reshape(-1, 2))
    if np.any(np.abs(found.corners[:, 1]) > 90):
        raise InputError("a declination of the POLYGON is not between -90 and 90 deg")
    mean = found.vectors_K3.mean(0)
    if np.linalg.norm(mean) < 1e-9 or np.any(found.vectors_K3 @ mean <= 1e-9):
        raise InputError("a POLYGON must fit into half of the sky; split it")
    return found


def tangents(middle_3: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors to the east and to the north of a place."""
    x, y, _ = middle_3
    away = float(np.hypot(x, y))
    east = np.array([-y, x, 0]) / away if away > 0 else np.array([0.0, 1.0, 0.0])
    return east, np.cross(middle_3, east)


def _centroid(name: str, arguments: Sequence[exp.Expr]) -> Point:
    if len(arguments) != 1:
        raise InputError(f"{name} takes one shape")
    match shape(arguments[0]):
        case Point() as point:
            return point
        case Circle(centre, _):
            return centre
        case Polygon() as polygon:
            lon, lat = degrees(polygon.middle_3)
            return Point(literal(lon), literal(lat))


SHAPES: Mapping[str, Callable[[str, Sequence[exp.Expr]], Shape]] = MappingProxyType(
    {
        "POINT": _point,
        "CIRCLE": _circle,
        "BOX": _box,
        "POLYGON": _polygon,
        "CENTROID": _centroid,
    }
)
"""Functions whose values are shapes."""
