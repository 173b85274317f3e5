"""The four ways in which a spectrum comes in, side by side: ingest, predict, fit, the server."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from wolter.answering.uploads import Upload
from wolter.errors import InputError
from wolter.serve.config import ServeConfig
from wolter.serve.uploads import store
from wolter.spectra.fitting.datasets import FitConfig, FromPrior
from wolter.spectra.fitting.files import FileFits
from wolter.spectra.grid import default_grid
from wolter.spectra.headers import FileKind, classify
from wolter.spectra.ingest import IngestConfig, read_spectra
from wolter.spectra.reading import read_record
from wolter.spectra.schema import SpectraSpec
from wolter.spectra.simulator import REFERENCE_PRIOR
from wolter.spectra.uploads import Job, read_job
from wolter.xray.ogip import tables
from wolter.xray.ogip.pha import read_spectrum

SPEC = SpectraSpec(default_grid(), REFERENCE_PRIOR)
GRID = 256


def by_ingest(pha: Path) -> np.ndarray:
    """Counts on the grid, as `wolter ingest spectra` reads them."""
    seen = classify(pha)
    if seen.kind is FileKind.OTHER:
        raise InputError(f"{pha}: passed over as {seen.other}; give a spectrum")
    table: pa.Table = read_spectra([str(pha)], [pha.name], IngestConfig())
    reason = table["reason"][0].as_py()
    if reason:
        raise InputError(reason)
    return np.asarray(table["counts"][0].as_py())


def by_predict(pha: Path) -> np.ndarray:
    """As `wolter predict` reads them."""
    return read_record(pha, SPEC).batch.counts_BC[0].numpy()


def by_fit(pha: Path) -> np.ndarray:
    """As `wolter fit` reads them."""
    how = FileFits(SPEC, FromPrior(REFERENCE_PRIOR), FitConfig("wstat"))
    return how.read(pha)[1].counts_BC[0].numpy()


def by_server(pha: Path) -> np.ndarray:
    """As the server reads them, with the files beside the spectrum that it names uploaded too."""
    kept = pha.parent / "kept"
    kept.mkdir(exist_ok=True)
    number = 0

    def upload(path: Path) -> Upload:
        nonlocal number
        number += 1
        place = kept / f"{number}.fits"
        with path.open("rb") as file:
            store(file, place, path.name, ServeConfig())
        return Upload(path.name, str(place))

    try:
        spectrum = read_spectrum(pha)
    except InputError:  # the server says why
        names = ["", "", ""]
    else:
        names = [spectrum.respfile, spectrum.ancrfile, spectrum.backfile]
    found = [tables.beside(pha, name) if name else None for name in names]
    roles = [() if path is None or path == pha else (upload(path),) for path in found]
    job = Job(upload(pha), SPEC, rmf=roles[0], arf=roles[1], background=roles[2])
    return read_job(job).batch.counts_BC[0].numpy()


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "ingest": by_ingest,
    "predict": by_predict,
    "fit": by_fit,
    "server": by_server,
}


def read_by_all(pha: Path, names: Sequence[str] = tuple(READERS)) -> dict[str, np.ndarray | str]:
    """What each reader makes of a spectrum: counts on the grid, or its one line."""
    answers: dict[str, np.ndarray | str] = {}
    for name in names:
        try:
            answers[name] = READERS[name](pha)
        except InputError as error:
            answers[name] = str(error)
    return answers
