"""Any other XSPEC model, through the optional package xspectrampoline.

    model = parse('tbabs * (xspec("zpowerlw") + gaussian)')

These components run XSPEC's own code on the CPU, one spectrum at a time, and have no gradient.
XSPEC is not thread-safe.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.emission.expression import Component, Evaluate, Expression, Grid, Quantity

_REMEDY = "install it with: pip install xspectrampoline"


@dataclass(frozen=True)
class _Entry:
    """One model of XSPEC's model.dat."""

    name: str
    function: str
    additive: bool
    parameters: tuple[str, ...]
    defaults: dict[str, float]
    quantities: dict[str, Quantity]


def xspec(name: str) -> Expression:
    """One additive or multiplicative XSPEC model as an expression.

    Its parameters are named `<model>_<parameter>` in lower case, with `<model>_norm` for an
    additive one; those that XSPEC keeps frozen have XSPEC's values by default.

    Args:
        name: XSPEC's name of the model, such as zpowerlw; case does not matter.

    Raises:
        InputError: the package is missing, or the model is unknown or of another kind.
    """
    entry = _entries(_home()).get(name.lower())
    if entry is None:
        raise InputError(f'xspec("{name}"): no additive or multiplicative XSPEC model of that name')
    _function(entry.function)
    prepare = partial(_prepare, entry.function, entry.additive)
    return Expression.single(
        Component(
            entry.name, entry.parameters, entry.additive, prepare, entry.defaults, entry.quantities
        )
    )


def _library() -> Any:
    try:
        import xspectrampoline
    except ImportError:
        raise InputError(f"XSPEC models need the package xspectrampoline; {_REMEDY}") from None
    except Exception as error:  # its own exception when an unusable HEADAS is set
        raise InputError(f"XSPEC cannot be loaded ({error!r}); unset HEADAS") from None
    return xspectrampoline


def _home() -> Path:
    return Path(_library().get_HEADAS())


def _function(function: str) -> Any:
    """XSPEC's function; a C one takes float64, a Fortran one float32."""
    library = _library().get_libraries()
    symbol = "C_" + function[2:] if function.lower().startswith("c_") else function.lower() + "_"
    try:
        return library.get_model(symbol)
    except AttributeError:
        raise InputError(f"XSPEC's function {function} cannot be called from here") from None


def _entries(home: Path) -> dict[str, _Entry]:
    """Models of model.dat by lower-case name; each is a paragraph of a head and its parameters."""
    files = sorted(home.rglob("model.dat"))
    if not files:
        raise InputError(f"{home}: no model.dat of XSPEC here; unset HEADAS, or {_REMEDY}")
    entries = {}
    for paragraph in re.split(r"\n\s*\n", files[0].read_text()):
        lines = [line for line in paragraph.splitlines() if line.strip()]
        head = lines[0].split() if lines else []
        if len(head) < 6 or head[5] not in ("add", "mul"):
            continue
        name = head[0].lower()
        parameters, defaults = [], {}
        quantities: dict[str, Quantity] = {}
        for line in lines[1 : 1 + int(head[1])]:
            fields = shlex.split(line)
            parameter = f"{name}_{re.sub('[^a-z0-9]', '', fields[0].lower())}"
            parameters.append(parameter)
            quantities[parameter] = _quantity(fields)
            if fields[0].startswith("$"):  # a switch: name and value alone
                defaults[parameter] = float(fields[-1] if len(fields) < 4 else fields[2])
            elif fields[0].startswith("*") or float(fields[7]) <= 0:  # a scale, or frozen
                defaults[parameter] = float(fields[2])
        if head[5] == "add":
            parameters.append(f"{name}_norm")
        entries[name] = _Entry(
            name, head[4], head[5] == "add", tuple(parameters), defaults, quantities
        )
    return entries


def _quantity(fields: Sequence[str]) -> Quantity:
    """Unit and soft limits of a line of model.dat: name, unit, value, four limits and a step."""
    unit = "" if fields[0].startswith("$") else fields[1].strip()
    if len(fields) < 7:
        return Quantity(unit)
    low, high = float(fields[4]), float(fields[5])
    return Quantity(unit, (low, high) if low < high else None)


def _prepare(function: str, additive: bool, grid: Grid) -> Evaluate:
    call = _function(function)
    dtype = np.float64 if function.lower().startswith("c_") else np.float32
    edges_E1 = np.ascontiguousarray(grid.edges_E1.cpu().numpy(), dtype)
    n = len(edges_E1) - 1

    def evaluate(*columns: Tensor) -> Tensor:
        if torch.is_grad_enabled() and any(column.requires_grad for column in columns):
            raise InputError(f"XSPEC's {function} has no gradient; use a built-in component")
        theta_BP = torch.cat([column.detach() for column in columns], 1).cpu().double().numpy()
        values_BE = np.zeros((len(theta_BP), n), dtype)
        errors_E = np.zeros(n, dtype)
        n_parameters = theta_BP.shape[1] - additive
        for theta_P, values_E in zip(theta_BP, values_BE, strict=True):
            call(edges_E1, np.ascontiguousarray(theta_P[:n_parameters], dtype), values_E, errors_E)
        values_BE_out = torch.from_numpy(values_BE).to(columns[0])
        return columns[-1] * values_BE_out if additive else values_BE_out

    return evaluate
