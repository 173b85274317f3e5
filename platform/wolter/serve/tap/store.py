"""UWS jobs: queries that wait in a queue (see `wolter.serve.jobs.queue`)."""

from dataclasses import dataclass
from pathlib import Path

from wolter.serve.jobs.queue import Job, Queue
from wolter.serve.tap.errors import BusyError

MB = 2**20


@dataclass(frozen=True, kw_only=True)
class UwsJob(Job):
    """A query as a job.

    Attributes:
        duration: longest time that it may run, s.
        parameters: by name in upper case.
        rows: rows of the answer.
        media: media type of the answer.
        overflow: 1 where there are more rows.
        bytes: of its files on disk.
    """

    duration: float
    parameters: dict[str, str]
    rows: int | None = None
    media: str | None = None
    overflow: int | None = None
    bytes: int = 0


class Store(Queue[UwsJob]):
    """Queries as jobs in a folder.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, UwsJob)

    def check_room(self, most: int, most_mb: float) -> None:
        """Check that there is room for another job.

        Args:
            most: jobs that are kept.
            most_mb: MB that their files take.

        Raises:
            BusyError: there is none.
        """
        rows = self._execute("SELECT count(*), coalesce(sum(bytes), 0) FROM job")
        jobs, held_mb = rows[0][0], rows[0][1] / MB
        if jobs >= most or held_mb >= most_mb:
            raise BusyError(
                f"{jobs} jobs with {held_mb:.0f} MB are kept already, as many as may be; delete "
                "yours that are done, or try again later"
            )

    def measure(self, name: str) -> None:
        """Count the files of a job."""
        there = [path.stat().st_size for path in self.place(name).glob("*") if path.is_file()]
        self._execute("UPDATE job SET bytes = ? WHERE id = ?", (sum(there), name))


def open_store(folder: Path) -> Store:
    """The store of a folder, which is made where it is missing."""
    return Store(folder)
