"""Syntax trees of ADQL, whose every part is on a list of what is offered."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from sqlglot import exp, parse
from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import SqlglotError
from sqlglot.parsers.tsql import TSQLParser

from wolter.catalogue.adql.joins import is_join
from wolter.catalogue.adql.text import checked
from wolter.errors import InputError, printable


class ADQL(TSQL):
    """Dialect that knows no function but CAST by itself: all others are told by their names."""

    class Parser(TSQLParser):
        """See `ADQL`."""

        FUNCTIONS = {}  # noqa: RUF012 as in the library
        FUNCTION_PARSERS = {"CAST": TSQLParser.FUNCTION_PARSERS["CAST"]}  # noqa: RUF012
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012
        NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012
            "CASE": TSQLParser.NO_PAREN_FUNCTION_PARSERS["CASE"]
        }


def _kinds() -> Iterator[tuple[type[exp.Expr], frozenset[str]]]:
    """Kinds of nodes that are offered, and the parts of each."""
    for kinds, parts in (
        ("Select", "with_ distinct expressions limit from_ joins where group having order offset"),
        ("Union Except Intersect", "this expression distinct with_ order limit offset"),
        ("Subquery", "this alias with_ order limit offset joins"),
        ("With Group Order Distinct", "expressions"),
        ("CTE", "this alias"),
        ("TableAlias", "this columns"),
        ("From Where Having Paren Neg Not Exists All Any", "this"),
        ("Table", "this db alias joins"),
        ("Join", "this side kind method on using"),
        ("Ordered", "this desc nulls_first"),
        ("Limit Offset", "expression"),
        ("Column", "this table db"),
        ("Identifier", "this quoted"),
        ("Alias", "this alias"),
        ("Star Null", ""),
        ("Literal", "this is_string"),
        ("Cast", "this to"),
        ("DataType", "this expressions nested"),
        ("DataTypeParam", "this"),
        ("In", "this expressions query"),
        ("Between", "this low high"),
        ("EQ NEQ LT LTE GT GTE Is Escape And Or", "this expression"),
        ("Like ILike", "this expression negate"),
        ("Add Sub Mul Mod", "this expression"),
        ("Div", "this expression typed safe"),
        ("DPipe", "this expression safe"),
        ("Case", "this ifs default"),
        ("If", "this true"),
        ("Anonymous", "this expressions"),
    ):
        for kind in kinds.split():
            yield getattr(exp, kind), frozenset(parts.split())


_OFFERED: Mapping[type[exp.Expr], frozenset[str]] = MappingProxyType(dict(_kinds()))
_DEEP = "the query is nested too deeply; simplify it"


def tree(adql: str) -> exp.Query:
    """Syntax tree of a query.

    Args:
        adql: text of one query.

    Raises:
        InputError: it is not one query, or a part of it is not offered.
    """
    text = checked(adql)
    try:
        statements = parse(text, read=ADQL)
    except SqlglotError as error:
        raise InputError(f"not ADQL: {_first_line(error)}") from error
    except RecursionError as error:
        raise InputError(_DEEP) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise InputError("send one query; it begins with SELECT or WITH")
    query = statements[0]
    for node in query.walk():
        _check(node)
    return query


def _check(node: exp.Expr) -> None:
    name = type(node).__name__
    parts = _OFFERED.get(type(node))
    if parts is None:
        raise InputError(f"{name} is not offered here; use ADQL 2.1")
    for part, value in node.args.items():
        if value not in (None, [], False) and part not in parts:
            raise InputError(f"{name} with {part.strip('_')} is not offered here; use ADQL 2.1")
    if isinstance(node, exp.Anonymous) and not isinstance(node.this, str):
        raise InputError(f"function {node.this.sql()[:64]} is not offered; names are not quoted")
    if is_join(node):
        _check_join(node)
    elif isinstance(node, exp.CTE | exp.SetOperation | exp.Subquery):
        inner = (node.this, node.args.get("expression"))
        if not all(isinstance(each, exp.Query) for each in inner if each is not None):
            raise InputError("not ADQL: a query stands here, SELECT ...")
    if isinstance(node, exp.Star):
        whole = node.parent if isinstance(node.parent, exp.Column) else node
        if not isinstance(whole.parent, exp.Select | exp.Anonymous):
            raise InputError("not ADQL: * is no value; it stands alone, or in COUNT(*)")
    if isinstance(node, exp.Select) and not node.expressions:
        raise InputError("not ADQL: SELECT without columns")
    if isinstance(node, exp.Select) and node.args.get("joins") and not node.args.get("from_"):
        raise InputError("not ADQL: JOIN without FROM")
    if isinstance(node, exp.Limit | exp.Offset) and not (
        isinstance(node.expression, exp.Literal) and node.expression.this.isdigit()
    ):
        raise InputError("TOP and OFFSET take a whole number of zero or more")


def _check_join(node: exp.Expr) -> None:
    more = [part for part, value in node.args.items() if value and part not in ("this", "joins")]
    if more or not isinstance(node.parent, exp.From | exp.Join | exp.Subquery):
        raise InputError("a join in parentheses stands in FROM, without clauses and without a name")


def _first_line(error: Exception) -> str:
    return printable(str(error).splitlines()[0])[:300]
