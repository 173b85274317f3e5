"""Validation of request values."""

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
