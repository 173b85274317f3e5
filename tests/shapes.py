"""Shapes and types of arguments and results, checked while tests run.

Names of arrays end in the letters of their axes (`counts_BC`); this turns the names into types of
jaxtyping, so that the same letter has the same length throughout a call. beartype checks these and
all other types. A digit is a length, `C1` is one more than `C`.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any, ForwardRef, Literal, Self, get_args, get_origin

from beartype import BeartypeConf, beartype
from jaxtyping import Shaped, jaxtyped
from torch import Tensor

_SUFFIX = re.compile(r"_([A-Z0-9]+)$")
_AXIS = re.compile(r"[A-Z]1?|\d")
_conf = BeartypeConf(is_pep484_tower=True)


def shape_of(name: str) -> str:
    """Axes of an array in the words of jaxtyping; empty where its name tells none.

    The batch B stands for any axes before the others, as most of the physics takes them.
    """
    found = _SUFFIX.search(name)
    if found is None:
        return ""
    letters = found[1].removeprefix("B")
    return " ".join(("...", *map(_axis, _AXIS.findall(letters))))


def _axis(letters: str) -> str:
    # One more than another axis could be checked only where that one is known before; H and W are
    # rows and columns of the image at hand, and may be two grids' in one call.
    free = len(letters) == 2 or letters in "HW"
    return "_" if free else f"#{letters}" if letters.isalpha() else letters


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose arrays must have the shapes that their names tell."""
    if not inspect.isfunction(function):
        return function
    function.__annotations__ = {
        name: _type_of(name, kind) for name, kind in function.__annotations__.items()
    }
    return jaxtyped(typechecker=lambda each: beartype(each, conf=_conf))(function)


def _type_of(name: str, kind: Any) -> Any:
    axes = shape_of(name)
    if axes and kind is Tensor:
        return Shaped[Tensor, axes]
    return Any if _unknown(kind) else kind


def _unknown(kind: Any) -> bool:
    """Whether a type cannot be checked: it is known to type checkers alone, or to its class."""
    if kind is Self or isinstance(kind, str | ForwardRef) or getattr(kind, "_is_protocol", False):
        return True
    if get_origin(kind) is Literal:
        return False
    return any(_unknown(each) for each in get_args(kind) if not isinstance(each, list))
