"""Uploaded files of a request as records."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from starlette.datastructures import FormData, UploadFile

from wolter.errors import InputError
from wolter.serve.config import ServeConfig
from wolter.serve.pool import Allowance, ReaderPool
from wolter.serve.reading import ImageJob, Job, Upload
from wolter.serve.uploads import measure, plain_name, store
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.reading import Record
from wolter.xray.imaging.counts_image import CountsImage

T = TypeVar("T")
Uploads = dict[str, list[UploadFile]]
KEPT = ".safetensors"  # what a reader made of a file, beside it
MAX_FILES = 256  # of a request
ROLES = ("pha", "rmf", "arf", "background")
IMAGE_ROLES = ("image", "exposure_map", "mask")


class UploadReader:
    """Reads the files of multipart requests in the pool's processes.

    Few requests are read at a time, so that few have their files on disk; the others wait.
    """

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self.pool = ReaderPool(config)
        self._threads = ThreadPoolExecutor(2 * config.parsers)

    async def records(self, form: FormData, how: Callable[..., Job]) -> list[Record]:
        """Records of the uploaded spectra, in their order.

        Args:
            form: with the uploads.
            how: makes the job of a spectrum and the files that came with it.

        Raises:
            InputError: a field or file is bad; `TooLargeError` when a file is too large, or all
                take too long to read.
            UnavailableError: readers are lost, through no fault of the files.
        """
        return await self._in_thread(self._spectra, _by_role(form), how)

    async def gridded(self, form: FormData, how: Callable[..., Job]) -> list[GriddedObservation]:
        """What the likelihoods of the uploaded spectra need; see `records`."""
        most = self.config.max_refined
        if len(form.getlist("pha")) > most:
            raise InputError(f"refine: {len(form.getlist('pha'))} spectra; send at most {most}")
        return await self._in_thread(self._evidence, _by_role(form), how)

    async def evidence_beyond(
        self, form: FormData, how: Callable[..., Job]
    ) -> tuple[list[Record], dict[int, GriddedObservation]]:
        """Records, and by index what the likelihoods of those beyond a model's training need.

        Of the first ones, as many as may be refined in one request; see `records`. No other
        gridded is stored but that of spectra that are read beside them.
        """
        return await self._in_thread(self._beyond, _by_role(form), how)

    async def picture(self, form: FormData, exposure_s: float | None) -> CountsImage:
        """The uploaded image with its maps; see `records`."""
        uploads = _by_role(form, IMAGE_ROLES)
        if any(len(each) > 1 for each in uploads.values()):
            raise InputError(f"send one file in each of {', '.join(IMAGE_ROLES)}")
        return await self._in_thread(self._picture, uploads, exposure_s)

    async def _in_thread(self, read: Callable[..., T], *arguments: Any) -> T:
        # To its end, whether or not the client still waits: it removes what it stored.
        return await asyncio.get_running_loop().run_in_executor(self._threads, read, *arguments)

    def _spectra(self, uploads: Uploads, how: Callable[..., Job]) -> list[Record]:
        with self._stored(uploads) as (stored, _):
            return self._read([how(pha, **_beside(stored)) for pha in stored["pha"]])

    def _evidence(self, uploads: Uploads, how: Callable[..., Job]) -> list[GriddedObservation]:
        with self._stored(uploads) as (stored, _):
            jobs = [
                how(pha, **_beside(stored), gridded=f"{pha.path}{KEPT}") for pha in stored["pha"]
            ]
            records = self._read(jobs)
            return [
                GriddedObservation.load(Path(job.gridded), record)
                for job, record in zip(jobs, records, strict=True)
            ]

    def _beyond(
        self, uploads: Uploads, how: Callable[..., Job]
    ) -> tuple[list[Record], dict[int, GriddedObservation]]:
        with self._stored(uploads) as (stored, _):
            jobs = [how(pha, **_beside(stored)) for pha in stored["pha"]]
            room, written = self.config.max_refined, set[Path]()

            def read(job: Job, allowance: Allowance) -> Record:
                kept = Path(f"{job.pha.path}{KEPT}")
                # Jobs start in their order, so that none of the first ones finds no room.
                gridded = str(kept) if len(written) < room else ""
                record = self.pool.read(replace(job, gridded=gridded), allowance)
                if kept.is_file():
                    written.add(kept)
                return record

            records = self._read(jobs, read)
            paths = [Path(f"{job.pha.path}{KEPT}") for job in jobs]
            few = [i for i, path in enumerate(paths) if path in written][:room]
            return records, {i: GriddedObservation.load(paths[i], records[i]) for i in few}

    def _picture(self, uploads: Uploads, exposure_s: float | None) -> CountsImage:
        with self._stored(uploads) as (stored, folder):
            job = ImageJob(
                image=stored["image"][0],
                result=str(folder / f"picture{KEPT}"),
                max_pixels=self.config.max_pixels,
                exposure_map=stored["exposure_map"],
                mask=stored["mask"],
                exposure_s=exposure_s,
            )
            return self.pool.read_image(job)

    def _read(
        self, jobs: Sequence[Job], read: Callable[[Job, Allowance], Record] | None = None
    ) -> list[Record]:
        """Read a request's spectra: as many at once as there are readers, none after a bad one."""
        allowance = Allowance(self.config.request_cpu_s)
        with ThreadPoolExecutor(self.config.parsers) as threads:
            futures = [threads.submit(read or self.pool.read, job, allowance) for job in jobs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise

    @contextlib.contextmanager
    def _stored(self, uploads: Uploads) -> Iterator[tuple[dict[str, tuple[Upload, ...]], Path]]:
        """The uploads as files, which are removed afterwards; and their folder."""
        named = {
            role: [(upload.file, plain_name(upload.filename)) for upload in each]
            for role, each in uploads.items()
        }
        measure((each for role in named.values() for each in role), self.config)
        with tempfile.TemporaryDirectory(prefix="wolter-") as name:
            folder, stored = Path(name), {}
            for role, each in named.items():
                kept = []
                for index, (file, plain) in enumerate(each):
                    path = folder / f"{role}-{index}.fits"
                    store(file, path, plain, self.config)
                    kept.append(Upload(plain, str(path)))
                stored[role] = tuple(kept)
            yield stored, folder


def _beside(stored: dict[str, tuple[Upload, ...]]) -> dict[str, tuple[Upload, ...]]:
    return {role: stored[role] for role in ("rmf", "arf", "background")}


def _by_role(form: FormData, roles: Sequence[str] = ROLES) -> Uploads:
    """The files of a form by field; the first role must have one."""
    uploads: Uploads = {role: [] for role in roles}
    for name, value in form.multi_items():
        if name not in uploads:
            raise InputError(f"unknown field {plain_name(name)!r}; send {', '.join(roles)}")
        if not isinstance(value, UploadFile):
            raise InputError(f"field {name}: not a file; send it as a file")
        uploads[name].append(value)
    if not uploads[roles[0]]:
        what = (
            "spectrum; send one or more PHA files" if roles is ROLES else "image; send a FITS file"
        )
        raise InputError(f"no {what} in the field {roles[0]}")
    return uploads
