"""Classical fits of PHA files and datasets -> a table, started from the prior or from a network.

Shapes: B batch, C channel, P parameter.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from wolter.data.tables import vo_unit
from wolter.errors import InputError
from wolter.registry.checkpoint import Model, load_model
from wolter.spectra.fitting.datasets import FitConfig, Start, fit_batch
from wolter.spectra.gridded import known_background
from wolter.spectra.gridding import without_areascale
from wolter.spectra.predict import estimate
from wolter.spectra.reading import ResponseChoice, read_observed, to_record
from wolter.spectra.schema import Parameter, SpectraBatch, SpectraSpec
from wolter.xray.emission import components
from wolter.xray.instruments.instrument import DEFAULT
from wolter.xray.spectral.forward import Forward
from wolter.xray.spectral.observation import Observation

if TYPE_CHECKING:
    from astropy.table import Table

CHUNK = 256  # files read before they are fitted


@dataclass(frozen=True)
class FromNetwork:
    """Starts from a model's estimates; the model is loaded once in every process.

    Attributes:
        folder: folder of the model's checkpoint.
    """

    folder: Path

    @property
    def model(self) -> Model:
        """The loaded model."""
        return _loaded(self.folder)

    def __call__(self, batch: SpectraBatch) -> Tensor:
        """Starts (B, P): the estimates of least squared error."""
        values = estimate(self.model, batch)
        names = self.model.card.spec.names
        return torch.from_numpy(np.stack([values[name] for name in names], 1)).double()

    def check(self, spec: SpectraSpec) -> None:
        """Check that the network matches the grid and parameters of the fit.

        Raises:
            InputError: its grid or its parameters are others.
        """
        own = self.model.card.spec
        if own.energy_edges != spec.energy_edges or own.names != spec.names:
            raise InputError(
                f"{self.folder}: a network of another energy grid or other parameters "
                f"({', '.join(own.names)}); choose another --family or --version"
            )


@cache
def _loaded(folder: Path) -> Model:
    model = load_model(folder)
    if model.family.kind != "spectra":
        raise InputError(f"family {model.family.name} reads {model.family.kind}, not spectra")
    return model


@dataclass(frozen=True)
class FileFits:
    """Fit settings and readers of PHA files.

    Attributes:
        spec: energy grid that channels are summed into, and parameters with their bounds.
        start: starts of a batch.
        config: how to fit; C-stat takes the smoothed background as known.
        rmf, arf, background: for every file in place of those that its header names.
        response: files, or embedded: that of `instrument`, which needs no files.
        instrument: name of the instrument of an embedded response.
    """

    spec: SpectraSpec
    start: Start
    config: FitConfig
    rmf: Path | None = None
    arf: Path | None = None
    background: Path | None = None
    response: ResponseChoice = "files"
    instrument: str = DEFAULT

    def read(self, file: Path) -> tuple[Observation, SpectraBatch, tuple[str, ...]]:
        """One file on the grid: its observation, its record, and flags on how it was read.

        Raises:
            InputError: the file cannot be read or does not fit the response or the grid.
        """
        observation = read_observed(
            file,
            rmf=self.rmf,
            arf=self.arf,
            background=self.background,
            response=self.response,
            instrument=self.instrument,
        )
        record = to_record(observation, self.spec, str(file))
        plain = without_areascale(observation)
        background_BC = known_background(plain, self.spec.energy_edges)
        batch = replace(record.batch, expected_background_BC=background_BC)
        return plain.rebin(self.spec.energy_edges), batch, record.flags

    def fit(self, observation: Observation, batch: SpectraBatch) -> dict[str, np.ndarray]:
        """Columns of `fit_batch` for records of one response."""
        response = observation.response.to(dtype=torch.float32)
        forward = Forward.of(
            components.parse(self.spec.model), response, self.spec.names, self.spec.fixed
        )
        channels = int(response.matrix_EC.any(0).sum())
        return fit_batch(
            forward, batch, self.spec.parameters, self.start(batch), self.config, channels
        )


def fit_files(
    files: Sequence[Path],
    how: FileFits,
    on_reject: Callable[[str, str], None] | None = None,
    on_files: Callable[[int], None] | None = None,
) -> pa.Table:
    """Fit PHA files, in batches of those that share a response; one row a file, in their order.

    Args:
        files: PHA files.
        how: to fit them.
        on_reject: called with file and reason where a file cannot be read, in place of the error.
        on_files: called with the number of files as they are done.

    Raises:
        InputError: a file cannot be read.
    """
    tables = []
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        groups: dict[str, list[tuple[int, Observation, SpectraBatch, tuple[str, ...]]]]
        groups = defaultdict(list)
        for number, file in enumerate(chunk):
            try:
                observation, batch, flags = how.read(Path(file))
            except InputError as error:
                if on_reject is None:
                    raise
                on_reject(str(file), str(error))
            else:
                groups[observation.response.sha256()].append((number, observation, batch, flags))
        rows = []
        for group in groups.values():
            joined = SpectraBatch.concatenate([batch for _, _, batch, _ in group])
            columns = how.fit(group[0][1], joined)
            pairs = zip((flags for *_, flags in group), columns["flag"].tolist(), strict=True)
            columns["flag"] = np.array([";".join(filter(None, (*a, b))) for a, b in pairs])
            numbers = [number for number, *_ in group]
            names = [str(chunk[number]) for number in numbers]
            rows.append(pa.table({"number": numbers, "file": names, **columns}))
        if rows:
            table = pa.concat_tables(rows).sort_by("number")
            tables.append(table.drop_columns(["number"]))
        if on_files is not None:
            on_files(len(chunk))
    return pa.concat_tables(tables) if tables else pa.table({"file": pa.array([], pa.string())})


def to_astropy(table: pa.Table, parameters: Sequence[Parameter]) -> "Table":
    """The table of fits with units and descriptions, as `write_table` takes it."""
    from astropy.table import Column, Table

    about = {
        "file": ("spectrum file, or source of a dataset", None),
        "statistic": ("fit statistic", None),
        "stat": ("the statistic at the best fit", None),
        "dof": ("degrees of freedom", None),
        "converged": ("the fit has converged", None),
        "flag": ("what limits the fit, separated by semicolons", None),
    }
    for p in parameters:
        unit = vo_unit(p.unit)
        said = f" ({p.unit})" if p.unit and (unit is None or " at " in p.unit) else ""
        about[p.name] = (f"{p.name}{said}, maximum likelihood", unit)
        about[f"{p.name}_lolim"] = (f"{p.name}{said}, lower limit, 68 % profile", unit)
        about[f"{p.name}_hilim"] = (f"{p.name}{said}, upper limit, 68 % profile", unit)
        about[f"{p.name}_err"] = (f"{p.name}{said}, standard error, covariance", unit)
    columns = []
    for name in table.column_names:
        values = table[name].to_numpy()
        values = values.astype("U") if values.dtype == object else values
        columns.append(Column(values, name, unit=about[name][1], description=about[name][0]))
    return Table(columns)
