"""Functions that queries may call, as DuckDB calls them."""

import functools
from collections.abc import Mapping
from types import MappingProxyType

from sqlglot import exp, parse_one

from wolter.errors import InputError

FUNCTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # aggregates
        "AVG": ("avg(:a)",),
        "COUNT": ("count(:a)",),
        "MAX": ("max(:a)",),
        "MIN": ("min(:a)",),
        "SUM": ("sum(:a)",),
        # mathematics
        "ABS": ("abs(:a)",),
        "CEILING": ("ceil(:a)",),
        "DEGREES": ("degrees(:a)",),
        "EXP": ("exp(:a)",),
        "FLOOR": ("floor(:a)",),
        "LOG": ("ln(:a)",),
        "LOG10": ("log10(:a)",),
        "MOD": ("mod(:a, :b)",),
        "PI": ("pi()",),
        "POWER": ("pow(:a, :b)",),
        "RADIANS": ("radians(:a)",),
        "RAND": ("random()", "random()"),
        "ROUND": ("round(:a)", "round(:a, :b)"),
        "SQRT": ("sqrt(:a)",),
        "TRUNCATE": ("trunc(:a)", "trunc(:a * pow(10, :b)) / pow(10, :b)"),
        "ACOS": ("acos(:a)",),
        "ASIN": ("asin(:a)",),
        "ATAN": ("atan(:a)",),
        "ATAN2": ("atan2(:a, :b)",),
        "COS": ("cos(:a)",),
        "COT": ("cot(:a)",),
        "SIN": ("sin(:a)",),
        "TAN": ("tan(:a)",),
        # text
        "LOWER": ("lower(:a)",),
        "UPPER": ("upper(:a)",),
        # functions that the IVOA has agreed on besides
        "IVO_INTERVAL_OVERLAPS": ("CAST((:a <= :d AND :c <= :b) AS SMALLINT)",),
        "IVO_HASHLIST_HAS": ("CAST(list_contains(string_split(:a, '#'), :b) AS SMALLINT)",),
        "IVO_STRING_AGG": ("string_agg(:a, :b)",),
    }
)
"""ADQL's name -> DuckDB's form, one for each number of arguments, `:a` the first. COALESCE takes
any number; geometry and IN_UNIT are elsewhere."""

AGGREGATES = frozenset({"AVG", "COUNT", "MAX", "MIN", "SUM", "IVO_STRING_AGG"})


def fill(form: str, **values: exp.Expr) -> exp.Expr:
    """A form of DuckDB's SQL with expressions in the places of `:name`.

    Args:
        form: its text.
        values: expressions by name.
    """
    filled = _form(form).copy()
    for place in list(filled.find_all(exp.Placeholder)):
        value = values[place.name].copy()
        safe = isinstance(value, exp.Column | exp.Star | exp.Distinct | exp.Paren | exp.Anonymous)
        value = value if safe else exp.Paren(this=value)
        if place is filled:
            return value
        place.replace(value)
    return filled


def call(node: exp.Anonymous) -> exp.Expr:
    """DuckDB's form of a function that is no geometry.

    Raises:
        InputError: it is not offered, or takes another number of arguments.
    """
    name, arguments = node.this.upper(), node.expressions
    if name == "COALESCE" and arguments:
        return exp.Anonymous(this="coalesce", expressions=arguments)
    if name not in FUNCTIONS:
        raise InputError(f"function {name[:64]} is not offered; {_offer()}")
    distinct = [each for each in arguments if isinstance(each, exp.Distinct)]
    if distinct and (name not in AGGREGATES or len(distinct[0].expressions) != 1):
        raise InputError(f"{name} takes no DISTINCT of these")
    if any(isinstance(each, exp.Star) for each in arguments) and name != "COUNT":
        raise InputError(f"{name} takes no *")
    for form in FUNCTIONS[name]:
        values = dict(zip("abcd", arguments, strict=False))
        if len(arguments) <= 4 and (_places(form) or set(values)) == set(values):
            return fill(form, **values)
    raise InputError(f"{name} does not take {len(arguments)} arguments")


def _offer() -> str:
    return f"there are: {', '.join(FUNCTIONS)}, COALESCE, CAST, IN_UNIT and those of geometry"


def _places(form: str) -> set[str]:
    return {place.name for place in _form(form).find_all(exp.Placeholder)}


@functools.lru_cache(maxsize=256)
def _form(form: str) -> exp.Expr:
    return parse_one(form, read="duckdb")
