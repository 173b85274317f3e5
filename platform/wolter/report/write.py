"""Reports of evaluations: what every one of them tells, and its files.

A report is a page `report.html`, its figures as PNG, and `evaluation.json`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from wolter.report.page import Picture
    from wolter.report.table import Table


class Report(Protocol):
    """The result of an evaluation; the first model is the one in question."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Family and version of each model, as tables and figures name it."""

    @property
    def title(self) -> str:
        """Title of the page."""

    @property
    def lead(self) -> str:
        """The result in one sentence."""

    @property
    def tables(self) -> tuple["Table", ...]:
        """Tables, the most important one first."""

    @property
    def notes(self) -> str:
        """Definitions of what the tables hold."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know before comparing numbers."""

    @property
    def facts(self) -> Mapping[str, Mapping[str, Any]]:
        """Titles of tables of facts, and their rows: of the dataset, of each model's training."""

    def figures(self) -> dict[str, "Picture"]:
        """Figures by file name."""

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON."""

    def flat_metrics(self, model: int = 0) -> dict[str, float]:
        """Figures of one model under flat names, `<split>/<metric>`, for MLflow."""
