"""Spectra of a request in files: how each is read, and of which the likelihood is kept."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wolter.answering.contract import Limits
from wolter.answering.uploads import Upload
from wolter.errors import InputError
from wolter.spectra import upload_requests
from wolter.spectra.grid import default_grid
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges
from wolter.spectra.upload_requests import SpectrumReader

SPEC = SpectraSpec(default_grid())


@dataclass
class Stored:
    """Files of a request, whose jobs are answered by `answer`."""

    files: Mapping[str, Any]
    folder: Path
    answer: Any

    def read(self, job, name):
        return self.answer(job, name)

    def each(self, read, of):
        return [read(item) for item in of]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """A request of so many spectra, where two may be refined."""
    monkeypatch.setattr(upload_requests, "from_json", lambda values: values)
    monkeypatch.setattr(
        upload_requests.GriddedObservation, "load", lambda path, record: (path.name, record)
    )

    def make(n, answer):
        spectra = tuple(Upload(f"{i}.pha", str(tmp_path / f"pha-{i}")) for i in range(n))
        files = {"pha": spectra, "rmf": ("r",), "arf": (), "background": ("b", "c")}

        async def read(work):
            return work(Stored(files, tmp_path, answer))

        return SimpleNamespace(read=read, sent={"pha": n}, limits=Limits(max_refined=2))

    return make


@pytest.mark.parametrize("use_background", [True, False])
def test_a_job_is_as_asked(ask, use_background):
    jobs = []
    request = ask(2, lambda job, name: jobs.append(job) or name)
    reader = SpectrumReader(SPEC, "embedded", "acis_s", use_background)
    assert asyncio.run(reader.records(request)) == ["0.pha", "1.pha"]
    assert asyncio.run(reader.gridded(request)) == [
        ("pha-0.safetensors", "0.pha"), ("pha-1.safetensors", "1.pha")
    ]  # fmt: skip
    for job in jobs:
        assert (job.spec, job.response, job.use_background) == (SPEC, "embedded", use_background)
        assert job.instrument == "acis_s"
        assert (job.rmf, job.arf, job.background) == (("r",), (), ("b", "c"))
    assert [Path(job.gridded).name for job in jobs] == [
        "", "", "pha-0.safetensors", "pha-1.safetensors"
    ]  # fmt: skip
    assert {job.trained for job in jobs} == {None}


def test_so_many_spectra_may_be_refined(ask):
    with pytest.raises(InputError, match=r"^refine: 3 spectra; send at most 2$"):
        asyncio.run(SpectrumReader(SPEC).gridded(ask(3, None)))


def test_evidence_is_kept_of_the_first_ones_alone(ask):
    """Of five spectra beyond the training but for the second, where two may be refined."""
    asked, trained = [], TrainingRanges()

    def answer(job, name):
        asked.append(bool(job.gridded))
        assert job.trained is trained
        if job.gridded and name != "1.pha":
            Path(job.gridded).touch()
        return name

    records, few = asyncio.run(SpectrumReader(SPEC).beyond(ask(5, answer), trained))
    assert records == [f"{i}.pha" for i in range(5)]
    assert asked == [True, True, True, False, False]
    assert few == {0: ("pha-0.safetensors", "0.pha"), 2: ("pha-2.safetensors", "2.pha")}
