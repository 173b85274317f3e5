"""Record kinds: schema, columns and readers of each wing's records.

A wing is a subpackage with a module `kind`, whose `KIND` says how its records are stored.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from wolter.config import OneOf
from wolter.data.schema import RecordBatch
from wolter.errors import InputError
from wolter.plugins import subpackages_with

MOST_SAMPLED, MOST_ROWS = 16_384, 2048
SAMPLED_BYTES, BATCH_BYTES = 2**30, 64 * 2**20


@dataclass(frozen=True)
class Observed:
    """Observed records that training mixes into the batches of simulated ones.

    Attributes:
        check: `(dataset, spec)`: raises `InputError` where a dataset of observed records does not
            go with simulated ones of a spec.
        read: `(dataset) -> batch`: the rows to draw from.
    """

    check: Callable[[Any, Any], None]
    read: Callable[[Any], RecordBatch]


@dataclass(frozen=True)
class RecordKind:
    """Description of one kind of record.

    Attributes:
        name: name of the wing.
        spec: class of the description of a data set.
        batch: class of its batches.
        columns: column of a shard -> attribute of a batch.
        row_bytes: memory that one row of a data set takes, by its spec.
        ranges: class of what a sample of training records covers, by which answers to others are
            flagged, with a constructor `of(batch)`; None where nothing is.
        example: `(spec, n)`: plain records, for health checks and tests.
        observed: mixing of observed records into training; None where there is none.
    """

    name: str
    spec: type[Any]
    batch: type[RecordBatch]
    columns: Mapping[str, str]
    row_bytes: Callable[[Any], int]
    example: Callable[[Any, int], RecordBatch]
    ranges: type[Any] | None = None
    observed: Observed | None = None

    def sample_rows(self, spec: Any) -> int:
        """Number of rows from which normalisation is learnt."""
        return min(MOST_SAMPLED, max(1, SAMPLED_BYTES // self.row_bytes(spec)))

    def batch_rows(self, spec: Any) -> int:
        """Number of rows in an inference batch."""
        return min(MOST_ROWS, max(1, BATCH_BYTES // self.row_bytes(spec)))


@functools.cache
def names() -> tuple[str, ...]:
    """Names of all kinds of record: the wings of the package."""
    return subpackages_with("kind")


@functools.cache
def record_kind(name: str) -> RecordKind:
    """Look up a kind of record by name.

    Raises:
        InputError: there is none.
    """
    if name not in names():
        raise InputError(f"unknown kind of record {name!r}; choose one of: {', '.join(names())}")
    kind = importlib.import_module(f"wolter.{name}.kind").KIND
    assert isinstance(kind, RecordKind)
    assert kind.name == name
    return kind


def kind_of(batch: RecordBatch) -> RecordKind:
    """The kind of record that a batch holds."""
    kinds = map(record_kind, names())
    return next(kind for kind in kinds if isinstance(batch, kind.batch))


def _specs() -> tuple[type[Any], ...]:
    # A description without a kind is of the oldest wing, the last by name.
    return tuple(record_kind(name).spec for name in reversed(names()))


def _ranges() -> tuple[type[Any], ...]:
    found = (record_kind(name).ranges for name in reversed(names()))
    return tuple(each for each in found if each is not None)


# Code that serves all kinds must not look into these, and code of one kind knows its classes.
Spec = Annotated[Any, OneOf(_specs)]
Ranges = Annotated[Any, OneOf(_ranges)]
