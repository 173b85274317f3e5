"""What a query process is told, and what it tells."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wolter import config as configs
from wolter.catalogue.publisher import AUTHORITY

JOB, ANSWER, RESULT = "job.json", "answer.json", "result"
"""Files in the folder of a query."""
TEMPORARY = "temporary"
"""Folder in it of what does not fit into memory; a query that is killed leaves it."""

Why = Literal["", "refused", "time", "cost", "size", "fault"]


@dataclass(frozen=True)
class Limits:
    """Bounds of one query.

    Attributes:
        seconds: longest time, with writing the answer.
        memory_mb: memory of the database, MB; the process may have twice as much.
        temp_mb: disk space for what does not fit into memory, MB.
        result_mb: largest answer, MB.
        rows: most rows of the answer.
        threads: threads of the database. With one, the same query gives the same rows in the same
            order.
        cost: most rows that the query may look at, by the database's own estimate.
    """

    seconds: float = 60.0
    memory_mb: int = 1024
    temp_mb: int = 4096
    result_mb: int = 2048
    rows: int = 1_000_000
    threads: int = 1
    cost: float = 1e15


@dataclass(frozen=True)
class Upload:
    """A table that comes with a query: its name in the schema tap_upload, and its file."""

    name: str
    file: str


@dataclass(frozen=True)
class Job:
    """A query.

    Attributes:
        adql: its text.
        release: folder of the release.
        format: of the answer, a name of `wolter.catalogue.formats`.
        most_rows: MAXREC.
        base_url: of the service, for links.
        limits: bounds.
        uploads: tables that come with it.
        upload_rows: most rows of each of them.
        authority: naming authority of the service's publisher.
    """

    adql: str
    release: str
    format: str
    most_rows: int
    base_url: str = ""
    limits: Limits = field(default_factory=Limits)
    uploads: tuple[Upload, ...] = ()
    upload_rows: int = 100_000
    authority: str = AUTHORITY


@dataclass(frozen=True)
class Answer:
    """How a query ended.

    Attributes:
        status: OK, OVERFLOW where there are more rows, or ERROR.
        rows: rows of the answer.
        error: one line.
        why: kind of the error.
        seconds: how long it took.
        media: media type of the answer.
    """

    status: Literal["OK", "OVERFLOW", "ERROR"]
    rows: int = 0
    error: str = ""
    why: Why = ""
    seconds: float = 0.0
    media: str = ""


def put(job: Job, folder: Path) -> None:
    """Write a job into its folder."""
    (folder / JOB).write_text(json.dumps(configs.to_dict(job)))


def get(folder: Path) -> Job:
    """The job of a folder."""
    return configs.load(Job, folder / JOB)


def answer_of(folder: Path) -> Answer | None:
    """How the query of a folder ended; None where it left no answer."""
    try:
        values: Mapping[str, object] = json.loads((folder / ANSWER).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return configs.from_dict(Answer, dict(values))
