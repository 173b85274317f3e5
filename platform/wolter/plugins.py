"""Plugins: what other packages declare as entry points, and what our own subpackages bring."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import wolter
from wolter.errors import InputError

Plugin = TypeVar("Plugin")


def subpackages_with(module: str) -> tuple[str, ...]:
    """Names of the subpackages of wolter that have a module, or a package, of this name.

    They are found by their files: to ask for a module would import its subpackage.
    """
    found = {
        file.relative_to(root).parts[0]
        for root in wolter.__path__
        for pattern in (f"*/{module}.py", f"*/{module}/__init__.py")
        for file in Path(root).glob(pattern)
    }
    return tuple(sorted(found))


def names(group: str) -> tuple[str, ...]:
    """Names of the entry points of a group; none is imported."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def load(group: str, name: str, kind: type[Plugin]) -> Plugin:
    """Import a plugin; its entry point and the object have one name.

    Args:
        group: entry-point group.
        name: one of `names`.
        kind: class of the group's objects, which have a `name`.

    Raises:
        InputError: it cannot be imported, or is something else.
    """
    point = next(point for point in entry_points(group=group) if point.name == name)
    word = kind.__name__.lower()
    try:
        found = point.load()
    except Exception as error:  # whatever others' code raises
        raise InputError(
            f"{word} {name} ({point.value}) cannot be imported: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}; correct or uninstall it"
        ) from error
    if not isinstance(found, kind) or getattr(found, "name", "") != name:
        raise InputError(
            f"{word} {name}: {point.value} is not of the type {kind.__name__} with that name; "
            "correct it"
        )
    return found
