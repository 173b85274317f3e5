"""Watchlists: lists of positions that are kept, and answered for each release.

One SQLite file holds the lists and their answers, each owned by whoever a server says asks.
"""

import contextlib
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wolter.catalogue.cone import MOST_OF_MANY, check_cone, cones
from wolter.catalogue.position_lists import PositionList
from wolter.catalogue.store import Found, Snapshot
from wolter.errors import ConflictError
from wolter.home import home

MOST_LISTS = 20  # of one owner
MOST_MATCHES = 100_000  # rows of an answer
_TABLES = """
CREATE TABLE IF NOT EXISTS lists (
  owner TEXT, name TEXT, made TEXT, radius REAL, positions TEXT, PRIMARY KEY (owner, name)
);
CREATE TABLE IF NOT EXISTS answers (
  owner TEXT, name TEXT, release TEXT, made TEXT, rows BLOB, truncated INTEGER,
  PRIMARY KEY (owner, name, release),
  FOREIGN KEY (owner, name) REFERENCES lists ON DELETE CASCADE
);
"""


@dataclass(frozen=True)
class Watchlist:
    """A list of positions that is kept.

    Attributes:
        name: of the list.
        made: when it was kept, ISO 8601, UTC.
        radius: deg, around each position.
        positions: the positions.
        answered: names of the releases that have answered, in the order of their answers.
    """

    name: str
    made: str
    radius: float
    positions: PositionList
    answered: tuple[str, ...]


class Watchlists:
    """Watchlists in a SQLite file.

    Args:
        path: of the file; None is `$WOLTER_HOME/catalogue/watchlists.sqlite`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "catalogue" / "watchlists.sqlite"

    def keep(self, owner: str, name: str, radius: float, positions: PositionList) -> None:
        """Keep a list, in place of one of the same name and its answers.

        Raises:
            InputError: the radius is none; `ConflictError` where the owner has too many lists.
        """
        check_cone(0, 0, radius, MOST_OF_MANY)
        rows = zip(positions.names, positions.ra_P.tolist(), positions.dec_P.tolist(), strict=True)
        told = json.dumps(list(rows))
        with self._open() as database:
            database.execute("DELETE FROM lists WHERE owner = ? AND name = ?", (owner, name))
            counted = database.execute("SELECT count(*) FROM lists WHERE owner = ?", (owner,))
            if counted.fetchone()[0] >= MOST_LISTS:
                raise ConflictError(f"{MOST_LISTS} watchlists are kept already; delete one first")
            database.execute(
                "INSERT INTO lists VALUES (?, ?, ?, ?, ?)", (owner, name, _now(), radius, told)
            )

    def lists(self, owner: str) -> tuple[Watchlist, ...]:
        """All lists of an owner, by name."""
        with self._open() as database:
            rows = database.execute(
                "SELECT name, made, radius, positions FROM lists WHERE owner = ? ORDER BY name",
                (owner,),
            ).fetchall()
            return tuple(
                Watchlist(name, made, radius, _positions(told), _answered(database, owner, name))
                for name, made, radius, told in rows
            )

    def get(self, owner: str, name: str) -> Watchlist | None:
        """A list of an owner; None where there is none."""
        return next((each for each in self.lists(owner) if each.name == name), None)

    def delete(self, owner: str, name: str) -> bool:
        """Delete a list and its answers; False where there is none."""
        with self._open() as database:
            done = database.execute("DELETE FROM lists WHERE owner = ? AND name = ?", (owner, name))
            return done.rowcount > 0

    def answer(self, snapshot: Snapshot, owner: str, watchlist: Watchlist) -> Found:
        """Matches of a list in a release: as kept, or found now and kept.

        Answers from before the release was made are of another one of its name.
        """
        columns = tuple(column for column in snapshot.source.columns if column.principal)
        positions, release = watchlist.positions, snapshot.about.name
        with self._open() as database:
            kept = database.execute(
                "SELECT rows, truncated, made FROM answers"
                " WHERE owner = ? AND name = ? AND release = ?",
                (owner, watchlist.name, release),
            ).fetchone()
        if kept and _time(kept[2]) < _time(snapshot.about.made):
            kept = None
        found = cones(
            snapshot, positions.names, positions.ra_P, positions.dec_P, watchlist.radius,
            columns, 0 if kept else MOST_MATCHES,
        )  # fmt: skip
        if kept:
            rows = pq.read_table(io.BytesIO(kept[0]))
            return Found(rows, found.columns, bool(kept[1]), snapshot.about)
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO answers SELECT ?, ?, ?, ?, ?, ? "
                "WHERE EXISTS (SELECT 1 FROM lists WHERE owner = ? AND name = ? AND made = ?)",
                (owner, watchlist.name, release, _now(), _parquet(found.rows), found.truncated,
                 owner, watchlist.name, watchlist.made),
            )  # fmt: skip
        return found

    def answer_all(self, snapshot: Snapshot) -> int:
        """Answer all lists of all owners in a release, and keep the answers; how many lists."""
        with self._open() as database:
            owners = database.execute("SELECT DISTINCT owner FROM lists ORDER BY owner").fetchall()
        n = 0
        for (owner,) in owners:
            for watchlist in self.lists(owner):
                self.answer(snapshot, owner, watchlist)
                n += 1
        return n

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            database.executescript(_TABLES)
            with database:
                yield database


def _answered(database: sqlite3.Connection, owner: str, name: str) -> tuple[str, ...]:
    rows = database.execute(
        "SELECT release FROM answers WHERE owner = ? AND name = ? ORDER BY made, release",
        (owner, name),
    )
    return tuple(release for (release,) in rows)


def _positions(told: str) -> PositionList:
    names, ra, dec = zip(*json.loads(told), strict=True)
    return PositionList(names, np.array(ra, np.float64), np.array(dec, np.float64))


def _parquet(rows: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(rows, stream, compression="zstd")
    return stream.getvalue()


def _time(told: str) -> datetime:
    """A time as it is written, in UTC where it does not say."""
    time = datetime.fromisoformat(told)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
