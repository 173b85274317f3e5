"""Bounds of a query's text, before anything recursive reads it."""

import re

from wolter.errors import InputError

LARGEST = 500_000  # characters
MOST_TOKENS = 40_000
MOST_OPERATORS = 1_000  # each may be one more level of the syntax tree
DEEPEST = 40  # levels of parentheses

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>--[^\r\n]*)
      | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")+")
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<word>[A-Za-z][A-Za-z0-9_]*)
      | (?P<operator><>|!=|<=|>=|\|\||[-+*<>=]|/(?!\*))
      | (?P<mark>[(),.;])""",
    re.VERBOSE,
)
_OPERATORS = {"and", "or", "not", "union", "except", "intersect", "join", "case"}


def checked(adql: str) -> str:
    """A query without its comments, within the bounds.

    Args:
        adql: text of one query; a semicolon may end it.

    Raises:
        InputError: it is none, too long or nested too deeply, or has signs that ADQL has not.
    """
    if len(adql) > LARGEST:
        raise InputError(f"the query has {len(adql)} characters; the most is {LARGEST}")
    kept: list[str] = []
    tokens = depth = operators = place = 0
    while place < len(adql):
        found = _TOKEN.match(adql, place)
        if found is None:
            raise InputError(_foreign(adql, place))
        token, kind, place = found[0], found.lastgroup, found.end()
        if kind in ("space", "comment"):
            kept.append(" ")
            continue
        depth += (token == "(") - (token == ")")
        operators += kind == "operator" or (kind == "word" and token.lower() in _OPERATORS)
        if depth > DEEPEST:
            raise InputError(f"parentheses are nested more than {DEEPEST} deep; simplify the query")
        if operators > MOST_OPERATORS:
            raise InputError(
                f"more than {MOST_OPERATORS} operators; use IN for lists, or upload a table"
            )
        tokens += 1
        if tokens > MOST_TOKENS:
            raise InputError(f"more than {MOST_TOKENS} words and signs; upload a table for lists")
        kept.append(token)
    text = "".join(kept).strip()
    if text.endswith(";"):
        text = text[:-1].rstrip()
    if not text:
        raise InputError("the query is empty; send QUERY=SELECT ...")
    if not re.match(r"\(*\s*(select|with)\b", text, re.IGNORECASE):
        raise InputError(f"a query begins with SELECT or WITH, not with {text[:20]!r}")
    return text


def _foreign(adql: str, place: int) -> str:
    sign = adql[place]
    if sign in "'\"":
        return f"the {sign} at character {place + 1} has no end"
    return f"character {place + 1}, {adql[place : place + 10]!r}, is not ADQL"
