"""Frozen dataclasses to and from plain dictionaries, JSON and TOML; unknown keys are rejected."""

import functools
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import cattrs
from cattrs.errors import CattrsError
from cattrs.strategies import configure_union_passthrough

from wolter.errors import InputError
from wolter.files import write_atomically

T = TypeVar("T")


@dataclass(frozen=True)
class OneOf:
    """Annotation of a field that holds one of several dataclasses, distinguished by `kind`.

    `Annotated[Any, OneOf(classes)]`, where `classes()` gives them; a table without `kind` is of the
    first.
    """

    classes: Callable[[], tuple[type[Any], ...]]

    def choose(self, values: Any) -> type[Any]:
        """The class of these values."""
        kinds = {each.__dataclass_fields__["kind"].default: each for each in self.classes()}
        kind = values.get("kind", next(iter(kinds))) if isinstance(values, dict) else None
        if kind not in kinds:
            raise _WrongTypeError(f"kind {kind!r} is none of {', '.join(kinds)}")
        return kinds[kind]


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a frozen dataclass into nested dictionaries, lists and scalars that JSON can hold."""
    return json.loads(json.dumps(_converter().unstructure(config)))  # type: ignore[no-any-return]


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """Build `cls` from a dictionary.

    Raises:
        InputError: a key is unknown or missing, or a value has the wrong type. No value is
            converted to fit, but for an integer where a float belongs.
    """
    if not isinstance(values, dict):
        raise InputError(f"{cls.__name__}: {values!r} is not a table of keys and values")
    try:
        return cast("T", structure(cls, values))
    except InputError as error:
        raise InputError(f"{cls.__name__}: {error}") from error


def structure(kind: Any, value: Any) -> Any:
    """Build a value of a field's type, a dataclass or any other, from what JSON or TOML hold.

    Raises:
        InputError: the value has another type, or lacks keys or has unknown ones.
    """
    try:
        return _converter().structure(value, kind)
    except cattrs.BaseValidationError as error:
        problems = "; ".join(cattrs.transform_error(error, format_exception=_explain))
        raise InputError(problems.replace(" @ $.", " at ").replace(" @ $", "")) from error
    except (TypeError, ValueError) as error:
        raise InputError(_explain(error, kind)) from error


def save(config: Any, path: Path) -> None:
    """Write a config as JSON.

    Raises:
        InputError: the file cannot be written.
    """
    assert path.suffix == ".json", path
    write_atomically(path, f"{json.dumps(to_dict(config), indent=2)}\n".encode())


def load(cls: type[T], path: Path) -> T:
    """Read a config from a `.json` or `.toml` file.

    Raises:
        InputError: the file is missing, is not valid, or has unknown keys.
    """
    try:
        return from_dict(cls, read(path))
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from error


def read(path: Path) -> dict[str, Any]:
    """Read the values of a `.json` or `.toml` file.

    Raises:
        InputError: the file is missing or not valid.
    """
    kind = "TOML" if path.suffix == ".toml" else "JSON"
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if kind == "TOML" else json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # not UTF-8, JSON or TOML
        raise InputError(f"{path}: not valid {kind}: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: {values!r} is not a table of keys and values")
    return values


class _WrongTypeError(TypeError):
    """Type error of a config value."""


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    # cattrs converts by default: bool("false") is True, int(3.7) is 3, tuple("ab") is ("a", "b").
    converter.register_structure_hook(bool, _strict(bool, bool))
    converter.register_structure_hook(int, _strict(int, Integral))
    converter.register_structure_hook(float, _strict(float, Real))
    converter.register_structure_hook(str, _strict(str, str))
    configure_union_passthrough(bool | int | float | str | None, converter, True)
    converter.register_structure_hook_func(
        lambda kind: isinstance(next(reversed(get_args(kind)), None), OneOf),
        lambda values, kind: converter.structure(values, get_args(kind)[-1].choose(values)),
    )
    listed = converter.get_structure_hook(tuple[str, ...])

    def strings(value: Any, kind: Any) -> Any:
        if isinstance(value, str):
            raise _WrongTypeError(f"{value!r} is not a list of strings")
        return listed(value, kind)

    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], strings)
    return converter


def _strict(kind: Callable[[Any], Any], accepted: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if isinstance(value, accepted) and (kind is bool or not isinstance(value, bool)):
            return kind(value)
        raise _WrongTypeError(f"{value!r} is not of type {kind.__name__}")

    return structure


def _explain(error: BaseException, kind: type | None) -> str:
    """Error message of one invalid key or value."""
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        unknown = ", ".join(sorted(error.extra_fields))
        known = ", ".join(field.name for field in fields(error.cl))
        return f"unknown key {unknown} (known keys: {known})"
    if isinstance(error, KeyError):
        return "missing key"
    if isinstance(error, (_WrongTypeError, InputError)):
        return str(error)
    if isinstance(error, CattrsError):  # a value outside a Literal
        return str(error).replace("typing.", "")
    name = kind.__name__ if isinstance(kind, type) else str(kind or "value")
    return f"not a valid {name.replace('typing.', '')}"
