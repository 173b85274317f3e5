"""`wolter fit`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import tyro

from wolter.data.shards import open_dataset
from wolter.data.tables import check_table, write_rejects, write_table
from wolter.errors import InputError
from wolter.progress import bar
from wolter.registry.pretrained import find
from wolter.spectra.fitting.datasets import FitConfig, FromPrior, Start, fit_dataset
from wolter.spectra.fitting.files import FileFits, FromNetwork, fit_files, to_astropy
from wolter.spectra.grid import default_grid
from wolter.spectra.priors import PriorOption, free_and_fixed
from wolter.spectra.schema import Parameter, SpectraSpec
from wolter.spectra.simulator import SimulateConfig
from wolter.xray.instruments.instrument import DEFAULT


@dataclass(frozen=True)
class Fit:
    """Fit spectra by maximum likelihood, from the prior or a network; one row a spectrum.

    Fits PHA files, each with the response and background that its header names unless others are
    given, or with --data the spectra of a simulated dataset, with Ray Data. Channels are summed
    into the energy grid of the networks, 0.3-10 keV. Files that cannot be read go to OUT's stem +
    .rejects.parquet with the reason.

    Attributes:
        files: PHA files.
        out: table to write; .parquet, .csv, .vot or .fits choose the format.
        start: prior (the middle of the bounds), random (points between them), or network.
        starts: random starts of each spectrum; the best fit is kept.
        family: family of the network to start from.
        version: version, run id or alias of the network in the registry.
        checkpoint: folder of a network to use in place of the registry's.
        statistic: wstat (background measured) or cstat (known: that of the simulation, or the
            measured one smoothed); by default cstat for a dataset fitted as what it is.
        method: lm (Levenberg-Marquardt) or simplex (Nelder-Mead).
        search: global search for lower minima across the range of each parameter; without it, a
            third of the fits from the prior miss the lowest minimum.
        intervals: 68 % profile-likelihood intervals, in ten times the time.
        model: emission model of files in XSPEC's names, e.g. "tbabs * (powerlaw + diskbb)"; by
            default the network's, or that of the pretrained families.
        prior: NAME LOW HIGH [log|uniform|normal] of each free parameter of the model, given again
            for each: bounds of the fit, and where it starts.
        fixed: NAME VALUE of a parameter that is not fitted, given again for each.
        bounds: NAME=LOW,HIGH in place of a parameter's prior range.
        rmf: RMF to use for every file.
        arf: ARF to use for every file.
        background: background spectrum to use for every file.
        response: files, or embedded for the response of the instrument that needs no files.
        instrument: name of the instrument of an embedded response.
        data: folder of a simulated dataset, in place of files.
        assume_dataset: folder of another simulated dataset, whose model and response the spectra of
            --data are fitted with in place of their own.
        split: test, validation, train or all of the dataset.
        n: spectra of the dataset; 0: all.
    """

    out: Path
    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    start: Literal["prior", "random", "network"] = "prior"
    starts: int = 8
    family: str = "deepspectra"
    version: str = "champion"
    checkpoint: Path | None = None
    statistic: Literal["cstat", "wstat"] | None = None
    method: Literal["lm", "simplex"] = "lm"
    search: bool = True
    intervals: bool = True
    model: str = ""
    prior: Annotated[tuple[PriorOption, ...], tyro.conf.UseAppendAction] = ()
    fixed: Annotated[tuple[tuple[str, float], ...], tyro.conf.UseAppendAction] = ()
    bounds: tuple[str, ...] = ()
    rmf: Path | None = None
    arf: Path | None = None
    background: Path | None = None
    response: Literal["files", "embedded"] = "files"
    instrument: str = DEFAULT
    data: Path | None = None
    assume_dataset: Path | None = None
    split: str = "test"
    n: int = 0

    def run(self) -> int:
        """Fit, and account for every file."""
        if bool(self.files) == (self.data is not None):
            raise InputError("give either PHA files or --data DIR")
        if self.assume_dataset is not None and self.data is None:
            raise InputError(
                "--assume-dataset: only with --data; a file is fitted with its own response"
            )
        if self.starts < 1:
            raise InputError(f"--starts {self.starts}: give at least one")
        rejects_file = check_table(self.out, (*self.files, self.rmf, self.arf, self.background))
        rejects: list[tuple[str, str]] = []
        if self.data is None:
            table, parameters = self._fit_files(rejects)
            write_rejects(rejects, rejects_file)
        else:
            table, parameters = self._fit_dataset(self.data)
        write_table(to_astropy(table, parameters), self.out)
        print(f"{table.num_rows} spectra: {self.out}")
        ended = sum(table["converged"].to_pylist())
        if ended < table.num_rows:
            print(
                f"{table.num_rows - ended} of {table.num_rows} fits have not converged: see the "
                "column flag; try --start random --starts 32, or --method simplex"
            )
        if rejects:
            print(f"{len(rejects)} rejected: {rejects_file}")
        return 0

    def _fit_files(self, rejects: list[tuple[str, str]]) -> tuple[pa.Table, tuple[Parameter, ...]]:
        network = self._network()
        spec = self._spec(network)
        how = FileFits(
            spec=spec,
            start=self._start(spec, network),
            config=self._config("wstat"),
            rmf=self.rmf,
            arf=self.arf,
            background=self.background,
            response=self.response,
            instrument=self.instrument,
        )
        # The only file that is given is never rejected but raised.
        several = len(self.files) > 1
        with bar("fitting", len(self.files)) as advance:
            table = fit_files(
                self.files,
                how,
                (lambda file, reason: rejects.append((file, reason))) if several else None,
                on_files=advance,
            )
        if not table.num_rows:
            first = rejects[0][1]
            raise InputError(f"none of {len(self.files)} spectra could be read: {first}")
        return table, spec.parameters

    def _spec(self, network: FromNetwork | None) -> SpectraSpec:
        """Model, parameters and grid of fits of files: the options', else the network's."""
        plain = SimulateConfig()
        spec = SpectraSpec(
            default_grid(), plain.prior, model=plain.model, fixed=plain.fixed
        )  # of networks whose cards name no model, too
        if network is not None:
            own = network.model.card.spec
            spec = own if own.model else replace(own, model=spec.model, fixed=spec.fixed)
        if self.model or self.prior or self.fixed:
            same = self.model in ("", spec.model)
            free = {option[0] for option in self.prior}
            fixed = [pair for pair in spec.fixed.items() if same and pair[0] not in free]
            parameters, values = free_and_fixed(
                self.model or spec.model, self.prior, (*fixed, *self.fixed), spec.parameters
            )
            spec = replace(
                spec, parameters=parameters, model=self.model or spec.model, fixed=values
            )
        return replace(spec, parameters=_bounded(spec.parameters, self.bounds))

    def _fit_dataset(self, data: Path) -> tuple[pa.Table, tuple[Parameter, ...]]:
        for name in ("rmf", "arf", "background", "bounds", "model", "prior", "fixed"):
            if getattr(self, name):
                raise InputError(f"--{name}: not used with --data, which knows its own")
        dataset = open_dataset(data)
        assumed = None if self.assume_dataset is None else open_dataset(self.assume_dataset)
        spec = (assumed or dataset).spec
        start = self._start(spec, self._network())
        config = self._config("cstat" if assumed is None else "wstat")
        n = self.n or None
        with bar("fitting", n) as advance:
            table = fit_dataset(
                dataset, config, start, self.split, n, on_fits=advance, assumed=assumed
            )
        return table, spec.parameters

    def _config(self, usual: Literal["cstat", "wstat"]) -> FitConfig:
        return FitConfig(self.statistic or usual, self.method, self.search, self.intervals)

    def _network(self) -> FromNetwork | None:
        if self.start != "network":
            return None
        return FromNetwork(self.checkpoint or find(self.family, self.version)[0])

    def _start(self, spec: SpectraSpec, network: FromNetwork | None) -> Start:
        if network is None:
            return FromPrior(spec.parameters, self.starts if self.start == "random" else 0)
        network.check(spec)
        return network


def _bounded(parameters: tuple[Parameter, ...], given: tuple[str, ...]) -> tuple[Parameter, ...]:
    """The parameters with the ranges that are given as NAME=LOW,HIGH."""
    known = {p.name: p for p in parameters}
    for text in given:
        name, _, values = text.partition("=")
        try:
            low, high = map(float, values.split(","))
            known[name] = replace(known[name], low=low, high=high)
        except (KeyError, ValueError) as error:
            raise InputError(
                f"--bounds {text}: give NAME=LOW,HIGH with LOW < HIGH and NAME one of: "
                f"{', '.join(known)}"
            ) from error
    return tuple(known.values())


COMMAND = Fit
