"""Validation of request values, with one-line errors."""

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from wolter.errors import InputError

LEAST_S = 1e-6  # shortest exposure that is taken for one
MOST = 1e12  # largest count, exposure (s) or scale that is taken for one


def check_bounds(name: str, what: str, *values: Tensor | float, least: float = 0.0) -> None:
    """Check that numbers are finite and none is beyond `least` and `MOST`.

    Args:
        name: name of the file, for the message.
        what: the numbers are.
        values: the numbers.
        least: the smallest one taken.

    Raises:
        InputError: one is.
    """
    for value in values:
        numbers = torch.as_tensor(value)
        bad = ~((numbers >= least) & (numbers <= MOST))
        if bad.any():
            first = float(numbers[bad].flatten()[0])
            raise InputError(f"{name}: {what} of {first:g}; {least:g} to {MOST:g} are taken")


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
