"""Tables of source detection in simulated fields, for a report."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from wolter.images.evaluate.matching import SEPARATIONS
from wolter.report.table import Column, Line, Table

FIGURES = (
    Column("completeness_at_half", "found", "where the input has 50 %", "most"),
    Column("completeness_at_filter_half", "found", "where the filtered input has", "most"),
    Column("flux_50", "flux of 50 %", "1e-15 cgs", "least"),
    Column("flux_ratio", "flux", "of the true", "none"),
    Column("offset_arcsec", "offset", "arcsec", "least"),
)


def source_tables(found: Mapping[str, Mapping[str, Any]], label: str) -> tuple[Table, ...]:
    """Completeness, fluxes and places; and pairs found as two by separation.

    Args:
        found: `wolter.images.evaluate.completeness.summary` by image.
        label: names the network.
    """
    if not found:
        return ()
    pairs = tuple(
        Column(f"{low:g}", f'{low:g}-{high:g}"', _pairs_unit(found, i), "most")
        for i, (low, high) in enumerate(pairwise(SEPARATIONS))
    )
    return (
        Table("Point sources at one purity", FIGURES, _lines(found, label, _figures)),
        Table("Share of close pairs found as two", pairs, _lines(found, label, _parted)),
    )


def _lines(
    found: Mapping[str, Mapping[str, Any]],
    label: str,
    values: Callable[[Mapping[str, Any]], dict[str, float]],
) -> tuple[Line, ...]:
    own = Line(label, "measured", values(found["network"]), {})
    others = (Line(k, "baseline", values(v), {}) for k, v in found.items() if k != "network")
    return (own, *others)


def _figures(each: Mapping[str, Any]) -> dict[str, float]:
    values = {
        "completeness_at_half": each.get("completeness_at_half"),
        "completeness_at_filter_half": each.get("completeness_at_filter_half"),
        "flux_50": None if each["flux_50"] is None else each["flux_50"] * 1e15,
        "flux_ratio": each["flux_ratio"]["median"],
        "offset_arcsec": each["offset_arcsec"]["median"],
    }
    return {name: value for name, value in values.items() if value is not None}


def _parted(each: Mapping[str, Any]) -> dict[str, float]:
    rows = each["pairs_resolved"]
    return {f"{row['low']:g}": row["share"] for row in rows if row["share"] is not None}


def _pairs_unit(found: Mapping[str, Mapping[str, Any]], i: int) -> str:
    row = next(iter(found.values()))["pairs_resolved"][i]
    if not row["n"]:
        return "none"
    return f"{row['n']} pairs, {row['counts']:.0f} counts, 1:{row['flux_ratio']:.1f}"
