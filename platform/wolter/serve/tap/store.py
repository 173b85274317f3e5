"""UWS jobs in SQLite: every replica sees them, and they outlive each.

`jobs.db` in the store's folder holds the jobs; a folder beside it for each has its files.
"""

import contextlib
import json
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PENDING, QUEUED, EXECUTING = "PENDING", "QUEUED", "EXECUTING"
COMPLETED, ERROR, ABORTED = "COMPLETED", "ERROR", "ABORTED"
ACTIVE = (PENDING, QUEUED, EXECUTING)
STALE_S = 20.0  # a run without a sign of life for so long is over
BUSY_S = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY, phase TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL,
    duration REAL NOT NULL, destruction REAL NOT NULL, parameters TEXT NOT NULL,
    owner TEXT, seen REAL, error TEXT, why TEXT, rows INTEGER, media TEXT, overflow INTEGER
);
CREATE INDEX IF NOT EXISTS job_phase ON job (phase, created);
"""
INTERRUPTED = "the service was stopped while the query ran; send it again"


@dataclass(frozen=True)
class UwsJob:
    """A job; times in seconds since 1970.

    Attributes:
        id: its name, which cannot be guessed.
        phase: of UWS 1.1.
        created: when it was made.
        duration: longest time that it may run, s.
        destruction: when it is deleted.
        parameters: by name in upper case.
        started: when it began to run.
        ended: when it ended.
        owner: replica that runs it.
        seen: last sign of life of the run.
        error: one line.
        why: kind of the error.
        rows: rows of the answer.
        media: media type of the answer.
        overflow: 1 where there are more rows.
    """

    id: str
    phase: str
    created: float
    duration: float
    destruction: float
    parameters: dict[str, str]
    started: float | None = None
    ended: float | None = None
    owner: str | None = None
    seen: float | None = None
    error: str | None = None
    why: str | None = None
    rows: int | None = None
    media: str | None = None
    overflow: int | None = None


class Store:
    """Jobs in a folder.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            folder / "jobs.db", timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._database.row_factory = sqlite3.Row
        with self._using() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def place(self, name: str) -> Path:
        """Folder of a job's files."""
        return self.folder / name

    def create(self, parameters: dict[str, str], duration: float, keep: float) -> UwsJob:
        """A new job, not yet queued."""
        now = time.time()
        job = UwsJob(secrets.token_hex(16), PENDING, now, duration, now + keep, parameters)
        self.place(job.id).mkdir()
        self._execute(
            "INSERT INTO job (id, phase, created, duration, destruction, parameters)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (job.id, job.phase, now, duration, job.destruction, json.dumps(parameters)),
        )
        return job

    def get(self, name: str) -> UwsJob | None:
        """A job by its name; None where there is none, or no more."""
        rows = self._execute("SELECT * FROM job WHERE id = ?", (name,))
        return _job(rows[0]) if rows else None

    def change(self, name: str, phases: tuple[str, ...], **values: Any) -> bool:
        """Change a job if it is in one of some phases; whether it was."""
        if "parameters" in values:
            values["parameters"] = json.dumps(values["parameters"])
        names = ", ".join(f"{key} = ?" for key in values)
        marks = ", ".join("?" for _ in phases)
        rows = self._execute(
            f"UPDATE job SET {names} WHERE id = ? AND phase IN ({marks}) RETURNING id",
            (*values.values(), name, *phases),
        )
        return bool(rows)

    def count(self, phase: str) -> int:
        """Number of jobs in a phase."""
        return int(self._execute("SELECT count(*) FROM job WHERE phase = ?", (phase,))[0][0])

    def claim(self, owner: str) -> UwsJob | None:
        """The oldest queued job, for this replica alone; None where none waits."""
        now = time.time()
        rows = self._execute(
            "UPDATE job SET phase = ?, owner = ?, started = ?, seen = ? WHERE id ="
            " (SELECT id FROM job WHERE phase = ? ORDER BY created LIMIT 1) RETURNING *",
            (EXECUTING, owner, now, now, QUEUED),
        )
        return _job(rows[0]) if rows else None

    def keep_alive(self, owner: str) -> set[str]:
        """Give a sign of life of a replica's runs; the jobs that it is still to run."""
        rows = self._execute(
            "UPDATE job SET seen = ? WHERE owner = ? AND phase = ? RETURNING id",
            (time.time(), owner, EXECUTING),
        )
        return {row["id"] for row in rows}

    def sweep(self) -> None:
        """Mark runs whose replica is gone, and delete what is past its destruction."""
        now = time.time()
        self._execute(
            "UPDATE job SET phase = ?, ended = ?, error = ?, why = 'fault'"
            " WHERE phase = ? AND seen < ?",
            (ERROR, now, INTERRUPTED, EXECUTING, now - STALE_S),
        )
        for row in self._execute("SELECT id FROM job WHERE destruction < ?", (now,)):
            self.delete(row["id"])

    def delete(self, name: str) -> None:
        """Delete a job and its files."""
        self._execute("DELETE FROM job WHERE id = ?", (name,))
        shutil.rmtree(self.place(name), ignore_errors=True)

    def _execute(self, sql: str, values: tuple[Any, ...]) -> list[sqlite3.Row]:
        with self._using() as database:
            return database.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._database


def _job(row: sqlite3.Row) -> UwsJob:
    values = dict(row)
    return replace(UwsJob(**values), parameters=json.loads(values["parameters"]))
