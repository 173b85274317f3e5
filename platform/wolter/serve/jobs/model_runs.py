"""Runs the jobs of a task's models, one at a time, each in a process of its own.

Small requests are not delayed, a job that is wanted no more is ended, and its memory is given back.
"""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from wolter import config as configs
from wolter.errors import InputError
from wolter.serve.config import ServeConfig
from wolter.serve.jobs.process import Outcome, Work
from wolter.serve.jobs.queue import COMPLETED, ERROR
from wolter.serve.jobs.runs import Runs
from wolter.serve.jobs.store import FILES, RESULT, JobStore, ModelJob

if TYPE_CHECKING:
    from wolter.serve.models import ServedRef

PROCESS = ("-m", "wolter.serve.jobs.process")  # what Python runs
DYING_S = 3.0  # Ray kills what a replica has started before the replica: the job is not to blame
Find = Callable[[str, str], Awaitable["ServedRef"]]  # a model by name and version


class ModelRuns(Runs[ModelJob]):
    """Claims the jobs of a task and runs them.

    Args:
        store: of the jobs.
        task: whose jobs are run here.
        find: finds a model by name and version; raises InputError where there is none.
        config: limits.
        threads: that a network may use.
    """

    def __init__(
        self, store: JobStore, task: str, find: Find, config: ServeConfig, threads: int = 1
    ) -> None:
        super().__init__(store, task=task)
        self.find, self.config, self.threads = find, config, threads
        self._process: asyncio.subprocess.Process | None = None

    def leave(self) -> None:
        """Claim no more, queue what runs here again, and end its process."""
        super().leave()  # first, so that the end of the process is not the job's
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def run(self, job: ModelJob) -> None:
        """Run a job."""
        folder = self.queue.place(job.id)
        try:
            ref = await self.find(job.model, job.version)
        except InputError as error:
            self.close(job, ERROR, error=str(error))
            return
        work = Work(configs.to_dict(ref), configs.to_dict(self.config), job.asked, self.threads)
        try:
            outcome = await self._outcome(work, str(folder))
        except asyncio.CancelledError:
            if self.queue.get(job.id) is None:  # what the process left after it was deleted
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if outcome.error:
            closed = self.close(job, ERROR, error=outcome.error, bytes=0)
        else:
            size = (folder / RESULT).stat().st_size
            told = {"media": outcome.media, "file": outcome.file, "bytes": size}
            closed = self.close(job, COMPLETED, **told)
        if closed:  # no other replica reads them
            shutil.rmtree(folder / FILES, ignore_errors=True)

    async def _outcome(self, work: Work, folder: str) -> Outcome:
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *PROCESS,
            folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self.config.job_s):
                process.stdin.write(json.dumps(configs.to_dict(work)).encode() + b"\n")
                told = await process.stdout.read()
                code = await process.wait()
        except TimeoutError:
            return Outcome(f"no answer within {self.config.job_s:g} s; send less of it")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not told.endswith(b"\n"):
            if code == -signal.SIGKILL:
                await asyncio.sleep(DYING_S)
            return Outcome(_ended(code))
        return configs.from_dict(Outcome, json.loads(told))


def _ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "the process of the job was killed, perhaps for its memory; send less of it"
    return f"the process of the job ended without an answer ({code}); send it again"
