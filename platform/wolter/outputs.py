"""Outputs and metrics of model families, with units and directions.

Tables, VOTables, JSON, OpenAPI, reports and searches are made from these, never from names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Axes = str
"""One letter an axis after the batch: "" one number a record, "S" samples, "P" parameters, "L"
latents, "K" components, "C" channels, "H" rows, "W" columns; "KC" is one spectrum a component."""


@dataclass(frozen=True)
class Output:
    """One quantity that a family predicts of a record.

    Attributes:
        name: key in the dictionary that `Family.predict` returns; column of tables.
        about: description in a few words.
        unit: unit in the syntax of FITS and VOTable; empty for a pure number.
        axes: see `Axes`.
        ucd: IVOA Unified Content Descriptor (UCD1+); empty where none fits.
    """

    name: str
    about: str
    unit: str = ""
    axes: Axes = ""
    ucd: str = ""

    def __post_init__(self) -> None:
        """Check the name and the description."""
        if not self.name or not self.about:
            raise ValueError(f"output {self.name!r}: give it a name and a description")


@dataclass(frozen=True)
class Metric:
    """One figure of merit that a family measures on held-out batches.

    Attributes:
        name: key in the dictionary that `Family.measure` returns.
        better: better values: lower or higher.
        about: description in a few words.
        unit: unit of the value; empty for a pure number.
        headline: shown after each epoch.
    """

    name: str
    better: Literal["lower", "higher"]
    about: str = ""
    unit: str = ""
    headline: bool = False

    def __post_init__(self) -> None:
        """Check the direction."""
        if self.better not in ("lower", "higher"):
            raise ValueError(f"metric {self.name}: better = {self.better!r}; give lower or higher")


def mismatch(outputs: Iterable[Output], values: Mapping[str, Tensor], n: int) -> str:
    """Mismatch between predictions and declared outputs; empty where they agree.

    Args:
        outputs: as declared.
        values: as predicted.
        n: records in the batch.
    """
    declared = {output.name: output for output in outputs}
    if missing := declared.keys() - values.keys():
        return f"{', '.join(sorted(missing))}: declared, and not predicted"
    if unknown := values.keys() - declared.keys():
        return f"{', '.join(sorted(unknown))}: predicted, and not declared"
    for name, value in values.items():
        if value.ndim != 1 + len(declared[name].axes) or len(value) != n:
            return (
                f"{name}: shape {tuple(value.shape)} for {n} records, declared with the axes "
                f"{declared[name].axes!r}"
            )
    return ""
