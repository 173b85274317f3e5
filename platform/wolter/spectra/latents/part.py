"""Parts of an analysis of latents: tables, figures and single numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wolter.report.page import Figure
from wolter.report.table import Table


def _nothing() -> dict[str, Figure]:
    return {}


@dataclass(frozen=True)
class Part:
    """Result of one part of the analysis.

    Attributes:
        tables: the most important one first.
        metrics: single numbers of each model, by its label and their name.
        figures: makes the figures, by file name.
        remarks: what a reader must know.
    """

    tables: tuple[Table, ...] = ()
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    figures: Callable[[], Mapping[str, Figure]] = _nothing
    remarks: tuple[str, ...] = ()
