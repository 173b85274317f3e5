"""Options of a command from a TOML file: `--config FILE`, written by `wolter config COMMAND`."""

import json
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import tyro

from wolter import config as configs
from wolter.errors import InputError

Command = TypeVar("Command")
OPTION = "--config"


def split(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Take `--config FILE` out of a command's arguments.

    Returns:
        The other arguments, and the file; None where none is named.

    Raises:
        InputError: no file follows the option.
    """
    rest: list[str] = []
    file, words = None, iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name != OPTION:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value or value.startswith("-"):
            raise InputError(f"{OPTION}: give a TOML file, as `wolter config COMMAND` writes it")
        file = Path(value)
    return rest, file


def read(file: Path) -> dict[str, Any]:
    """Read the options of a TOML file.

    Raises:
        InputError: the file is missing or is not valid TOML.
    """
    if file.suffix != ".toml":
        raise InputError(f"{file}: not a .toml file; write one with `wolter config COMMAND`")
    return configs.read(file)


def with_family(arguments: list[str], values: dict[str, Any]) -> list[str]:
    """Arguments that begin with the family that the file names, where they name none.

    The options of a command may depend on its family, which is the first argument.
    """
    named = bool(arguments) and not arguments[0].startswith("-")
    family = values.get("family")
    return arguments if named or not isinstance(family, str) else [family, *arguments]


def parse(
    cls: type[Command],
    arguments: Sequence[str],
    prog: str,
    values: dict[str, Any],
    file: Path | None,
) -> Command:
    """Build a command from its arguments; what they leave out is the file's, or the default.

    Args:
        cls: frozen dataclass of the options.
        arguments: arguments of the command line.
        prog: the command's name in messages.
        values: values of the file.
        file: that the values are from; None where there is none.

    Raises:
        InputError: the file has an unknown key or a value of a wrong type.
    """
    if file is None:
        return tyro.cli(cls, args=list(arguments), prog=prog)
    try:
        default = _filled(cls, values, "")
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    return cast("Command", tyro.cli(cls, args=list(arguments), prog=prog, default=default))


def _filled(cls: type[Any], values: dict[str, Any], path: str) -> Any:
    """A dataclass with a file's values; required ones that the file leaves out are MISSING."""
    hints = get_type_hints(cls)
    known = {field.name for field in fields(cls)}
    if unknown := sorted(values.keys() - known):
        names = ", ".join(f"{path}{name}" for name in unknown)
        raise InputError(f"unknown key {names} (known keys: {', '.join(sorted(known))})")
    given: dict[str, Any] = {}
    for field in fields(cls):
        kind, usual = hints[field.name], _default(field)
        if field.name not in values:
            if usual is MISSING:
                given[field.name] = tyro.MISSING
            continue
        value = values[field.name]
        if is_dataclass(usual) and isinstance(value, dict):
            # The command's own defaults stand for what the table leaves out.
            whole = configs.to_dict(usual) | value
            given[field.name] = _filled(type(usual), whole, f"{path}{field.name}.")
        else:
            given[field.name] = _structured(kind, value, f"{path}{field.name}")
    return cls(**given)


def _structured(kind: Any, value: Any, path: str) -> Any:
    try:
        return configs.structure(kind, value)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _default(field: "Field[Any]") -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def written(cls: type[Any], arguments: Sequence[str], prog: str) -> str:
    """TOML of all options of a command: its defaults, or what the arguments give in their place.

    Options that have no default are commented out where the arguments do not give them.
    """
    hints = get_type_hints(cls)
    required = [f.name for f in fields(cls) if _default(f) is MISSING]
    blanks = {name: _blank(hints[name]) for name in required}
    default = cls(**blanks)
    found = tyro.cli(cls, args=list(arguments), prog=prog, default=default)
    values = configs.to_dict(found)
    unset = {name for name in required if getattr(found, name) == blanks[name]}
    head = [f"# Options of `{prog}`; give this file as {OPTION} FILE. Flags win over it."]
    return "\n".join([*head, *_lines(values, unset)]) + "\n"


def _blank(kind: Any) -> Any:
    """A stand-in for an option that has no default."""
    plain = {Path: Path("REQUIRED"), str: "REQUIRED", int: 0, float: 0.0}
    return plain.get(kind, ())


def _lines(values: dict[str, Any], unset: set[str], section: str = "") -> list[str]:
    """Lines of TOML: plain values first, then tables."""
    lines, tables = [], []
    for name, value in values.items():
        if isinstance(value, dict):
            tables += ["", f"[{section}{name}]", *_lines(value, set(), f"{section}{name}.")]
        elif value is None or name in unset:
            lines.append(f"# {name} = {'(required)' if name in unset else '(none)'}")
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return lines + tables
