"""Commands whose options depend on the family that their arguments name."""

from collections.abc import Sequence
from typing import Any

from wolter import family as families
from wolter.errors import InputError
from wolter.family import Family


def named_family(arguments: Sequence[str]) -> Family | None:
    """The family that the arguments of a command name first; None where they name none.

    FAMILY@VERSION names a family, too.

    Raises:
        InputError: the first argument is no option and no family.
    """
    first = next(iter(arguments), "-")
    if not first.startswith("-"):
        return families.load(first.partition("@")[0])
    known = set(families.names())
    words = (word.partition("@")[0] for word in arguments)
    name = next((word for word in words if word in known), None)
    return None if name is None else families.load(name)


def value_of(arguments: Sequence[str], option: str) -> str:
    """Value that the arguments give to an option; empty where they give none."""
    for i, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == option:
            return value if equals else next(iter(arguments[i + 1 :]), "")
    return ""


def preset_of(family: Family, name: str) -> Any:
    """A named config of a family; the default one where there is no name.

    Raises:
        InputError: the family has none of this name.
    """
    if not name:
        return family.config()
    if name not in family.presets:
        known = ", ".join(family.presets) or "it has none"
        raise InputError(f"--preset {name}: not one of {family.name}'s ({known})")
    return family.presets[name]
