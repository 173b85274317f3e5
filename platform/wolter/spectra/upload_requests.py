"""Spectra of a request in files: records, and what their likelihoods need."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wolter.answering.contract import Request, Stored
from wolter.answering.uploads import Upload
from wolter.errors import InputError
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.reading import Record, ResponseChoice
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges
from wolter.spectra.uploads import Job, from_json
from wolter.xray.instruments.instrument import DEFAULT

KEPT = ".safetensors"  # what a reader made of a file, beside it


@dataclass(frozen=True)
class SpectrumReader:
    """Reads the spectra of a request.

    Attributes:
        spec: spec of the model.
        response: see `wolter.spectra.reading.read_record`.
        instrument: instrument of an embedded response.
        use_background: read the background, too.
    """

    spec: SpectraSpec
    response: ResponseChoice = "files"
    instrument: str = DEFAULT
    use_background: bool = True

    async def records(self, request: Request) -> list[Record]:
        """Records of the uploaded spectra, in their order.

        Raises:
            InputError: a file is bad; `TooLargeError` where reading takes too long.
            UnavailableError: readers are lost, through no fault of the files.
        """

        def read(stored: Stored) -> list[Record]:
            job = self._jobs(stored)
            return stored.each(lambda pha: _record(stored, job(pha)), stored.files["pha"])

        return await request.read(read)

    async def gridded(self, request: Request) -> list[GriddedObservation]:
        """Inputs of the likelihoods of the uploaded spectra; see `records`."""
        n, most = request.sent["pha"], request.limits.max_refined
        if n > most:
            raise InputError(f"refine: {n} spectra; send at most {most}")

        def read(stored: Stored) -> list[GriddedObservation]:
            job = self._jobs(stored)

            def one(pha: Upload) -> GriddedObservation:
                kept = Path(f"{pha.path}{KEPT}")
                record = _record(stored, job(pha, gridded=str(kept)))
                return GriddedObservation.load(kept, record)

            return stored.each(one, stored.files["pha"])

        return await request.read(read)

    async def beyond(
        self, request: Request, trained: TrainingRanges
    ) -> tuple[list[Record], dict[int, GriddedObservation]]:
        """Records, and by index what the likelihoods of those beyond a model's training need.

        Of the first ones, as many as may be refined in one request; see `records`. No other
        gridded observation is stored but that of spectra that are read at the same time.
        """
        room = request.limits.max_refined

        def read(stored: Stored) -> tuple[list[Record], dict[int, GriddedObservation]]:
            job, written = self._jobs(stored), set[Path]()

            def one(pha: Upload) -> Record:
                kept = Path(f"{pha.path}{KEPT}")
                # Jobs start in their order, so that none of the first ones finds no room.
                gridded = str(kept) if len(written) < room else ""
                record = _record(stored, job(pha, gridded=gridded, trained=trained))
                if kept.is_file():
                    written.add(kept)
                return record

            records = stored.each(one, stored.files["pha"])
            paths = [Path(f"{pha.path}{KEPT}") for pha in stored.files["pha"]]
            few = [i for i, path in enumerate(paths) if path in written][:room]
            return records, {i: GriddedObservation.load(paths[i], records[i]) for i in few}

        return await request.read(read)

    def _jobs(self, stored: Stored) -> Callable[..., Job]:
        """Makes the job of a spectrum, with the files that serve every spectrum."""

        def job(pha: Upload, **more: Any) -> Job:
            return Job(
                pha,
                self.spec,
                rmf=stored.files["rmf"],
                arf=stored.files["arf"],
                background=stored.files["background"],
                use_background=self.use_background,
                response=self.response,
                instrument=self.instrument,
                **more,
            )

        return job


def _record(stored: Stored, job: Job) -> Record:
    return from_json(stored.read(job, job.pha.name))
