"""UWS jobs: queries that wait in a queue (see `wolter.serve.jobs.queue`)."""

from dataclasses import dataclass
from pathlib import Path

from wolter.serve.jobs.queue import Job, Queue


@dataclass(frozen=True, kw_only=True)
class UwsJob(Job):
    """A query as a job.

    Attributes:
        duration: longest time that it may run, s.
        parameters: by name in upper case.
        rows: rows of the answer.
        media: media type of the answer.
        overflow: 1 where there are more rows.
    """

    duration: float
    parameters: dict[str, str]
    rows: int | None = None
    media: str | None = None
    overflow: int | None = None


Store = Queue[UwsJob]


def open_store(folder: Path) -> Store:
    """The store of a folder, which is made where it is missing."""
    return Queue(folder, UwsJob)
