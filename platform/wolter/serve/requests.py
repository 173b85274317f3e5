"""Request parsing: query, JSON body, uploaded files."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from starlette.datastructures import FormData, UploadFile

from wolter.answering.contract import FileField, Stored
from wolter.answering.uploads import Upload, plain_name
from wolter.errors import InputError
from wolter.serve import environment
from wolter.serve.config import ServeConfig
from wolter.serve.pool import Allowance, ReaderPool, Reading
from wolter.serve.uploads import measure, store
from wolter.threads import apart

T = TypeVar("T")
U = TypeVar("U")
Uploads = Mapping[str, Sequence[UploadFile]]


def uploads_of(form: FormData, fields: Sequence[FileField]) -> dict[str, list[UploadFile]]:
    """The files of a form by field.

    Raises:
        InputError: a field is unknown, holds no file or too many, or the first has none.
    """
    names = ", ".join(field.name for field in fields)
    uploads: dict[str, list[UploadFile]] = {field.name: [] for field in fields}
    for name, value in form.multi_items():
        if name not in uploads:
            raise InputError(f"unknown field {plain_name(name)!r}; send {names}")
        if not isinstance(value, UploadFile):
            raise InputError(f"field {name}: not a file; send it as a file")
        uploads[name].append(value)
    if not uploads[fields[0].name]:
        raise InputError(f"no file in the field {fields[0].name}; send {fields[0].about}")
    for field in fields:
        if not field.many and len(uploads[field.name]) > 1:
            raise InputError(f"field {field.name}: {len(uploads[field.name])} files; send one file")
    return uploads


class UploadReader:
    """Reads the files of multipart requests in the pool's processes.

    Few requests are read at a time, so that few have their files on disk; the others wait.

    Args:
        config: limits.
        tasks: names of those whose records are read.
    """

    def __init__(self, config: ServeConfig, tasks: Sequence[str] = ()) -> None:
        self.config = config
        self.pool = ReaderPool(config, tasks)
        self._threads = ThreadPoolExecutor(2 * config.parsers)

    async def read(self, task: str, uploads: Uploads, work: Callable[[Stored], T]) -> T:
        """Store the files of a request and work on them.

        Args:
            task: whose reader reads them.
            uploads: by field.
            work: in a thread of its own; see `wolter.answering.contract.Stored`.

        Raises:
            InputError: a file is bad; `TooLargeError` when one is too large, or all take too long.
            UnavailableError: readers are lost, through no fault of the files.
        """
        # To its end, whether or not the client still waits: it removes what it stored.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, apart, self._work, task, uploads, work)

    def _work(self, task: str, uploads: Uploads, work: Callable[[Stored], T]) -> T:
        with self._stored(task, uploads) as stored:
            return work(stored)

    @contextlib.contextmanager
    def _stored(self, task: str, uploads: Uploads) -> Iterator["StoredFiles"]:
        """The uploads as files, which are removed afterwards."""
        named = {
            field: [(upload.file, plain_name(upload.filename)) for upload in each]
            for field, each in uploads.items()
        }
        measure((each for field in named.values() for each in field), self.config)
        with tempfile.TemporaryDirectory(prefix="wolter-", dir=environment.uploads()) as name:
            folder, files = Path(name), {}
            for field, each in named.items():
                kept = []
                for index, (file, plain) in enumerate(each):
                    path = folder / f"{field}-{index}.fits"
                    store(file, path, plain, self.config)
                    kept.append(Upload(plain, str(path)))
                files[field] = tuple(kept)
            allowance = Allowance(self.config.request_cpu_s)
            yield StoredFiles(task, files, folder, self.pool, allowance)


@dataclass(frozen=True)
class StoredFiles:
    """Files of a request on disk; see `wolter.answering.contract.Stored`."""

    task: str
    files: Mapping[str, tuple[Upload, ...]]
    folder: Path
    pool: ReaderPool
    allowance: Allowance

    def read(self, job: Any, name: str) -> Any:
        """Read a job with the task's reader."""
        return self.pool.read(Reading(self.task, name, job), self.allowance)

    def each(self, read: Callable[[T], U], of: Sequence[T]) -> list[U]:
        """`read` of each item: as many at once as there are readers, none after a bad one."""
        with ThreadPoolExecutor(self.pool.config.parsers) as threads:
            futures = [threads.submit(read, item) for item in of]
            try:
                return [future.result() for future in futures]
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
