"""What all tasks of models of spectra have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wolter.data.batches import count_rows
from wolter.data.shards import ShardDataset
from wolter.data.tables import check_table
from wolter.home import default_dataset
from wolter.progress import bar
from wolter.registry.checkpoint import Model
from wolter.spectra.predict import predict_to_file
from wolter.spectra.reading import ResponseChoice
from wolter.task import Advance, Task
from wolter.xray.instruments.instrument import DEFAULT

if TYPE_CHECKING:
    from wolter.answering.contract import Serving
    from wolter.report.family_report import FamilyReport
    from wolter.report.write import Report

DEFAULT_SPECTRA = 20_000  # of the default dataset


@dataclass(frozen=True)
class SpectrumFiles:
    """Files that go with spectra.

    Attributes:
        rmf: RMF to use for every file.
        arf: ARF to use for every file; "none" for none.
        background: background spectrum to use for every file; "none" for none.
    """

    rmf: Path | None = None
    arf: Path | None = None
    background: Path | None = None


@dataclass(frozen=True)
class SpectraOptions:
    """Response options of predictions for spectra.

    Attributes:
        response: files, or embedded for the response of the instrument, which needs no files.
        instrument: name of the instrument of an embedded response.
    """

    response: ResponseChoice = "files"
    instrument: str = DEFAULT


class SpectraTask(Task):
    """Predictions for PHA files: a table with one row a file.

    Each file is read with the response and background that its header names, unless others are
    given. Files that cannot be read go to OUT's stem + .rejects.parquet with the reason. The suffix
    of OUT chooses the format: .parquet, .csv, .vot or .fits.
    """

    Inputs = SpectrumFiles
    Options = SpectraOptions

    def check_outputs(self, files: Sequence[Path], out: Path, inputs: Any, options: Any) -> None:
        """See `Task`."""
        check_table(
            out,
            (*files, inputs.rmf, inputs.arf, inputs.background),
            vectors=getattr(options, "components", getattr(options, "reconstruction", False)),
        )

    def predict(
        self,
        model: Model,
        version: str,
        files: Sequence[Path],
        out: Path,
        inputs: Any,
        options: Any,
        advance: Advance,
    ) -> list[str]:
        """See `Task`."""
        return self._write_table(model, version, files, out, inputs, options, advance)

    def _write_table(
        self,
        model: Model,
        version: str,
        files: Sequence[Path],
        out: Path,
        inputs: SpectrumFiles,
        options: SpectraOptions,
        advance: Advance,
        **more: Any,
    ) -> list[str]:
        """Write the table; `more` goes to `predict_to_file`."""
        written = predict_to_file(
            model,
            files,
            out,
            rmf=inputs.rmf,
            arf=inputs.arf,
            background=inputs.background,
            response=options.response,
            instrument=options.instrument,
            version=version,
            on_files=advance,
            **more,
        )
        lines = [f"{written.rows} spectra: {out}"]
        if written.rejects:
            lines.append(f"{len(written.rejects)} rejected: {written.rejects_file}")
        return lines

    def evaluate(
        self,
        models: Sequence[Model],
        versions: Sequence[str],
        dataset: ShardDataset,
        split: str,
        limit: int | None,
        options: Any,  # noqa: ARG002  # has none
    ) -> "Report":
        """The families' own metrics; see `Task`."""
        return self.own_metrics(models, versions, dataset, split, limit)

    def own_metrics(
        self,
        models: Sequence[Model],
        versions: Sequence[str],
        dataset: ShardDataset,
        split: str,
        limit: int | None,
    ) -> "FamilyReport":
        """Metrics that the families declare; see `evaluate`."""
        from wolter.report.family_report import evaluate
        from wolter.spectra.evaluate.inference import check_grid

        for model in models:
            check_grid(model, dataset)
        rows = count_rows(dataset, split)
        with bar("evaluating", min(rows, limit or rows)) as advance:
            return evaluate(models, versions, dataset, split, limit, advance)

    def default_data(self) -> Path:
        """See `Task`."""
        path = default_dataset(self.kind.name)
        if not (path / "dataset.json").exists():
            from wolter.spectra.simulate import simulate_dataset
            from wolter.spectra.simulator import SimulateConfig

            print(f"no --data given: simulating {DEFAULT_SPECTRA} EPIC-pn spectra into {path}")
            with bar("simulating", DEFAULT_SPECTRA) as advance:
                simulate_dataset(SimulateConfig(), DEFAULT_SPECTRA, path, on_shard=advance)
        return path

    def serving(self) -> "Serving":
        """See `Task`."""
        from wolter.spectra.serving import SpectraServing

        return SpectraServing()

    def reader(self) -> Callable[[Any], Any]:
        """See `Task`."""
        from wolter.spectra.uploads import read

        return read
