"""Columns of a query's answer: whose values, units and UCDs they have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from wolter.catalogue.adql.joins import is_join
from wolter.catalogue.adql.names import Named
from wolter.catalogue.adql.shapes import SHAPES
from wolter.catalogue.columns import Column

_XTYPES = {"POINT": "point", "CENTROID": "point", "CIRCLE": "circle", "BOX": "polygon"}
_KEPT = frozenset({"ABS", "AVG", "MAX", "MIN", "ROUND", "SUM", "TRUNCATE", "COALESCE"})
_UCDS = {"AVG": "stat.mean", "MAX": "stat.max", "MIN": "stat.min"}


@dataclass(frozen=True)
class Field:
    """A column of an answer.

    Attributes:
        name: name in the answer.
        column: description of its values; None where the query computes them.
        xtype: what an array of numbers means: point, circle or polygon.
    """

    name: str
    column: Column | None = None
    xtype: str = ""


def fields(query: exp.Expr, used: dict[int, Named]) -> tuple[Field, ...] | None:
    """Columns of the answer to a query, before its functions are rewritten.

    Args:
        query: its tree.
        used: tables by the identity of their nodes.

    Returns:
        None where the number of columns cannot be told.
    """
    return _of_query(query, used, {})


_Common = dict[str, tuple[Field, ...] | None]


def _of_query(query: exp.Expr, used: dict[int, Named], common: _Common) -> tuple[Field, ...] | None:
    common = _with_common(query, used, common)
    if isinstance(query, exp.Subquery):
        return _of_query(query.this, used, common)
    if isinstance(query, exp.Union):
        return _of_both(*(_of_query(each, used, common) for each in (query.left, query.right)))
    if isinstance(query, exp.SetOperation):  # whose rows are those of the first
        return _of_query(query.left, used, common)
    assert isinstance(query, exp.Select), type(query)
    sources = _sources(query, used, common)
    told: list[Field] = []
    for item in query.expressions:
        several = _several(item, sources)
        if several is None:
            return None
        told.extend(several)
    return tuple(told)


def _with_common(query: exp.Expr, used: dict[int, Named], common: _Common) -> _Common:
    """Fields of the tables that WITH names, besides those that are known."""
    with_ = query.args.get("with_")
    if with_ is None:
        return common
    common = dict(common)
    for cte in with_.expressions:
        inner = _of_query(cte.this, used, common)
        names = cte.args["alias"].args.get("columns") or []
        common[cte.alias.lower()] = _renamed(inner, [each.name for each in names])
    return common


def _of_both(
    one: tuple[Field, ...] | None, other: tuple[Field, ...] | None
) -> tuple[Field, ...] | None:
    """Fields of rows of two queries: those of the first, unless the second's mean other things."""
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(
        first if _are_alike(first.column, second.column) else replace(first, column=None)
        for first, second in zip(one, other, strict=True)
    )


def _are_alike(one: Column | None, other: Column | None) -> bool:
    """True unless both are known, and are in other units or mean other things."""
    return one is None or other is None or (one.unit, one.ucd) == (other.unit, other.ucd)


def _renamed(inner: tuple[Field, ...] | None, names: list[str]) -> tuple[Field, ...] | None:
    if inner is None or len(names) not in (0, len(inner)):
        return None
    if not names:
        return inner
    return tuple(replace(each, name=name) for each, name in zip(inner, names, strict=True))


def _sources(
    select: exp.Select, used: dict[int, Named], common: _Common
) -> dict[str, tuple[Field, ...] | None]:
    """Fields of every table and subquery by its alias, and of all columns under `*`."""
    found: dict[str, tuple[Field, ...] | None] = {}

    def of(source: exp.Expr) -> list[Field] | None:
        if is_join(source):
            fields = of(source.this)
        else:
            alias = source.alias.lower() or source.name.lower()
            if id(source) in used:
                found[alias] = tuple(Field(c.name, c) for c in used[id(source)].table.columns)
            elif isinstance(source, exp.Table):
                found[alias] = common.get(source.name.lower())
            else:
                found[alias] = _of_query(source, used, common)
            told = found[alias]
            fields = None if told is None else list(told)
        return joined(fields, source.args.get("joins") or ())

    def joined(whole: list[Field] | None, joins: Sequence[exp.Join]) -> list[Field] | None:
        for join in joins:
            fields = of(join.this)
            if whole is None or fields is None:
                whole = None
                continue
            merged = {each.name.lower() for each in join.args.get("using") or ()}
            if join.args.get("method"):  # a natural join
                merged = {each.name.lower() for each in whole}
            whole = whole + [each for each in fields if each.name.lower() not in merged]
        return whole

    first = select.args.get("from_")
    whole = joined([] if first is None else of(first.this), select.args.get("joins") or ())
    found["*"] = None if whole is None else tuple(whole)
    return found


def _several(item: exp.Expr, sources: dict[str, tuple[Field, ...] | None]) -> list[Field] | None:
    of_one = isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
    if isinstance(item, exp.Star) or of_one:
        several = sources.get(item.text("table").lower() if of_one else "*")
        return None if several is None else list(several)
    return [_one(item, sources)]


def _one(item: exp.Expr, sources: dict[str, tuple[Field, ...] | None]) -> Field:
    name = item.alias
    inner = item.this if isinstance(item, exp.Alias) else item
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Column):
        return replace(_looked_up(inner, sources), name=name or inner.name)
    if isinstance(inner, exp.Anonymous):
        function = inner.this.upper()
        name = name or function.lower()
        if function in SHAPES:
            return Field(name, None, _XTYPES.get(function, "polygon"))
        first = inner.expressions[0] if inner.expressions else None
        if function == "IN_UNIT" and isinstance(first, exp.Column):
            column = _looked_up(first, sources).column
            unit = inner.expressions[-1].name
            return Field(name, replace(column, unit=unit) if column is not None else None)
        if function in _KEPT and isinstance(first, exp.Column):
            column = _looked_up(first, sources).column
            if column is not None:
                ucd = ";".join(
                    filter(None, (_UCDS.get(function), column.ucd.split(";meta.main")[0]))
                )
                about = f"{function.lower()} of {column.name}: {column.about}"
                column = replace(column, about=about, ucd=ucd, indexed=False, principal=False)
            return Field(name, column)
    return Field(name)


def column_at(column: exp.Column, used: dict[int, Named]) -> Column | None:
    """Description of a column where it stands; None where the query computes it.

    Args:
        column: a part of a query.
        used: tables by the identity of their nodes.
    """
    around: list[exp.Expr] = []
    above = column.parent
    while above is not None:
        around.append(above)
        above = above.parent
    selects: list[tuple[exp.Select, _Common]] = []
    common: _Common = {}
    for each in reversed(around):
        common = _with_common(each, used, common)
        if isinstance(each, exp.Select):
            selects.append((each, common))
    for select, known in reversed(selects):  # the innermost query that has it
        sources = _sources(select, used, known)
        names = [column.table.lower()] if column.table else list(sources)
        for field in (each for name in names for each in sources.get(name) or ()):
            if field.name.lower() == column.name.lower():
                return field.column
    return None


def _looked_up(column: exp.Column, sources: dict[str, tuple[Field, ...] | None]) -> Field:
    wanted = [column.table.lower()] if column.table else list(sources)
    for alias in wanted:
        for field in sources.get(alias) or ():
            if field.name.lower() == column.name.lower():
                return field
    return Field(column.name)
