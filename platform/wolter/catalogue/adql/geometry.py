"""Rewrite the functions of geometry in a query."""

from sqlglot import exp

from wolter.catalogue.adql import ranges
from wolter.catalogue.adql.functions import fill
from wolter.catalogue.adql.joins import leaves
from wolter.catalogue.adql.names import Named
from wolter.catalogue.adql.predicates import band, contains, distance, intersects
from wolter.catalogue.adql.shapes import (
    SHAPES,
    Circle,
    Point,
    Polygon,
    Shape,
    literal,
    number,
    shape,
)
from wolter.catalogue.adql.units import in_unit
from wolter.catalogue.tables import HEALPIX
from wolter.errors import InputError

_PREDICATES = ("CONTAINS", "INTERSECTS")
_VALUES = ("DISTANCE", "AREA", "COORD1", "COORD2", "COORDSYS", "IN_UNIT")
NAMES = frozenset({*SHAPES, *_PREDICATES, *_VALUES})
"""Functions that are rewritten here."""

_TURNED = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE}


def rewrite(query: exp.Expr, used: dict[int, Named]) -> None:
    """Replace every function of geometry of a query in place.

    Args:
        query: its tree.
        used: tables by the identity of their nodes.

    Raises:
        InputError: a shape is out of range, or stands where none can.
    """
    apart: list[tuple[exp.Expr, Point, Point]] = []
    for node in reversed(list(query.find_all(exp.Anonymous))):
        name = node.this.upper()
        if name in _PREDICATES:
            _predicate(node, name, used)
        elif name == "DISTANCE":
            one, other = _two_points(node.expressions)
            apart.append((distance(one, other), one, other))
            node.replace(apart[-1][0])
        elif name == "IN_UNIT":
            node.replace(in_unit(node.expressions, used))
        elif name in _VALUES:
            node.replace(_value(name, node.expressions))
    for each in apart:  # now that what they are compared with is rewritten
        _compared(*each, used)
    for node in list(query.find_all(exp.Anonymous)):
        if node.this.upper() in SHAPES and node.root() is query:  # not within another one
            _selected(node)


def _predicate(node: exp.Anonymous, name: str, used: dict[int, Named]) -> None:
    if len(node.expressions) != 2:
        raise InputError(f"{name} takes two shapes")
    one, other = map(shape, node.expressions)
    exact = contains(one, other) if name == "CONTAINS" else intersects(one, other)
    cells = _cells(one, other, node, used)
    whole = exact if cells is None else fill("(:cells AND :exact)", cells=cells, exact=exact)
    parent = node.parent
    if isinstance(parent, exp.EQ | exp.NEQ):
        compared = number(parent.right if parent.left is node else parent.left)
        if compared in (0, 1):
            wanted = (compared == 1) == isinstance(parent, exp.EQ)
            parent.replace(whole if wanted else exp.Not(this=exp.Paren(this=exact)))
            return
    node.replace(fill("CAST(:whole AS INTEGER)", whole=exact))


def _compared(exact: exp.Expr, one: Point, other: Point, used: dict[int, Named]) -> None:
    """Where a distance must be below another value, look at what may be so near alone."""
    parent = exact.parent
    if not isinstance(parent, exp.LT | exp.LTE | exp.GT | exp.GTE):
        return
    first = parent.left is exact
    kind = type(parent) if first else _TURNED[type(parent)]
    if kind not in (exp.LT, exp.LTE):
        return
    radius = parent.right if first else parent.left
    quick = [band(one, other, radius), _cells(one, Circle(other, radius), parent, used)]
    implied = exp.and_(*(each for each in quick if each is not None))
    parent.replace(fill("(:implied AND :whole)", implied=implied, whole=parent.copy()))


def _two_points(arguments: list[exp.Expr]) -> tuple[Point, Point]:
    if len(arguments) == 4:
        return Point(*arguments[:2]), Point(*arguments[2:])
    shapes = [shape(each) for each in arguments]
    match shapes:
        case [Point() as one, Point() as other]:
            return one, other
    raise InputError("DISTANCE takes two points, or four numbers")


def _value(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    if len(arguments) != 1:
        raise InputError(f"{name} takes one shape")
    match name, shape(arguments[0]):
        case "COORDSYS", _:
            return exp.Literal.string("ICRS")
        case "COORD1", Point(lon, _):
            return exp.Paren(this=lon.copy())
        case "COORD2", Point(_, lat):
            return exp.Paren(this=lat.copy())
        case "AREA", Point():
            return literal(0)
        case "AREA", Circle(_, radius):
            form = "(4 * pi() * pow(sin(radians(:r) / 2), 2) * pow(180 / pi(), 2))"
            return fill(form, r=radius)
        case "AREA", Polygon() as polygon:
            return literal(polygon.area)
    raise InputError(f"{name} takes a POINT")


def _cells(one: Shape, other: Shape, node: exp.Expr, used: dict[int, Named]) -> exp.Expr | None:
    """Cells in which a point of a table in their order must be to lie in a shape of numbers."""
    match one, other:
        case (Point() as point, Circle(centre, radius)) | (
            Circle(centre, radius),
            Point() as point,
        ):
            for place, target in ((point, centre), (centre, point)):
                column = _cell_column(place, node, used)
                values = [number(each) for each in (target.lon, target.lat, radius)]
                if column is not None and all(value is not None for value in values):
                    lon, lat, size = (value for value in values if value is not None)
                    if not -90 <= lat <= 90 or size < 0:
                        return None
                    return ranges.within(column, ranges.cone(lon, lat, size))
        case (Point() as point, Polygon() as polygon) | (Polygon() as polygon, Point() as point):
            column = _cell_column(point, node, used)
            if column is not None:
                return ranges.within(column, ranges.polygon(polygon))
    return None


def _cell_column(point: Point, node: exp.Expr, used: dict[int, Named]) -> exp.Column | None:
    """The column of cells that belongs to a point, if it is the position of a row."""
    lon, lat = point.lon, point.lat
    if not (isinstance(lon, exp.Column) and isinstance(lat, exp.Column)):
        return None
    select = node.find_ancestor(exp.Select)
    if (lon.name.lower(), lat.name.lower(), lon.table) != ("ra", "dec", lat.table) or not select:
        return None
    found = []
    for source in leaves(select):
        columns = {c.name for c in used[id(source)].table.columns} if id(source) in used else set()
        if lon.table:
            if source.alias.lower() == lon.table.lower():
                found.append((source, columns))
        elif "ra" in columns or id(source) not in used:
            found.append((source, columns))
    if len(found) != 1 or HEALPIX not in found[0][1]:
        return None
    return exp.column(HEALPIX, table=found[0][0].alias)


def _selected(node: exp.Anonymous) -> None:
    """A shape that is a column of the answer becomes an array of numbers."""
    holder = node.parent if isinstance(node.parent, exp.Alias) else node
    select = holder.parent
    if not isinstance(select, exp.Select) or not any(e is holder for e in select.expressions):
        raise InputError(f"{node.this.upper()} stands where no shape can; compare with CONTAINS")
    array = exp.Array(expressions=_numbers(shape(node)))
    double = fill("CAST(:array AS DOUBLE[])", array=exp.Paren(this=array))
    if holder is node:
        double = exp.alias_(double, node.this.lower())
    node.replace(double)


def _numbers(found: Shape) -> list[exp.Expr]:
    match found:
        case Point(lon, lat):
            return [lon.copy(), lat.copy()]
        case Circle(Point(lon, lat), radius):
            return [lon.copy(), lat.copy(), radius.copy()]
        case Polygon(corners):
            return [literal(value) for value in corners.ravel()]
