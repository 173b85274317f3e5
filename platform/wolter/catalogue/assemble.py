"""Tables of a release from facts of detections and estimates of models.

Shapes: L latent, M sources, N detections, K estimates of a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wolter import __version__
from wolter.answering.quick_look import LookAxis
from wolter.answering.scoring import SampleAxis
from wolter.catalogue import grouping, tables
from wolter.catalogue.columns import Table
from wolter.catalogue.publish import Publication, chosen, published_columns
from wolter.catalogue.release import Release
from wolter.outputs import Output

HEALPIX_ORDER = 29
DIGITS = 4  # of estimates
PLACES = 8  # decimals of positions in deg: an error of 0.02 mas, in two thirds of the space
REAL, SIMULATED = "WLT", "SIM"  # first word of the names of sources


@dataclass(frozen=True)
class Estimated:
    """Estimates of one model.

    Attributes:
        model, version: name and version of the model.
        outputs: its columns.
        published: names of those that sources publish.
        detection_K: row of the detection of each estimate.
        table: columns usable, reason, flags, the outputs, and samples and looks where there are
            some.
        latents: names of the columns that are latents.
        axes: of the samples.
        look_axis: of the quick looks; None where there are none.
    """

    model: str
    version: str
    outputs: tuple[Output, ...]
    published: tuple[str, ...]
    detection_K: NDArray[np.int64]
    table: pa.Table
    latents: tuple[str, ...] = ()
    axes: tuple[SampleAxis, ...] = ()
    look_axis: LookAxis | None = None


@dataclass(frozen=True)
class Detections:
    """Detections of a release.

    Attributes:
        facts: see `wolter.answering.scoring.FACTS`; all of them have a position.
        given: identity of each detection's source where one is given, else empty.
        identifications: source's catalogue and name there, by row of `facts`.
    """

    facts: pa.Table
    given: Sequence[str]
    identifications: Mapping[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Assembled:
    """What a release is written from: description, rows by table, latents, samples' detections."""

    about: Release
    rows: dict[str, pa.Table]
    latents_ML: NDArray[np.float32] | None
    detection_id_N: NDArray[np.int64]


def assemble(
    name: str,
    about: str,
    simulated: bool,
    detections: Detections,
    estimated: Sequence[Estimated],
    publications: Sequence[Publication],
    label_N: NDArray[np.int64],
    source_id_M: NDArray[np.int64],
    detection_id_N: NDArray[np.int64],
    upper_limits: pa.Table | None = None,
    rejects: int = 0,
) -> Assembled:
    """Make all tables of a release.

    Args:
        name: name of the release.
        about: what it holds, in a sentence.
        simulated: its sources are simulated.
        detections: where and when.
        estimated: what models say.
        publications: what sources publish of each of them.
        label_N: number of each detection's source.
        source_id_M: identifiers of the sources.
        detection_id_N: identifiers of the detections.
        upper_limits: rows of that table; None for none.
        rejects: records that are left out.
    """
    facts, m = _placed(detections.facts), len(source_id_M)
    net_N = np.nan_to_num(_numbers(facts, "counts") - _numbers(facts, "background"))
    where = _places(facts, label_N, net_N, m, REAL if not simulated else SIMULATED)
    order_M = np.argsort(where["healpix"], kind="stable")
    estimates = {
        each.model: _estimates(each, name, detection_id_N, source_id_M[label_N])
        for each in estimated
    }
    published: dict[str, Any] = {}
    latents_ML, latents_of = None, ""
    for each, publication in zip(estimated, publications, strict=True):
        table, at_K = estimates[each.model], each.detection_K
        usable_K = table["usable"].to_numpy() == 1
        row_M = chosen(label_N[at_K], usable_K, net_N[at_K], m)
        published |= published_columns(publication, table, row_M)
        if each.latents and latents_ML is None:
            latents_ML, latents_of = _latents(each, table, row_M), each.model
    source_rows = _sources(facts, where, label_N, source_id_M, detection_id_N) | published
    source = tables.source([column for each in publications for column in each.own])
    described = (
        source,
        tables.DETECTION,
        tables.IDENTIFICATION,
        tables.UPPER_LIMIT,
        *(
            tables.estimates(p.model, f"Estimates of the model {p.model}, one of each detection.",
                             p.columns)
            for p in publications
        ),
    )  # fmt: skip
    rows = {
        source.name: _table(source, source_rows | {"release": [name] * m}).take(pa.array(order_M)),
        "detection": _detections(facts, where, label_N, source_id_M, detection_id_N, name),
        "identification": _identifications(detections, label_N, source_id_M, name),
        "upper_limit": _upper_limits(upper_limits, name),
    }
    for table in described[4:]:
        rows[table.name] = _by_source(_table(table, _columns(estimates[table.name])))
    made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    models = {each.model: each.version for each in estimated}
    counted = {table.name: len(rows[table.name]) for table in described}
    release = Release(name, made, simulated, about, described, counted, models, latents_of,
                      __version__, rejects)  # fmt: skip
    kept = None if latents_ML is None else latents_ML[order_M]
    return Assembled(release, rows, kept, detection_id_N)


def _placed(facts: pa.Table) -> pa.Table:
    """Facts with positions of `PLACES` decimals."""
    ra, dec = (np.round(_numbers(facts, name), PLACES) for name in ("ra", "dec"))
    for name, values in (("ra", ra % 360), ("dec", dec)):
        facts = facts.set_column(facts.column_names.index(name), name, pa.array(values))
    return facts


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].to_numpy(), np.float64)


def _places(
    facts: pa.Table, label_N: NDArray[np.int64], net_N: NDArray[np.float64], m: int, prefix: str
) -> dict[str, Any]:
    """Position of each source, that of its detection of least error, and its best detection."""
    import cdshealpix.nested
    from astropy.coordinates import Latitude, Longitude
    from astropy.units import deg

    ra, dec, error = (_numbers(facts, name) for name in ("ra", "dec", "pos_err"))
    nearest_M, best_M = np.empty(m, np.int64), np.empty(m, np.int64)
    order = np.lexsort((np.arange(len(error)), error))[::-1]
    nearest_M[label_N[order]] = order
    order = np.lexsort((net_N,))
    best_M[label_N[order]] = order
    ra_M, dec_M = ra[nearest_M], dec[nearest_M]
    cell = cdshealpix.nested.lonlat_to_healpix(
        Longitude(ra_M * deg), Latitude(dec_M * deg), HEALPIX_ORDER
    )
    return {
        "ra": ra_M,
        "dec": dec_M,
        "pos_err": error[nearest_M],
        "name": grouping.name_of(ra_M, dec_M, prefix),
        "healpix": cell.astype(np.int64),
        "best": best_M,
        "net": net_N,
    }


def _sources(
    facts: pa.Table,
    where: Mapping[str, Any],
    label_N: NDArray[np.int64],
    source_id_M: NDArray[np.int64],
    detection_id_N: NDArray[np.int64],
) -> dict[str, Any]:
    m, best_M = len(source_id_M), where["best"]
    first_M, last_M = np.full(m, np.inf), np.full(m, -np.inf)
    np.fmin.at(first_M, label_N, _numbers(facts, "t_start"))
    np.fmax.at(last_M, label_N, _numbers(facts, "t_stop"))
    best = facts.take(pa.array(best_M))
    return {
        "source_id": source_id_M,
        **{name: where[name] for name in ("name", "ra", "dec", "pos_err")},
        tables.HEALPIX: where["healpix"],
        "n_detections": np.bincount(label_N, minlength=m),
        "best_detection_id": detection_id_N[best_M],
        "t_first": first_M,
        "t_last": last_M,
        "instrument": best["instrument"],
        "exposure_s": best["exposure_s"],
        "counts": best["counts"],
        "net_counts": where["net"][best_M],
    }


def _detections(
    facts: pa.Table,
    where: Mapping[str, Any],
    label_N: NDArray[np.int64],
    source_id_M: NDArray[np.int64],
    detection_id_N: NDArray[np.int64],
    name: str,
) -> pa.Table:
    columns = {column: facts[column] for column in facts.column_names} | {
        "detection_id": detection_id_N,
        "source_id": source_id_M[label_N],
        "net_counts": where["net"],
        "record": [record.rpartition("/")[2] for record in facts["record"].to_pylist()],
        "release": [name] * len(facts),
    }
    return _by_source(_table(tables.DETECTION, columns))


def _estimates(
    each: Estimated, name: str, detection_id_N: NDArray[np.int64], source_id_N: NDArray[np.int64]
) -> pa.Table:
    k, table = len(each.detection_K), each.table
    columns = {
        "detection_id": pa.array(detection_id_N[each.detection_K]),
        "source_id": pa.array(source_id_N[each.detection_K]),
        "model_name": pa.array([each.model] * k, pa.string()),
        "model_version": pa.array([each.version] * k, pa.string()),
        "release": pa.array([name] * k, pa.string()),
        "usable": table["usable"].cast(pa.int16()),
        "reason": table["reason"],
        "flags": table["flags"],
    }
    columns |= {output.name.lower(): _short(table[output.name]) for output in each.outputs}
    return pa.table(columns)


def _short(values: pa.ChunkedArray) -> pa.Array:
    """Numbers of `DIGITS` digits: all that an estimate tells, in half the space on disk."""
    number = np.asarray(values.to_numpy(), np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(number))))
        rounded = np.rint(number * power) / power
    found: pa.Array = pa.array(np.where(np.isfinite(rounded), rounded, number).astype(np.float32))
    return found


def _latents(each: Estimated, table: pa.Table, row_M: NDArray[np.int64]) -> NDArray[np.float32]:
    """Latents (M, L) of usable estimates; NaN where there is none."""
    found_KL = np.stack([table[n.lower()].to_numpy() for n in each.latents], 1).astype(np.float32)
    usable_K = table["usable"].to_numpy() == 1
    good_M = (row_M >= 0) & usable_K[row_M] if len(usable_K) else np.zeros(len(row_M), bool)
    latents_ML = np.full((len(row_M), len(each.latents)), np.nan, np.float32)
    latents_ML[good_M] = found_KL[row_M[good_M]]
    return latents_ML


def _identifications(
    detections: Detections, label_N: NDArray[np.int64], source_id_M: NDArray[np.int64], name: str
) -> pa.Table:
    found = sorted(
        {
            (int(source_id_M[label_N[i]]), *pair)
            for i, pairs in detections.identifications.items()
            for pair in pairs
        }
    )
    columns: dict[str, Any] = {
        "source_id": [row[0] for row in found],
        "catalogue": [row[1] for row in found],
        "identifier": [row[2] for row in found],
        "separation": [np.nan] * len(found),
        "release": [name] * len(found),
    }
    return _table(tables.IDENTIFICATION, columns)


def _upper_limits(rows: pa.Table | None, name: str) -> pa.Table:
    if rows is None:
        return tables.UPPER_LIMIT.schema.empty_table()
    return _table(tables.UPPER_LIMIT, _columns(rows) | {"release": [name] * len(rows)})


def _by_source(table: pa.Table) -> pa.Table:
    """Rows in the order of sources, so that those of one are together and identifiers take less."""
    return table.sort_by([("source_id", "ascending"), ("detection_id", "ascending")])


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name] for name in table.column_names}


def _table(table: Table, columns: Mapping[str, Any]) -> pa.Table:
    """Rows of a table; what is no number is null."""
    arrays = []
    for column in table.columns:
        values = columns[column.name]
        if not isinstance(values, pa.Array | pa.ChunkedArray):
            values = pa.array(values)
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_finite(values), values, None)
        arrays.append(values.cast(column.arrow, safe=False))
    return pa.Table.from_arrays(arrays, schema=table.schema)
