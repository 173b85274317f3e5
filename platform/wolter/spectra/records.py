"""Spectra of a request as one batch, with what is told of each.

Shapes: B spectra.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wolter.spectra.reading import Record
from wolter.spectra.schema import SpectraBatch


@dataclass(frozen=True)
class Records:
    """Spectra that are answered together; ten thousand batches of one would take longer to make.

    Attributes:
        names: of the files, or as the request tells them.
        batch: one row a spectrum (B).
        flags: remarks on how each was read; see `Record`.
        exposure_s: exposures as the files say, s.
    """

    names: Sequence[str]
    batch: SpectraBatch
    flags: Sequence[tuple[str, ...]]
    exposure_s: Sequence[float]

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Records":
        """Records that were read singly."""
        return cls(
            [record.name for record in records],
            SpectraBatch.concatenate([record.batch for record in records]),
            [record.flags for record in records],
            [record.exposure_s for record in records],
        )

    def __len__(self) -> int:
        """Number of spectra."""
        return len(self.names)

    def __getitem__(self, part: slice) -> "Records":
        """Some of the spectra, of the same memory."""
        told = (self.flags[part], self.exposure_s[part])
        return Records(self.names[part], self.batch[part], *told)

    def remarks(self, found: Sequence[Sequence[str]]) -> list[list[str]]:
        """Flags of each spectrum: on how it was read, then those that were found."""
        return [[*own, *more] for own, more in zip(self.flags, found, strict=True)]
