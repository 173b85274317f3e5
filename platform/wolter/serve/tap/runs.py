"""Runs the queued queries of the store, on every replica."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from wolter.catalogue import release as releases
from wolter.catalogue.adql import jobs
from wolter.catalogue.adql.jobs import Job, Upload
from wolter.catalogue.adql.process import Processes
from wolter.errors import InputError, UnavailableError
from wolter.serve.jobs.queue import COMPLETED, ERROR
from wolter.serve.jobs.runs import Runs
from wolter.serve.tap.config import TapConfig
from wolter.serve.tap.errors import BusyError
from wolter.serve.tap.parameters import format_of, query_of, rows_of
from wolter.serve.tap.store import Store, UwsJob


class QueryRuns(Runs[UwsJob]):
    """Claims queries and runs them.

    Args:
        store: of the jobs.
        processes: which run queries.
        config: limits.
        root: folder of the releases.
    """

    def __init__(
        self, store: Store, processes: Processes, config: TapConfig, root: Path | None
    ) -> None:
        super().__init__(store, config.jobs_at_once)
        self.store = store
        self.processes, self.config, self.root = processes, config, root

    async def run(self, job: UwsJob) -> None:
        """Run a query."""
        place = self.queue.place(job.id)
        try:
            self.store.check_room(sys.maxsize, self.config.jobs_mb)  # others may have filled it
            answer, _ = await self.processes.run(self.prepared(job), place)
        except (InputError, UnavailableError, BusyError) as error:
            self.close(job, ERROR, error=str(error))
            return
        finally:
            shutil.rmtree(place / jobs.TEMPORARY, ignore_errors=True)
        if answer.status == "ERROR":
            (place / jobs.RESULT).unlink(missing_ok=True)  # a part of it
        self.store.measure(job.id)
        if answer.status == "ERROR":
            self.close(job, ERROR, error=answer.error)
        else:
            overflow = int(answer.status == "OVERFLOW")
            self.close(job, COMPLETED, rows=answer.rows, media=answer.media, overflow=overflow)

    def prepared(self, job: UwsJob) -> Job:
        """What the process of a job is told.

        Raises:
            InputError: its parameters are no query.
        """
        values, limits = job.parameters, replace(self.config.job, seconds=job.duration)
        path = releases.current(self.root)
        if path is None:
            raise UnavailableError("the catalogue has no release yet")
        uploads = [
            Upload(file.name[len("upload-") : -len(".xml")], file.name)
            for file in sorted(self.queue.place(job.id).glob("upload-*.xml"))
        ]
        return Job(
            query_of(values),
            str(path),
            format_of(values),
            rows_of(values, self.config, limits.rows),
            values.get("_BASE", ""),
            limits,
            tuple(uploads),
            self.config.upload_rows,
            self.config.authority,
        )
