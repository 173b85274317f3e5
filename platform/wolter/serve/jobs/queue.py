"""Queue of jobs in SQLite: every replica sees it, and it outlives each.

`queue.db` in the folder holds the jobs; a folder beside it for each has its files. Replicas on
several machines need one folder that all of them reach.
"""

import contextlib
import json
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

PENDING, QUEUED, EXECUTING = "PENDING", "QUEUED", "EXECUTING"
COMPLETED, ERROR, ABORTED = "COMPLETED", "ERROR", "ABORTED"
ACTIVE = (PENDING, QUEUED, EXECUTING)
STALE_S = 20.0  # a run without a sign of life for so long is over
BUSY_S = 5.0
FAULT = "the server failed on this job"
INTERRUPTED = "the service was stopped while the job ran; send it again"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job; times in seconds since 1970.

    Attributes:
        id: its name, which cannot be guessed.
        phase: of UWS 1.1.
        created: when it was made.
        destruction: when it is deleted.
        started: when it began to run.
        ended: when it ended.
        owner: replica that runs it.
        seen: last sign of life of the run.
        tries: how often it was begun, and not given back.
        error: one line.
    """

    id: str
    phase: str
    created: float
    destruction: float
    started: float | None = None
    ended: float | None = None
    owner: str | None = None
    seen: float | None = None
    tries: int = 0
    error: str | None = None


J = TypeVar("J", bound=Job)


class Queue(Generic[J]):
    """Jobs in a folder.

    Args:
        folder: made where it is missing.
        kind: dataclass of the jobs, whose fields are the table's columns.
        most_tries: how often a job is begun whose replicas die.
    """

    def __init__(self, folder: Path, kind: type[J], most_tries: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.kind, self.most_tries = folder, kind, most_tries
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            folder / "queue.db", timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._database.row_factory = sqlite3.Row
        columns = ", ".join(each.name for each in fields(kind))
        with self._using() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(f"CREATE TABLE IF NOT EXISTS job ({columns}, PRIMARY KEY (id))")
            database.execute("CREATE INDEX IF NOT EXISTS job_phase ON job (phase, created)")
            self._add_columns(database)

    def _add_columns(self, database: sqlite3.Connection) -> None:
        """Give a queue of an earlier version its new columns, which are null there."""
        database.execute("BEGIN IMMEDIATE")  # other replicas do the same
        there = {row["name"] for row in database.execute("PRAGMA table_info(job)")}
        for each in fields(self.kind):
            if each.name not in there:
                database.execute(f"ALTER TABLE job ADD COLUMN {each.name}")
        database.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def place(self, name: str) -> Path:
        """Folder of a job's files."""
        return self.folder / name

    def create(self, keep_s: float, **values: Any) -> J:
        """A new job with a folder, not yet queued.

        Args:
            keep_s: time until it is deleted.
            values: further fields.
        """
        now = time.time()
        name = secrets.token_hex(16)
        job = self.kind(id=name, phase=PENDING, created=now, destruction=now + keep_s, **values)
        self.place(name).mkdir()
        held = {each.name: _held(getattr(job, each.name)) for each in fields(self.kind)}
        marks = ", ".join("?" for _ in held)
        self._execute(f"INSERT INTO job ({', '.join(held)}) VALUES ({marks})", (*held.values(),))
        return job

    def get(self, name: str) -> J | None:
        """A job by its name; None where there is none, or no more."""
        rows = self._execute(
            "SELECT * FROM job WHERE id = ? AND destruction > ?", (name, time.time())
        )
        return self._job(rows[0]) if rows else None

    def change(self, name: str, phases: tuple[str, ...], **values: Any) -> bool:
        """Change a job if it is in one of some phases; whether it was."""
        names = ", ".join(f"{key} = ?" for key in values)
        marks = ", ".join("?" for _ in phases)
        rows = self._execute(
            f"UPDATE job SET {names} WHERE id = ? AND phase IN ({marks}) RETURNING id",
            (*map(_held, values.values()), name, *phases),
        )
        return bool(rows)

    def count(self, *phases: str) -> int:
        """Number of jobs in some phases."""
        marks = ", ".join("?" for _ in phases)
        rows = self._execute(f"SELECT count(*) FROM job WHERE phase IN ({marks})", phases)
        return int(rows[0][0])

    def claim(self, owner: str, **among: str) -> J | None:
        """The oldest queued job, for this replica alone; None where none waits.

        Args:
            owner: the replica.
            among: values that its fields have.
        """
        now = time.time()
        also = "".join(f" AND {name} = ?" for name in among)
        rows = self._execute(
            "UPDATE job SET phase = ?, owner = ?, started = ?, seen = ?, tries = tries + 1"
            f" WHERE id = (SELECT id FROM job WHERE phase = ? AND destruction > ?{also}"
            " ORDER BY created LIMIT 1) RETURNING *",
            (EXECUTING, owner, now, now, QUEUED, now, *among.values()),
        )
        return self._job(rows[0]) if rows else None

    def keep_alive(self, owner: str, names: Collection[str]) -> set[str]:
        """Give a sign of life of a replica's runs; the jobs that it is still to run.

        Args:
            owner: the replica.
            names: of the jobs that it runs; another one of its own has ended untold.
        """
        marks = ", ".join("?" for _ in names)
        rows = self._execute(
            "UPDATE job SET seen = ? WHERE owner = ? AND phase = ?"
            f" AND id IN ({marks}) RETURNING id",
            (time.time(), owner, EXECUTING, *names),
        )
        return {row["id"] for row in rows}

    def finish(self, name: str, owner: str, **values: Any) -> bool:
        """Change a job that a replica runs; whether it still does, and no other one."""
        names = ", ".join(f"{key} = ?" for key in values)
        rows = self._execute(
            f"UPDATE job SET {names} WHERE id = ? AND phase = ? AND owner = ? RETURNING id",
            (*map(_held, values.values()), name, EXECUTING, owner),
        )
        return bool(rows)

    def give_back(self, owner: str, name: str = "") -> None:
        """Queue runs of a replica again, which are not to blame.

        Args:
            owner: the replica.
            name: of the job; empty for all, where the replica ends.
        """
        self._execute(
            "UPDATE job SET phase = ?, owner = NULL, started = NULL, tries = tries - 1"
            " WHERE owner = ? AND phase = ? AND ? IN ('', id)",
            (QUEUED, owner, EXECUTING, name),
        )

    def sweep(self) -> None:
        """Queue the runs of replicas that are gone again, or mark them; delete what is over."""
        now = time.time()
        gone = (EXECUTING, now - STALE_S)
        self._execute(
            "UPDATE job SET phase = ?, owner = NULL, started = NULL"
            " WHERE phase = ? AND seen < ? AND tries < ?",
            (QUEUED, *gone, self.most_tries),
        )
        self._execute(
            "UPDATE job SET phase = ?, ended = ?, error = ? WHERE phase = ? AND seen < ?",
            (ERROR, now, INTERRUPTED, *gone),
        )
        for row in self._execute("SELECT id FROM job WHERE destruction < ?", (now,)):
            self.delete(row["id"])

    def delete(self, name: str) -> None:
        """Delete a job and its files."""
        self._execute("DELETE FROM job WHERE id = ?", (name,))
        shutil.rmtree(self.place(name), ignore_errors=True)

    def _job(self, row: sqlite3.Row) -> J:
        values = dict(row)
        for each in fields(self.kind):
            if str(each.type).startswith("dict"):
                values[each.name] = json.loads(values[each.name])
        return self.kind(**values)

    def _execute(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._using() as database:
            return database.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._database


def is_stale(job: Job) -> bool:
    """True if a run has given no sign of life for long."""
    return (job.seen or 0.0) < time.time() - STALE_S


def _held(value: Any) -> Any:
    """A value as SQLite holds it."""
    return json.dumps(value) if isinstance(value, dict) else value
