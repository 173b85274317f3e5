"""Positions of records: from a table, from their headers, or drawn at random."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.answering.scoring import FACTS
from wolter.catalogue.assemble import Detections
from wolter.catalogue.positions import Position, Positions

NO_POSITION = "no position in its header; give --positions"
DRAWN_ARCSEC = 1.0  # error of positions that are drawn


def place(
    facts: pa.Table, given: Positions, scatter: int | None
) -> tuple[Detections, NDArray[np.int64], list[tuple[str, str]]]:
    """Detections that have a position.

    A record that is in several datasets is one detection.

    Args:
        facts: of all records; see `wolter.answering.scoring.FACTS`.
        given: positions in place of those of the headers.
        scatter: seed of random places for records without a position; None rejects them.

    Returns:
        The detections, the detection of each row of facts (-1 for none), and the rejects.
    """
    records = facts["record"].to_pylist()
    sources = facts["source"].to_pylist()
    first: dict[str, int] = {}
    for i, record in enumerate(records):
        first.setdefault(record, i)
    columns: dict[str, Any] = {
        name: np.array(facts[name].to_numpy()) for name in ("ra", "dec", "pos_err")
    }
    origin = facts["pos_origin"].to_pylist()
    told: dict[int, Position] = {}
    for i in first.values():
        row = given.of(records[i], sources[i])
        if row is not None:
            told[i] = row
            columns["ra"][i], columns["dec"][i], columns["pos_err"][i] = (
                row.ra,
                row.dec,
                row.pos_err,
            )
            origin[i] = "table of positions"
    if scatter is not None:
        _scatter(columns, origin, scatter)
    kept: list[int] = []
    rejects: list[tuple[str, str]] = []
    detection: dict[str, int] = {}
    for record, i in first.items():
        if np.isfinite(columns["ra"][i]) and np.isfinite(columns["dec"][i]):
            detection[record] = len(kept)
            kept.append(i)
        else:
            rejects.append((record, NO_POSITION))
    whole = facts.select(FACTS.names)
    for name, values in (*columns.items(), ("pos_origin", origin)):
        at = FACTS.get_field_index(name)
        whole = whole.set_column(at, FACTS.field(at), [pa.array(values, FACTS.field(at).type)])
    row_of = np.array([detection.get(record, -1) for record in records])
    identified = {n: told[i].identifications for n, i in enumerate(kept) if i in told}
    sources_of = [told[i].source if i in told else "" for i in kept]
    return (
        Detections(whole.take(pa.array(kept, pa.int64())), sources_of, identified),
        row_of,
        rejects,
    )


def _scatter(columns: dict[str, Any], origin: list[str], seed: int) -> None:
    """Put records without a position anywhere on the sky."""
    rng = np.random.default_rng(seed)
    n = len(origin)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    for i in np.flatnonzero(~np.isfinite(columns["ra"])):
        columns["ra"][i], columns["dec"][i], columns["pos_err"][i] = ra[i], dec[i], DRAWN_ARCSEC
        origin[i] = "drawn at random: simulated"
