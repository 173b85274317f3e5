"""Frozen dataclasses to and from plain dictionaries, JSON and TOML; unknown keys are rejected."""

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import cattrs

from wolter.errors import InputError

T = TypeVar("T")


def _converter() -> cattrs.Converter:
    return cattrs.Converter(forbid_extra_keys=True)


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a frozen dataclass into nested dictionaries, lists and scalars that JSON can hold."""
    return json.loads(json.dumps(_converter().unstructure(config)))  # type: ignore[no-any-return]


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """Build `cls` from a dictionary.

    Raises:
        InputError: a key is unknown or missing, or a value has the wrong type.
    """
    try:
        return _converter().structure(values, cls)
    except cattrs.BaseValidationError as error:
        problems = "; ".join(cattrs.transform_error(error))
        known = ", ".join(getattr(cls, "__dataclass_fields__", {}))
        raise InputError(f"{cls.__name__}: {problems}. Known keys: {known}") from error


def save(config: Any, path: Path) -> None:
    """Write a config as JSON."""
    path.write_text(json.dumps(to_dict(config), indent=2) + "\n")


def load(cls: type[T], path: Path) -> T:
    """Read a config from a `.json` or `.toml` file.

    Raises:
        InputError: the file is missing, is not valid, or has unknown keys.
    """
    try:
        text = path.read_text()
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not valid {path.suffix[1:].upper()}: {error}") from error
    try:
        return from_dict(cls, values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
