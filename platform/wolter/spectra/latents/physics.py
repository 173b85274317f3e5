"""Latents and physical quantities: correlations, mutual information, variability, as tables.

Shapes: L latent, N source, Q quantity.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wolter.report.page import Figure
from wolter.report.table import Column, Line, Table
from wolter.spectra.latents.dependence import (
    Excess,
    at_fixed_counts,
    information_by_cells,
    mutual_information,
    pearson,
    spearman,
)
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.regression import QUANTITIES, Quantity
from wolter.spectra.latents.representations import LATENT
from wolter.spectra.latents.scores import FEW
from wolter.spectra.latents.sources import Array, Sources
from wolter.spectra.latents.study import Study

PUBLISHED = (
    "Pinciroli Vago et al. 2026, arXiv 2603.04516: strongest |Pearson| of one of 64 latents, as a "
    "third-party summary tells it; kT of the thermal plasma fit"
)
PUBLISHED_STRONGEST = {"hard_hs": 0.82, "log_kt": 0.74, "slope": 0.68}
_FLUX = Quantity("log_flux", "flux_b", "log flux", "dex", logarithm=True)
VARIABILITY = {"var_intra_prob": "within", "var_inter_prob": "between"}
_CELL_PERMUTATIONS = 200


@dataclass(frozen=True)
class Map:
    """Dependence of every latent on every quantity.

    Attributes:
        names: headings of the quantities.
        spearman_LQ, pearson_LQ: correlations; NaN where few sources have the quantity.
        information_LQ: mutual information, nats.
    """

    names: tuple[str, ...]
    spearman_LQ: Array
    pearson_LQ: Array
    information_LQ: Array


def quantities(test: Sources) -> dict[str, tuple[str, Array]]:
    """Heading and values (N) of the quantities that enough sources have, and of their counts."""
    counts_N = np.log10(np.maximum(test.counts_N, 1))
    known = {q.name: (q.heading, q.of(test)) for q in (*QUANTITIES, _FLUX)}
    found = {name: pair for name, pair in known.items() if np.isfinite(pair[1]).sum() >= FEW}
    return found | {"log_counts": ("log counts", counts_N)}


def dependence_map(latent_NL: Array, columns: Mapping[str, tuple[str, Array]], seed: int) -> Map:
    """Correlations and mutual information of every latent with every quantity."""
    values = [value_N for _, value_N in columns.values()]

    def table(of: object) -> Array:
        assert callable(of)
        return np.array([[of(latent_N, value_N) for value_N in values] for latent_N in latent_NL.T])

    return Map(
        tuple(heading for heading, _ in columns.values()),
        table(spearman),
        table(pearson),
        table(lambda a, b: mutual_information(a, b, seed)),
    )


def part(study: Study) -> Part:
    """Correlations and mutual information of latents, and variability at fixed counts."""
    columns = quantities(study.test)
    seed = study.options.seed
    maps = {
        label: dependence_map(outputs[LATENT], columns, seed)
        for label, outputs in study.tested.items()
    }
    heads = tuple(Column(name, heading, "", "most") for name, (heading, _) in columns.items())
    tables = [_strongest(maps, heads, study.origin)]
    for label, each in maps.items():
        tables.append(_table(f"Spearman correlation: {label}", each.spearman_LQ, heads, study))
        title = f"Mutual information, nats: {label}"
        tables.append(_table(title, each.information_LQ, heads, study))
    tables += _variability(study)
    metrics = {
        label: {
            f"strongest_{head.name}": float(value)
            for head, value in zip(heads, _largest(each.spearman_LQ), strict=True)
            if np.isfinite(value)
        }
        for label, each in maps.items()
    }

    def figures() -> Mapping[str, Figure]:
        from wolter.spectra.latents.plots.physics_map import figures_of

        return figures_of(maps)

    return Part(tuple(tables), metrics, figures)


def _largest(value_LQ: Array) -> Array:
    return np.array(
        [
            np.nanmax(np.abs(column)) if np.isfinite(column).any() else np.nan
            for column in value_LQ.T
        ]
    )


def _strongest(maps: Mapping[str, Map], heads: tuple[Column, ...], origin: str) -> Table:
    lines = []
    for label, each in maps.items():
        for how, value_LQ in {"Spearman": each.spearman_LQ, "Pearson": each.pearson_LQ}.items():
            values = _known(_largest(value_LQ), heads)
            lines.append(Line(f"{label}, {how} ({origin})", "measured", values, {}))
    names = {head.name for head in heads}
    published = {k: v for k, v in PUBLISHED_STRONGEST.items() if k in names}
    lines.append(Line("spectra, Pearson (real)", "published", published, {}, PUBLISHED))
    return Table("Strongest |correlation| of one latent", heads, tuple(lines))


def _known(value_Q: Array, heads: tuple[Column, ...]) -> dict[str, float]:
    pairs = zip(heads, value_Q, strict=True)
    return {head.name: float(value) for head, value in pairs if np.isfinite(value)}


def _table(title: str, value_LQ: Array, heads: tuple[Column, ...], study: Study) -> Table:
    plain = tuple(Column(head.name, head.heading, "", "none") for head in heads)
    lines = [
        Line(f"latent {i} ({study.origin})", "measured", _known(row_Q, heads), {})
        for i, row_Q in enumerate(value_LQ)
    ]
    return Table(title, plain, tuple(lines))


def _variability(study: Study) -> list[Table]:
    """A table of each model and probability of variability."""
    tables = []
    for label, outputs in study.tested.items():
        for name, when in VARIABILITY.items():
            value_N = study.test.feature(name)
            if np.isfinite(value_N).sum() < FEW:
                continue
            lines = _variability_lines(outputs[LATENT], value_N, study)
            if lines:
                title = f"Variability {when} observations, at fixed counts: {label}"
                tables.append(Table(title, _VARIABILITY, lines))
    return tables


_VARIABILITY = (
    Column("rho", "Spearman", "", "none"),
    Column("fixed", "at fixed counts", "", "none"),
    Column("low", "less chance, low", "95 %", "none"),
    Column("high", "high", "95 %", "none"),
    Column("information", "information at fixed counts", "nat", "none"),
    Column("information_low", "less chance, low", "95 %", "none"),
    Column("information_high", "high", "95 %", "none"),
)


def _variability_lines(latent_NL: Array, value_N: Array, study: Study) -> tuple[Line, ...]:
    lines = []
    for i, latent_N in enumerate(latent_NL.T):
        given = (latent_N, value_N, study.test.counts_N)
        monotonic = at_fixed_counts(*given, pearson, seed=study.options.seed)
        cells = at_fixed_counts(
            *given, information_by_cells, _CELL_PERMUTATIONS, study.options.seed
        )
        if monotonic is None or cells is None:
            return ()
        survives = monotonic.survives or cells.low > 0
        values = {"rho": spearman(latent_N, value_N), **_excess("", monotonic, "fixed")}
        values |= _excess("information_", cells, "information")
        name = f"latent {i}{', survives' if survives else ''} ({study.origin})"
        lines.append(Line(name, "measured", values, {}))
    return tuple(lines)


def _excess(prefix: str, excess: Excess, name: str) -> dict[str, float]:
    return {name: excess.value, f"{prefix}low": excess.low, f"{prefix}high": excess.high}
