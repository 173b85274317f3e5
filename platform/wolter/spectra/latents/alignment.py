"""Alignment of spectra with catalogue rows: how far down the true partner ranks.

Shapes: K key, L latent, N source, Q query, R ratio.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from wolter.report.table import Column, Group, Line, Table
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.ratios import RATIOS, band_fluxes, ratio
from wolter.spectra.latents.sources import Array, Indices, Outputs, Sources
from wolter.spectra.latents.study import Study

ROW_LATENT = "row_latent"  # output of families that read catalogue rows, in the latents' space
PUBLISHED = {"recall_1": 20.0, "recall_5": 50.0, "median_rank": 100 * 84 / 1719}
PUBLISHED_SOURCE = "arXiv:2603.04516: 1,719 sources, summaries in words in place of rows"
COLUMNS = (
    Column("recall_1", "recall@1 %", "%", "most"),
    Column("recall_5", "recall@5 %", "%", "most"),
    Column("median_rank", "median rank", "% of sources"),
)
MOST = 5000  # sources: ranks are of all pairs


def similarity(query_QL: Array, key_KL: Array) -> Array:
    """Inner products (Q, K)."""
    product_QK: Array = query_QL @ key_KL.T
    return product_QK


def closeness(query_QL: Array, key_KL: Array) -> Array:
    """Euclidean distances with their sign changed (Q, K); unknown numbers are of no weight."""
    difference_QKL = query_QL[:, None] - key_KL
    distance_QK: Array = -np.sqrt(np.nanmean(difference_QKL**2, axis=2))
    return distance_QK


def ranks(similarity_NN: Array) -> Array:
    """Percentage of keys (N) that are more similar to a query than its own; equal ones half."""
    own_N1 = np.diagonal(similarity_NN)[:, None]
    above_N = (similarity_NN > own_N1).sum(1) + 0.5 * ((similarity_NN == own_N1).sum(1) - 1)
    percent_N: Array = 100 * above_N / len(similarity_NN)
    return percent_N


def nearest(query_QL: Array, key_KL: Array, n: int) -> Indices:
    """Search across spectra and rows: indices (Q, n) of the most similar keys, the best first.

    Args:
        query_QL: unit vectors of spectra, or of rows.
        key_KL: unit vectors of rows, or of spectra.
        n: keys to find for each query.
    """
    found: Indices = np.argsort(-similarity(query_QL, key_KL), axis=1, kind="stable")[:, :n]
    return found


def aligned(test: Sources, outputs: Mapping[str, Outputs]) -> Table | None:
    """Table of ranks of models that read catalogue rows, and of band ratios alone.

    None where no model does, or no source has a row.

    Args:
        test: the sources that are judged; at most `MOST` are used.
        outputs: outputs of every model for them.
    """
    models = {label: values for label, values in outputs.items() if ROW_LATENT in values}
    rows_NX = _rows(test)
    known_N = np.isfinite(rows_NX).all(1)
    for values in models.values():
        known_N &= np.isfinite(values[ROW_LATENT]).all(1)
    chosen_N = np.flatnonzero(known_N)[:MOST]
    if not models or len(chosen_N) < 2:
        return None
    lines = []
    for label, values in models.items():
        both = (values["latent"][chosen_N], values[ROW_LATENT][chosen_N])
        lines.append(_line(f"{label}, spectrum finds row", "measured", similarity(*both)))
        lines.append(_line(f"{label}, row finds spectrum", "measured", similarity(*both[::-1])))
    spectra_NX = _measured(test)[chosen_N]
    rows_NX = rows_NX[chosen_N]
    n = len(RATIOS)
    lines.append(_line("hardness ratios", "baseline", closeness(spectra_NX[:, :n], rows_NX[:, :n])))
    scale_X = rows_NX.std(0) + 1e-9
    whole = closeness(spectra_NX / scale_X, rows_NX / scale_X)
    lines.append(_line("hardness ratios and flux", "baseline", whole))
    lines.append(Line("published", "published", PUBLISHED, {}, PUBLISHED_SOURCE))
    title = f"Spectra and catalogue rows of {len(chosen_N):,} sources"
    return Table(title, COLUMNS, tuple(lines))


def figures_of(rank_N: Array) -> dict[str, float]:
    """Recall within the first 1 and 5 %, and median rank, all in percent."""
    return {
        "recall_1": float(100 * (rank_N < 1).mean()),
        "recall_5": float(100 * (rank_N < 5).mean()),
        "median_rank": float(np.median(rank_N)),
    }


def _line(label: str, group: Group, similarity_NN: Array) -> Line:
    rank_N = ranks(similarity_NN)
    found, n = figures_of(rank_N), len(rank_N)
    deviations = {
        name: float(np.sqrt(found[name] * (100 - found[name]) / n))
        for name in ("recall_1", "recall_5")
    }
    return Line(label, group, found, deviations)


def _rows(sources: Sources) -> Array:
    """Hardness ratios and logarithm of the flux (N, R + 1) of the catalogue rows."""
    flux = {name: 10 ** sources.feature(f"log_flux_{name}") for name in ("s", "m", "h")}
    return _ratios_and_flux(flux)


def _measured(sources: Sources) -> Array:
    """The same of the spectra's own counts."""
    kev = 1.602177e-9  # erg
    return _ratios_and_flux({name: kev * f_N for name, f_N in band_fluxes(sources).items()})


def _ratios_and_flux(flux: Mapping[str, Array]) -> Array:
    ratios = [ratio(flux[x], flux[y]) for x, y in RATIOS.values()]
    total_N = flux["s"] + flux["m"] + flux["h"]
    return np.column_stack([*ratios, np.log10(np.maximum(total_N, 1e-20))])


def part(study: Study) -> Part:
    """Spectra and catalogue rows that find each other."""
    table = aligned(study.test, study.tested)
    if table is None:
        return Part()
    found = {line.label: line.values for line in table.lines}
    metrics = {
        label: dict(found[f"{label}, spectrum finds row"])
        for label in study.labels
        if f"{label}, spectrum finds row" in found
    }
    origins = {"published": "real"}
    lines = tuple(
        replace(line, label=f"{line.label} ({origins.get(line.group, study.origin)})")
        for line in table.lines
    )
    return Part((replace(table, lines=lines),), metrics)
