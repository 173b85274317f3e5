"""Reports as one HTML page that needs nothing from outside it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wolter.report.table import GROUPS, html_cells

if TYPE_CHECKING:
    from wolter.report.write import Report

TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Figure:
    """A figure: its title, what is to be seen in it, and its PNG."""

    title: str
    caption: str
    png: bytes

    @property
    def base64(self) -> str:
        """The PNG as text."""
        return base64.b64encode(self.png).decode()


def render(
    report: "Report", figures: Mapping[str, Figure], facts: Mapping[str, Mapping[str, Any]]
) -> str:
    """HTML page of a report.

    Args:
        report: report of an evaluation.
        figures: by file name, in the order in which they appear.
        facts: titles of tables of facts, and their rows; empty values are left out.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    return templates.get_template("report.html").render(
        report=report,
        figures=figures.values(),
        facts={title: _rows(rows) for title, rows in facts.items()},
        groups=GROUPS,
        cells=html_cells,
        policy=POLICY,
    )


def _rows(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Lines of text by name; values that tell nothing are left out."""
    return {
        name: _lines(value) for name, value in values.items() if value not in ("", None, [], {}, ())
    }


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name} = {', '.join(_lines(each))}" for name, each in value.items()]
    return [value if isinstance(value, str) else json.dumps(value)]
