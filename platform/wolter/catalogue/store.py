"""Read-only, hardened DuckDB over the releases of a catalogue: one cursor a query, bounded time.

A new current release answers from the next query on; the release before it is closed after its last
query. Older releases are opened when they are asked for by name.

Shapes: N sources, M rows that are found.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.catalogue import release as releases
from wolter.catalogue.columns import Column, Table
from wolter.catalogue.deadlines import Deadlines
from wolter.catalogue.release import Release
from wolter.errors import InputError, TooLargeError, UnavailableError

if TYPE_CHECKING:
    from wolter.catalogue.cone import Positions
    from wolter.catalogue.neighbours import Neighbours

PIECE = 1_000_000  # rows of sources that are read at once


@dataclass(frozen=True)
class StoreLimits:
    """Limits of the queries of a store.

    Attributes:
        memory_mb: memory of DuckDB, for all queries of a release together, MB.
        threads: threads of DuckDB, for each release.
        query_s: longest time of a query, s.
        kept: releases besides the current one that stay open when nobody asks them.
    """

    memory_mb: int = 1024
    threads: int = 2
    query_s: float = 10.0
    kept: int = 1


@dataclass(frozen=True)
class Found:
    """Rows of an answer.

    Attributes:
        rows: columns as described by `columns`.
        columns: descriptions, in the order of the rows' columns.
        truncated: there are more rows than the limit; exact.
        release: that answered.
    """

    rows: pa.Table
    columns: tuple[Column, ...]
    truncated: bool
    release: Release


@dataclass
class Snapshot:
    """An open release: its description, and queries on it.

    Attributes:
        about: description.
        path: folder.
        limits: of a query.
    """

    about: Release
    path: Path
    limits: StoreLimits = StoreLimits()
    users: int = field(default=0, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the database."""
        self._database = connect(self.path / releases.DATABASE, self.limits)
        self._deadlines = Deadlines()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Rows of a statement, in a cursor of its own.

        Args:
            sql: statement of this package's making, never of a user's.
            parameters: values of its question marks; all that users say goes here.

        Raises:
            TooLargeError: it takes longer than allowed, or more memory.
        """
        with self._database.cursor() as cursor:
            try:
                with self._deadlines.limit(self.limits.query_s, cursor.interrupt):
                    return cursor.sql(sql, params=list(parameters)).to_arrow_table()
            except duckdb.InterruptException as error:
                raise TooLargeError(
                    f"the query took longer than {self.limits.query_s:g} s; ask for less at once"
                ) from error
            except duckdb.OutOfMemoryException as error:
                raise TooLargeError(
                    f"the query needs more than {self.limits.memory_mb} MB of memory; ask for "
                    "less at once"
                ) from error

    def rows(self, rows_M: NDArray[np.int64], columns: Sequence[Column]) -> pa.Table:
        """Sources by their row numbers, in the order of the numbers, which may repeat.

        They are taken from memory: the database would unpack a few thousand rows for each of them.
        """
        names = [column.name for column in columns]
        return self.sources.select(names).take(pa.array(rows_M, pa.int64()))

    @property
    def source(self) -> Table:
        """Description of the table of sources."""
        return self.about.table("source")

    @property
    def sources(self) -> pa.Table:
        """All sources in the order of their row numbers, 200 bytes each; read at first use."""
        with self._lock:
            return self._sources

    @property
    def positions(self) -> "Positions":
        """Positions of the sources, for cones; read at first use."""
        with self._lock:
            return self._positions

    @property
    def neighbours(self) -> "Neighbours":
        """Latents of the sources, for similar ones; read at first use.

        Raises:
            InputError: the release has none.
        """
        with self._lock:
            return self._neighbours

    @cached_property
    def _sources(self) -> pa.Table:
        names = ", ".join(quoted(column.name) for column in self.source.columns)
        sql = f"SELECT {names} FROM source WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
        pieces: list[pa.Table] = []
        first = 0
        while not pieces or len(pieces[-1]) == PIECE:
            pieces.append(self.query(sql, [first, first + PIECE - 1]).combine_chunks())
            first += PIECE
        return pa.concat_tables(pieces)

    @cached_property
    def _positions(self) -> "Positions":
        from wolter.catalogue.cone import Positions

        return Positions.read(self)

    @cached_property
    def _neighbours(self) -> "Neighbours":
        from wolter.catalogue.neighbours import Neighbours

        return Neighbours.read(self)

    def warm(self, similar: bool = True) -> None:
        """Read what queries ask from memory, and import what they need, before the first use.

        Args:
            similar: also the latents, for similar sources.
        """
        self.positions.within(0.0, 0.0, 0.0)
        if similar and self.about.latents:
            assert self.neighbours

    def close(self) -> None:
        """Close the database."""
        self._deadlines.close()
        self._database.close()


class Store:
    """Releases of a catalogue, open for queries.

    Args:
        root: folder of all releases; None is `$WOLTER_HOME/catalogue/releases`.
        limits: of queries.
    """

    def __init__(self, root: Path | None = None, limits: StoreLimits | None = None) -> None:
        self.root, self.limits = root, limits or StoreLimits()
        # By folder and description: another release may have the name of one that was removed.
        self._open: dict[tuple[str, int, int], Snapshot] = {}  # the one used last comes last
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def open(self, name: str = "") -> Iterator[Snapshot]:
        """A release, which stays open until the end of the `with`.

        Args:
            name: of the release; empty is the current one.

        Raises:
            MissingError: there is no such release.
            InputError: its description is missing or damaged.
            UnavailableError: no release is current, or another one of its name is still read.
        """
        path = releases.find(name, self.root) if name else releases.current(self.root)
        if path is None:
            raise UnavailableError("the catalogue has no release yet; `wolter catalogue` makes one")
        try:
            told = (path / releases.RELEASE).stat()
        except FileNotFoundError as error:
            raise InputError(releases.missing(path)) from error
        key = (path.name, told.st_ino, told.st_mtime_ns)
        with self._lock:
            snapshot = self._open.pop(key, None)
            if snapshot is None:
                self._close_former(path.name)
                snapshot = Snapshot(releases.load(path), path, self.limits)
            self._open[key] = snapshot
            snapshot.users += 1
            if not name:
                self._close_idle(but=key)
        try:
            yield snapshot
        finally:
            with self._lock:
                snapshot.users -= 1
                self._close_idle(but=key)

    def warm(self, similar: bool = True) -> None:
        """Read the current release into memory, if there is one; see `Snapshot.warm`."""
        with contextlib.suppress(UnavailableError, InputError), self.open() as snapshot:
            snapshot.warm(similar)

    def releases(self) -> tuple[Release, ...]:
        """Descriptions of all whole releases, oldest first."""
        folder = releases.folder(self.root)
        return tuple(releases.load(folder / name) for name in releases.names(self.root))

    def close(self) -> None:
        """Close all releases."""
        with self._lock:
            for snapshot in self._open.values():
                snapshot.close()
            self._open.clear()

    def _close_former(self, name: str) -> None:
        """Close the releases that had a name before: DuckDB opens a path once in a process.

        Raises:
            UnavailableError: one is still read.
        """
        for key in [key for key in self._open if key[0] == name]:
            if self._open[key].users:
                raise UnavailableError(
                    f"release {name} is another one now, and the former one is still read; try "
                    "again in a few seconds"
                )
            self._open.pop(key).close()

    def _close_idle(self, but: tuple[str, int, int]) -> None:
        """Close the releases that nobody asks, except `but` and the few used last."""
        idle = [key for key, each in self._open.items() if not each.users and key != but]
        for key in idle[: len(idle) - self.limits.kept]:
            self._open.pop(key).close()


def connect(path: Path, limits: StoreLimits) -> duckdb.DuckDBPyConnection:
    """Open a database read-only: no files, no extensions, bounded memory, settings locked."""
    return duckdb.connect(
        str(path),
        read_only=True,
        config={
            "enable_external_access": "false",
            "allow_community_extensions": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "memory_limit": f"{limits.memory_mb}MB",
            "temp_directory": "",
            "max_temp_directory_size": "0GB",
            "threads": str(limits.threads),
            "lock_configuration": "true",
        },
    )


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'
