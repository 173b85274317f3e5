"""Batches of records: dataclasses of tensors, first axis B.

The description of a data set and the typed batch of each kind of record lie in its wing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor

SCHEMA_VERSION = 1


class RecordBatch(ABC):
    """Base class of batches: dataclasses of tensors, first axis B.

    A tensor is None where a data set has none.
    """

    def __len__(self) -> int:
        first: Tensor = getattr(self, self._names()[0])
        return len(first)

    @classmethod
    @cache  # records of a large request are split one by one
    def _names(cls) -> tuple[str, ...]:
        return tuple(each.name for each in fields(cls))  # type: ignore[arg-type]

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        values: dict[str, Any] = {name: getattr(self, name) for name in self._names()}
        return type(self)(**{k: None if v is None else function(v) for k, v in values.items()})

    def __getitem__(self, index: Tensor | slice) -> Self:
        """Select rows."""
        return self._map(lambda value: value[index])

    def to(self, device: torch.device | str) -> Self:
        """Move every tensor."""
        return self._map(lambda value: value.to(device, non_blocking=True))

    def split(self, size: int) -> Iterator[Self]:
        """Yield consecutive pieces of at most `size` rows."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    @classmethod
    def concatenate(cls, parts: "list[Self]") -> Self:
        """Join batches along B; what only some of them hold is NaN (or false) in the others."""
        assert parts, "no batches to join"
        columns: dict[str, Any] = {}
        for name in cls._names():
            values = [getattr(part, name) for part in parts]
            known = next((value for value in values if value is not None), None)
            if known is not None:
                fill = torch.nan if known.is_floating_point() else 0
                values = [
                    known.new_full((len(part), *known.shape[1:]), fill) if value is None else value
                    for part, value in zip(parts, values, strict=True)
                ]
            columns[name] = None if known is None else torch.cat(values)
        return cls(**columns)

    @property
    @abstractmethod
    def has_expected(self) -> bool:
        """True if noise-free counts are stored, around which noise can be drawn."""

    @abstractmethod
    def redraw(self, generator: torch.Generator) -> Self:
        """Draw fresh Poisson noise around the noise-free counts."""
