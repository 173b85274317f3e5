"""Jobs of models: requests whose answers take minutes, kept with their files until they are asked.

The queue, what it holds on disk, and how long, are bounded; a job is found again by its name alone,
and by the key that it was sent with.
"""

import math
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from wolter.answering.uploads import plain_name
from wolter.home import home
from wolter.serve.config import MB, ServeConfig
from wolter.serve.jobs.queue import COMPLETED, EXECUTING, PENDING, QUEUED, Job, Queue, is_stale
from wolter.serve.limits import BusyError

FILES, RESULT, PROGRESS = "files", "result", "progress"  # in the folder of a job
BODY = "body"  # among the files
PREFIX = "/v1/jobs"
MOST_TRIES = 2  # of a job whose replicas die
_SHARED = (QUEUED, EXECUTING, COMPLETED)  # phases in which an equal request has the same job
_STORING_S = 600.0  # longest time to store the files of a job
_GUESS_S = 60.0  # time of a job, where none has ended


@dataclass(frozen=True, kw_only=True)
class ModelJob(Job):
    """A request to a model as a job.

    Attributes:
        task: of the model.
        model: its name.
        version: its version.
        key: id of the key that the request was sent with; empty for none.
        asked: `query`, its values; `format` of a table, and whether it was `explicit`; `files`, the
            client's names by field, each stored as `FIELD-INDEX`; none where JSON was sent, which
            is stored as `body`.
        bytes: of its files on disk.
        media: media type of the answer.
        file: name to keep the answer under.
        digest: of who asked for what (see `wolter.serve.jobs.digest`); None where nobody asks for
            the same job again.
    """

    task: str
    model: str
    version: str
    key: str
    asked: dict[str, Any]
    bytes: int = 0
    media: str | None = None
    file: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Bounds:
    """Bounds of all jobs together.

    Attributes:
        waiting: jobs that wait; further ones are refused.
        mb: files and answers on disk, MB; further jobs are refused.
        keep_s: time after which a job is deleted.
    """

    waiting: int = 20
    mb: float = 4_000.0
    keep_s: float = 86_400.0


def folder() -> Path:
    """Folder of the jobs, under `$WOLTER_HOME`."""
    return home() / "serve" / "jobs"


class JobStore(Queue[ModelJob]):
    """Jobs of models in a folder.

    Args:
        folder: made where it is missing.
        bounds: of all jobs.
    """

    def __init__(self, folder: Path, bounds: Bounds | None = None) -> None:
        super().__init__(folder, ModelJob, MOST_TRIES)
        self.bounds = bounds or Bounds()
        marks = ", ".join(f"'{phase}'" for phase in _SHARED)
        self._execute(
            f"CREATE UNIQUE INDEX IF NOT EXISTS job_digest ON job (digest) WHERE phase IN ({marks})"
        )

    @classmethod
    def of(cls, config: ServeConfig, folder: Path) -> "JobStore":
        """The store with the bounds of a server."""
        return cls(folder, Bounds(config.max_jobs, config.jobs_mb, config.jobs_keep_s))

    def accept(
        self,
        asked: Mapping[str, Any],
        files: Mapping[str, Sequence[tuple[str, BinaryIO]]] | None,
        body: bytes | None = None,
        **values: Any,
    ) -> ModelJob:
        """Store a request and queue it.

        Args:
            asked: see `ModelJob`, but for the files.
            files: name and content by field; None where JSON was sent.
            body: JSON.
            values: further fields of the job.

        Returns:
            The job; the one with the same digest, where that was queued in the meantime.

        Raises:
            BusyError: too many wait, or too much is stored.
        """
        self.check_room()
        sent = files or {}
        names = {field: [plain_name(name) for name, _ in each] for field, each in sent.items()}
        told = {**asked, "files": None if files is None else names}
        job = self.create(_STORING_S, asked=told, **values)
        place = self.place(job.id) / FILES
        try:
            place.mkdir()
            if body is not None:
                (place / BODY).write_bytes(body)
            for field, each in sent.items():
                for index, (_, content) in enumerate(each):
                    with (place / f"{field}-{index}").open("wb") as kept:
                        content.seek(0)
                        shutil.copyfileobj(content, kept)
            size = sum(path.stat().st_size for path in place.iterdir())
            ends = job.created + self.bounds.keep_s
            self.change(job.id, (PENDING,), phase=QUEUED, bytes=size, destruction=ends)
        except sqlite3.IntegrityError as error:
            self.delete(job.id)
            if (other := self.equal(job.digest)) is None:
                raise BusyError("an equal job ended just now; try again in 1 s", 1) from error
            return other
        except BaseException:
            self.delete(job.id)
            raise
        queued = self.get(job.id)
        assert queued is not None
        return queued

    def equal(self, digest: str | None) -> ModelJob | None:
        """The job of a digest that waits, runs or is done; None where there is none.

        A request that failed may be sent again.
        """
        self.sweep()
        marks = ", ".join("?" for _ in _SHARED)
        rows = self._execute(
            f"SELECT * FROM job WHERE digest = ? AND phase IN ({marks})", (digest, *_SHARED)
        )
        if not rows:
            return None
        job = self._job(rows[0])
        if job.phase == COMPLETED and not (self.place(job.id) / RESULT).is_file():
            self.delete(job.id)  # its answer is lost
            return None
        return job

    def find(self, name: str, key: str) -> ModelJob | None:
        """A job that a key may see; None where there is none.

        Args:
            name: of the job.
            key: id of the asking key; empty for none.
        """
        job = self.get(name)
        if job is not None and job.phase == EXECUTING and is_stale(job):  # no replica may be left
            self.sweep()
            job = self.get(name)
        return job if job is not None and job.key in ("", key) else None

    def before(self, job: ModelJob) -> int:
        """Number of jobs that are begun before a queued one."""
        rows = self._execute(
            "SELECT count(*) FROM job WHERE phase = ? AND task = ? AND created < ?",
            (QUEUED, job.task, job.created),
        )
        return int(rows[0][0])

    @property
    def again_s(self) -> int:
        """Seconds after which there may be room: those of a job, as lately measured."""
        rows = self._execute(
            "SELECT avg(took) FROM (SELECT ended - started AS took FROM job WHERE phase = ?"
            " ORDER BY ended DESC LIMIT 10)",
            (COMPLETED,),
        )
        return max(1, math.ceil(rows[0][0] or _GUESS_S))

    def check_room(self) -> None:
        """Check that there is room for another job.

        Raises:
            BusyError: too many wait, or too much is stored.
        """
        self.sweep()
        waiting = self.count(PENDING, QUEUED)
        if waiting >= self.bounds.waiting:
            again_s = self.again_s
            raise BusyError(f"{waiting} jobs wait already; try again in {again_s} s", again_s)
        held = self._execute("SELECT coalesce(sum(bytes), 0) FROM job")[0][0] / MB
        if held >= self.bounds.mb:
            again_s = self.again_s
            raise BusyError(
                f"the jobs hold {held:.0f} MB already; delete yours that are done, or try again "
                f"in {again_s} s",
                again_s,
            )
