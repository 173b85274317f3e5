"""Pages of the catalogue: what each shows, from an open release.

Shapes: N rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from wolter.catalogue import quick_looks
from wolter.catalogue.columns import Table
from wolter.catalogue.cone import SEPARATION, cone
from wolter.catalogue.neighbours import similar_to_source
from wolter.catalogue.store import Snapshot, quoted
from wolter.catalogue.tables import ESTIMATE, HEALPIX
from wolter.errors import InputError
from wolter.serve.look_picture import svg
from wolter.serve.web.asked import Identifier, Name, understand
from wolter.serve.web.shown import Shown, estimate, principal, shown, text_of
from wolter.serve.web.shown_pictures import shown_pictures

ROWS = 200  # of a page
SIMILAR = 8
ARCMIN = 1 / 60  # deg
RADIUS = 5.0  # arcmin, where none is given
DOWNLOADS = ("votable", "csv", "fits", "parquet", "json")


@dataclass(frozen=True)
class Asked:
    """What the search fields hold."""

    q: str = ""
    radius: float = RADIUS


@dataclass(frozen=True)
class Results:
    """Results of a search.

    Attributes:
        title: of the page.
        count: how many were found, in words.
        shown: rows.
        downloads: address by format.
        lone: identifier of the source, where a name or an identifier names exactly one.
    """

    title: str
    count: str
    shown: Shown
    downloads: Mapping[str, str]
    lone: int | None = None


@dataclass(frozen=True)
class Look:
    """Quick look at a detection.

    Attributes:
        picture: in SVG.
        detection_id: identifier of the detection.
        observation_id, instrument: of its observation.
        model: whose expectation is shown.
        reason: why the estimate of that model is not usable; empty where it is, and where the
            model expects nothing.
    """

    picture: str
    detection_id: int
    observation_id: str
    instrument: str
    model: str
    reason: str


def search(snapshot: Snapshot, asked: Asked) -> Results:
    """Search by identifier, name or position.

    Raises:
        InputError: the text means nothing, or nothing has this name.
    """
    meant = understand(asked.q)
    if isinstance(meant, Identifier):
        by_id(snapshot, meant.source_id)
        return _named(snapshot, [meant.source_id], asked)
    if isinstance(meant, Name):
        return _named(snapshot, _ids_of(snapshot, meant.text), asked)
    columns = principal(snapshot.source)
    radius = asked.radius * ARCMIN
    found = cone(snapshot, meant.ra, meant.dec, radius, columns, ROWS)
    where = {"ra": meant.ra, "dec": meant.dec, "radius": radius}
    rows = found.rows.to_pylist()
    arcsec = replace(SEPARATION, unit="arcsec", datatype="float")
    for row in rows:
        row[SEPARATION.name] *= 3600
    nearest = f"the nearest {ROWS} are shown" if found.truncated else "nearest first"
    number = f"More than {ROWS} sources" if found.truncated else _plural(len(rows))
    return Results(
        f"Sources near {meant.ra:.6f} {meant.dec:+.6f}",
        f"{number} within {asked.radius:g} arcmin; {nearest}.",
        shown((*columns[:2], arcsec, *columns[2:]), rows),
        _downloads("cone", where),
    )


def by_id(snapshot: Snapshot, source_id: int) -> dict[str, Any]:
    """Row of a source.

    Raises:
        InputError: there is none.
    """
    rows = rows_of(snapshot, snapshot.source, source_id)
    if not rows:
        raise InputError(f"no source {source_id} in release {snapshot.about.name}; search by name")
    return rows[0]


def rows_of(snapshot: Snapshot, table: Table, source_id: int) -> list[dict[str, Any]]:
    """Rows of a table that belong to a source, in the order of the table."""
    names = ", ".join(quoted(column.name) for column in table.columns)
    sql = f"SELECT {names} FROM {quoted(table.name)} WHERE source_id = ? ORDER BY rowid LIMIT ?"
    found: pa.Table = snapshot.query(sql, [source_id, ROWS])
    return found.to_pylist()  # type: ignore[no-any-return]


def source(snapshot: Snapshot, source_id: int) -> dict[str, Any]:
    """What the page of a source shows, by name.

    Raises:
        InputError: there is no such source.
    """
    row = by_id(snapshot, source_id)
    by_name = {table.name: table for table in snapshot.about.tables}
    models = [table for table in snapshot.about.tables if _estimates(table)]
    facts = [c for c in snapshot.source.columns if not _published(c.name, models)]
    parts = {
        name: shown(principal(by_name[name]), rows_of(snapshot, by_name[name], source_id))
        for name in ("detection", "identification", "upper_limit")
        if name in by_name
    }
    pictures, more = shown_pictures(snapshot, row)
    return {
        "source": row,
        "pictures": pictures,
        "more_pictures": more,
        "facts": [
            (column, text_of(row[column.name], column))
            for column in facts
            if column.name != HEALPIX
        ],
        "estimates": [
            estimate(table, table.columns[len(ESTIMATE) :], each)
            for table in models
            for each in rows_of(snapshot, table, source_id)
        ],
        "detections": parts.get("detection"),
        "identifications": parts.get("identification"),
        "limits": parts.get("upper_limit"),
        "similar": similar(snapshot, source_id),
        "looks": looks(snapshot, source_id, row["best_detection_id"]),
    }


def looks(snapshot: Snapshot, source_id: int, best: int) -> list[Look]:
    """Quick looks at the detections of a source, the best detection first."""
    sql = """SELECT detection_id, observation_id, instrument FROM detection
        WHERE source_id = ? ORDER BY detection_id <> ?, rowid LIMIT ?"""
    found = []
    rows = snapshot.query(sql, [source_id, best, ROWS]).to_pylist()
    kept = quick_looks.read(snapshot.path, [row["detection_id"] for row in rows])
    for row in rows:
        seen = kept.get(row["detection_id"])
        if seen is not None:
            told = {name: row[name] or "" for name in ("observation_id", "instrument")}
            found.append(
                Look(svg(seen), seen.detection_id, **told, model=seen.model, reason=seen.reason)
            )
    return found


def similar(snapshot: Snapshot, source_id: int) -> Shown | None:
    """Sources with the nearest latents; None where the release or the source has none."""
    columns = principal(snapshot.source)
    try:
        found = similar_to_source(snapshot, source_id, columns, SIMILAR)
    except InputError:
        return None
    return shown((found.columns[-1], *columns), found.rows.to_pylist())


def _named(snapshot: Snapshot, ids: Sequence[int], asked: Asked) -> Results:
    columns = principal(snapshot.source)
    names = ", ".join(quoted(column.name) for column in columns)
    sql = (
        f"SELECT {names} FROM source WHERE source_id IN (SELECT unnest(?::BIGINT[])) ORDER BY rowid"
    )
    rows = snapshot.query(sql, [list(ids)]).to_pylist()
    lone = ids[0] if len(ids) == 1 else None
    downloads = _downloads("ids", {"id": list(ids)})
    number = _plural(len(rows))
    return Results(f"Sources named {asked.q}", f"{number}.", shown(columns, rows), downloads, lone)


def _ids_of(snapshot: Snapshot, name: str) -> list[int]:
    """Identifiers of the sources with a name, here or in another catalogue.

    Raises:
        InputError: there is none.
    """
    sql = "SELECT source_id FROM source WHERE lower(name) = lower(?)"
    told = [name]
    if any(table.name == "identification" for table in snapshot.about.tables):
        sql += " UNION SELECT source_id FROM identification WHERE lower(identifier) = lower(?)"
        told.append(name)
    ids = snapshot.query(f"{sql} ORDER BY source_id LIMIT {ROWS}", told)["source_id"].to_pylist()
    if not ids:
        raise InputError(
            f"search: no source is named {name[:60]!r} in release {snapshot.about.name}; try its "
            "position"
        )
    return ids  # type: ignore[no-any-return]


def _estimates(table: Table) -> bool:
    return table.columns[: len(ESTIMATE)] == ESTIMATE


def _published(name: str, models: Sequence[Table]) -> bool:
    """True for columns of the table of sources that hold estimates."""
    own = {column.name for table in models for column in table.columns[len(ESTIMATE) :]}
    ours = tuple(f"{table.name}_" for table in models)
    return name in own or name.startswith(ours)


def _downloads(route: str, query: Mapping[str, Any]) -> dict[str, str]:
    return {
        form: f"/v1/catalogue/{route}?{urlencode({**query, 'format': form}, doseq=True)}"
        for form in DOWNLOADS
    }


def _plural(n: int) -> str:
    return f"{n} source{'' if n == 1 else 's'}"
