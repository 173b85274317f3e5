"""One-line errors of request values; without torch."""

import re
from collections.abc import Iterable
from typing import Any


def one_line(errors: Iterable[Any]) -> str:
    """The first of pydantic's errors: where, what, and the value."""
    error = next(iter(errors))
    parts = [str(part) for part in error["loc"]]
    place = ".".join(part for part in parts if part not in ("body", "query"))
    value = error.get("input")
    # An integer of thousands of digits cannot be told.
    short = isinstance(value, float) or (isinstance(value, str) and len(value) < 50)
    short = short or (isinstance(value, int) and abs(value) < 10**50)
    got = f" (got {value!r})" if short else ""
    said = error["msg"].replace("a valid list", "a valid array")
    said = re.sub(r"a valid dictionary.*", "an object", said)
    return " ".join(f"{place or 'body'}: {said}{got}".split())[:500]
