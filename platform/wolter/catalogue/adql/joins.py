"""Tables and subqueries of FROM, also of joins in parentheses."""

from collections.abc import Iterator

from sqlglot import exp


def is_join(source: exp.Expr) -> bool:
    """True for a join in parentheses; False for a query in parentheses."""
    if not isinstance(source, exp.Subquery):
        return False
    inner = source.this
    joined = isinstance(inner, exp.Table | exp.Subquery) and bool(inner.args.get("joins"))
    return joined or is_join(inner)


def leaves(select: exp.Select) -> Iterator[exp.Expr]:
    """Tables and subqueries that a query selects from, in their order."""
    first = select.args.get("from_")
    if first is not None:
        yield from _leaves(first.this)
    for join in select.args.get("joins") or ():
        yield from _leaves(join.this)


def _leaves(source: exp.Expr) -> Iterator[exp.Expr]:
    if is_join(source):
        yield from _leaves(source.this)
    else:
        yield source
    for join in source.args.get("joins") or ():
        yield from _leaves(join.this)
