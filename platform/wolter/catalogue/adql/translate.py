"""Translate ADQL to DuckDB's SQL, on the syntax tree."""

from dataclasses import dataclass

from sqlglot import exp

from wolter.catalogue.adql import geometry
from wolter.catalogue.adql.dialect import tree
from wolter.catalogue.adql.functions import call, fill
from wolter.catalogue.adql.names import Named, Tables
from wolter.catalogue.adql.output import Field, fields
from wolter.errors import InputError

_TYPES = {
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INTEGER",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.FLOAT: "REAL",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.CHAR: "TEXT",
    exp.DType.VARCHAR: "TEXT",
    exp.DType.ROWVERSION: "TIMESTAMP",  # what the parser makes of TIMESTAMP
    exp.DType.TIMESTAMP: "TIMESTAMP",
}
# The database takes a column that it does not know for one of these values of its own.
_VALUES = (
    *("current_catalog", "current_database", "current_date", "current_localtime"),
    *("current_localtimestamp", "current_role", "current_schema", "current_time"),
    *("current_timestamp", "current_user", "localtime", "localtimestamp", "session_user", "user"),
)
_DEEP = "the query is nested too deeply; simplify it"


@dataclass(frozen=True)
class Translation:
    """A query for DuckDB.

    Attributes:
        sql: one statement; every identifier is quoted.
        fields: columns of the answer, as far as the query tells; None where it does not.
        tables: tables that it reads.
    """

    sql: str
    fields: tuple[Field, ...] | None
    tables: tuple[Named, ...]


def translate(adql: str, tables: Tables, most_rows: int | None = None) -> Translation:
    """Translate a query.

    Args:
        adql: text of one query in ADQL 2.1.
        tables: tables that it may name.
        most_rows: rows that the answer has at most; None for all.

    Raises:
        InputError: it is no ADQL, or asks for what is not offered; says what.
    """
    try:
        return _translate(tree(adql), tables, most_rows)
    except RecursionError as error:
        raise InputError(_DEEP) from error


def _translate(query: exp.Query, tables: Tables, most_rows: int | None) -> Translation:
    used = _resolve(query, tables)
    told = fields(query, used)
    for node in list(query.find_all(exp.Ordered, exp.Div, exp.Cast)):
        if isinstance(node, exp.Ordered):
            node.set("nulls_first", False)  # rows without a value come last
        elif isinstance(node, exp.Div):
            node.set("typed", False)  # 5 / 3600 is not 0
        elif isinstance(node, exp.Cast):
            _cast(node)
    for call_ in reversed(list(query.find_all(exp.Anonymous))):  # arguments before what takes them
        if call_.this.upper() not in geometry.NAMES:
            call_.replace(call(call_))
    geometry.rewrite(query, used)
    if most_rows is not None:
        query = _bounded(query, most_rows)
    return Translation(query.sql("duckdb", identify=True, comments=False), told, _named(used))


def _resolve(query: exp.Query, tables: Tables) -> dict[int, Named]:
    """Find every table; the tables by the identity of the nodes that name them."""
    common = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    used: dict[int, Named] = {}
    for node in query.find_all(exp.Table):
        if not node.db and node.name.lower() in common:
            continue
        named = tables.find(node.db, node.name)
        used[id(node)] = named
        if not node.alias:
            node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name)))
        node.set("this", exp.to_identifier(named.table.name, quoted=True))
        node.set("db", exp.to_identifier(named.schema, quoted=True))
    known = {c.name.lower() for named in used.values() for c in named.table.columns}
    for column in query.find_all(exp.Column):
        column.set("db", None)  # tables go by their own names inside the query
        name = column.name.lower()
        if not column.table and name in _VALUES and name not in known:
            raise InputError(f"no column {column.name!r}")
    return used


def _named(used: dict[int, Named]) -> tuple[Named, ...]:
    return tuple({each.full: each for each in used.values()}.values())


def _cast(node: exp.Cast) -> None:
    kind = node.to.this
    if kind not in _TYPES:
        raise InputError(f"CAST to {kind.value} is not offered")
    sizes = [each.this for each in node.to.expressions]
    plain = exp.Cast(this=node.this, to=exp.DataType.build(_TYPES[kind], dialect="duckdb"))
    if _TYPES[kind] == "TEXT" and sizes and sizes[0].name.isdigit():
        node.replace(fill("left(:text, :size)", text=plain, size=sizes[0]))
    else:
        node.replace(plain)


def _bounded(query: exp.Query, most_rows: int) -> exp.Query:
    if isinstance(query, exp.Subquery):  # in parentheses, which its own clauses stand behind
        whole = exp.select("*").from_(exp.Subquery(this=query.this, alias="q"))
        for part in ("with_", "order", "offset"):
            whole.set(part, query.args.get(part))
        query = whole
    given = query.args.get("limit")
    rows = most_rows if given is None else min(most_rows, int(given.expression.name))
    query.set("limit", exp.Limit(expression=exp.Literal.number(str(rows))))
    return query
