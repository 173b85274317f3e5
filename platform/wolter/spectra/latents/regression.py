"""Physical quantities read from representations, as tables of mean absolute errors.

Shapes: M source of the training split, N source that is judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wolter.report.table import Column, Line, Table
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.probes import (
    NEIGHBOURS,
    best_number,
    linear_values,
    nearest,
    neighbour_means,
    neighbour_medians,
    split_rows,
)
from wolter.spectra.latents.ratios import hardness_ratios
from wolter.spectra.latents.representations import RATIOS, Representation
from wolter.spectra.latents.scores import (
    ENOUGH,
    FEW,
    Score,
    by_counts,
    columns,
    mean_absolute_error,
)
from wolter.spectra.latents.sources import Array, Sources
from wolter.spectra.latents.study import Study

PUBLISHED = (
    "Pinciroli Vago et al. 2026, arXiv 2603.04516: 11,447 Chandra spectra, k-nearest neighbours "
    "with k = 3; as a third-party summary tells it, of catalogue values and another selection"
)
PUBLISHED_ERRORS = {
    "spectra alone": {"hard_hs": 0.20, "slope": 0.65},
    "mixture of experts": {"hard_hs": 0.12, "slope": 0.41},
}


@dataclass(frozen=True)
class Quantity:
    """A physical quantity that is read from representations.

    Attributes:
        name: column of tables.
        label: name of the label that it is made of.
        heading: of its column.
        unit: of the quantity.
        logarithm: it is the decimal logarithm of the label.
    """

    name: str
    label: str
    heading: str
    unit: str = ""
    logarithm: bool = False

    def of(self, sources: Sources) -> Array:
        """Values (N), NaN where they are not known."""
        value_N = sources.label(self.label)
        if not self.logarithm:
            return value_N
        positive_N: Array = np.where(value_N > 0, value_N, np.nan)
        return np.log10(positive_N)


QUANTITIES = (
    Quantity("hard_hs", "hard_hs", "hard_hs"),
    Quantity("hard_hm", "hard_hm", "hard_hm"),
    Quantity("hard_ms", "hard_ms", "hard_ms"),
    Quantity("log_nh", "nh", "log nH", "dex", logarithm=True),
    Quantity("slope", "slope", "slope"),
    Quantity("log_kt", "kt", "log kT", "dex", logarithm=True),
)
DETAILED = ("hard_hs", "slope")
"""Quantities with a table by counts."""

Regress = Callable[[Array, Array, Array], Array]
"""From numbers and values to learn from, and numbers to judge, to values."""


def methods(seed: int) -> dict[str, tuple[str, Regress]]:
    """Ways to read a quantity: title and function by name."""

    def three(train: Array, value_M: Array, test: Array) -> Array:
        return neighbour_means(nearest(train, test, 3), value_M)

    def tuned(train: Array, value_M: Array, test: Array) -> Array:
        learn, held = split_rows(len(train), seed)
        near = nearest(train[learn], train[held])
        errors = [
            np.abs(neighbour_medians(near[:, :n], value_M[learn]) - value_M[held]).mean()
            for n in NEIGHBOURS
        ]
        number = best_number([-error for error in errors])
        return neighbour_medians(nearest(train, test, number), value_M)

    return {
        "knn3": ("3 nearest", three),
        "knn": ("nearest, tuned", tuned),
        "linear": ("ridge", linear_values),
    }


def known_quantities(train: Sources, test: Sources) -> tuple[Quantity, ...]:
    """Those that enough sources of both splits have."""

    def enough(each: Quantity) -> bool:
        return all(np.isfinite(each.of(some)).sum() >= FEW for some in (train, test))

    return tuple(each for each in QUANTITIES if enough(each))


def regress(
    representation: Representation, quantity: Quantity, by: Regress, train: Sources, test: Sources
) -> Array:
    """Values (N) read from a representation, NaN where the truth is not known."""
    value_M, truth_N = quantity.of(train), quantity.of(test)
    learn_M, judged_N = np.isfinite(value_M), np.isfinite(truth_N)
    told_N = np.full(len(truth_N), np.nan)
    told_N[judged_N] = by(
        representation.train_ND[learn_M], value_M[learn_M], representation.test_ND[judged_N]
    )
    return told_N


def errors(truth_N: Array, told_N: Array, counts_N: Array) -> dict[str, Score]:
    """Mean absolute errors by counts."""
    return by_counts(lambda mask: mean_absolute_error(truth_N[mask], told_N[mask]), counts_N)


def measured_ratios(quantities: Sequence[Quantity], test: Sources) -> dict[str, Array]:
    """Estimates (N) without any learning, of the quantities that counts alone give."""
    return {
        name: value
        for name, value in hardness_ratios(test).items()
        if name in {each.name for each in quantities}
    }


Found = Mapping[str, Mapping[str, Mapping[str, Score]]]
"""Scores by row, quantity and range of counts."""


def summary_table(
    found: Found, groups: Mapping[str, str], quantities: Sequence[Quantity], origin: str
) -> Table:
    """Errors of every quantity for sources of `ENOUGH` counts, beside published ones."""
    return Table(
        f"Mean absolute error, sources of {ENOUGH.low:g} counts and more",
        tuple(Column(each.name, each.heading, each.unit) for each in quantities),
        (
            *_lines(found, groups, origin, {q.name: (q.name, ENOUGH.name) for q in quantities}),
            *_published({q.name: q.name for q in quantities}),
        ),
    )


def detailed_table(
    found: Found, groups: Mapping[str, str], quantity: Quantity, origin: str
) -> Table:
    """Errors of one quantity by counts."""
    ranges = columns("least")
    return Table(
        f"Mean absolute error of {quantity.heading}, by counts",
        ranges,
        (
            *_lines(found, groups, origin, {c.name: (quantity.name, c.name) for c in ranges}),
            *_published({"all": quantity.name}),
        ),
    )


def _lines(
    found: Found, groups: Mapping[str, str], origin: str, cells: Mapping[str, tuple[str, str]]
) -> list[Line]:
    lines = []
    for label, scores in found.items():
        known = {
            column: scores[name][counts]
            for column, (name, counts) in cells.items()
            if name in scores and counts in scores[name]
        }
        lines.append(
            Line(
                f"{label} ({origin})",
                groups[label],  # type: ignore[arg-type]
                {column: score.value for column, score in known.items()},
                {column: score.error for column, score in known.items()},
            )
        )
    return lines


def _published(cells: Mapping[str, str]) -> list[Line]:
    found = []
    for label, values in PUBLISHED_ERRORS.items():
        known = {column: values[name] for column, name in cells.items() if name in values}
        if known:
            found.append(Line(f"{label} (real)", "published", known, {}, PUBLISHED))
    return found


def part(study: Study) -> Part:
    """Physical quantities by nearest neighbours and linear probes."""
    train, test = study.train, study.test
    quantities = known_quantities(train, test)
    found: dict[str, dict[str, dict[str, Score]]] = {}
    groups: dict[str, str] = {}
    for each in study.representations:
        for title, by in methods(study.options.seed).values():
            row = f"{each.label}, {title}"
            groups[row] = each.group
            found[row] = {
                q.name: errors(q.of(test), regress(each, q, by, train, test), test.counts_N)
                for q in quantities
            }
    direct = measured_ratios(quantities, test)
    row = f"{RATIOS}, as measured"
    groups[row] = "baseline"
    found[row] = {
        q.name: errors(q.of(test), direct[q.name], test.counts_N)
        for q in quantities
        if q.name in direct
    }
    tables = [summary_table(found, groups, quantities, study.origin)]
    tables += [
        detailed_table(found, groups, q, study.origin) for q in quantities if q.name in DETAILED
    ]
    metrics = {
        label: {
            f"mae_{q.name}_{name}": found[f"{label}, {title}"][q.name]["from_40"].value
            for name, (title, _) in methods(study.options.seed).items()
            for q in quantities
            if "from_40" in found[f"{label}, {title}"][q.name]
        }
        for label in study.labels
    }
    return Part(tuple(tables), metrics)
