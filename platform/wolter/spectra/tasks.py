"""Tasks of models of spectra; that of parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wolter.data.batches import count_rows
from wolter.data.out_paths import check_folder
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.progress import bar
from wolter.registry.checkpoint import Model, load_model
from wolter.registry.pretrained import locate
from wolter.spectra.any_task import SpectraOptions, SpectraTask
from wolter.spectra.columns import estimates_parameters
from wolter.spectra.embedding_task import EmbeddingTask
from wolter.spectra.predict import estimate, predict_files
from wolter.task import Advance, Demonstration

if TYPE_CHECKING:
    from wolter.answering.contract import Serving
    from wolter.answering.scoring import Scoring
    from wolter.report.write import Report
    from wolter.spectra.schema import SpectraBatch

TRANSLATORS = "translator"  # family of translators


@dataclass(frozen=True)
class ParameterOptions(SpectraOptions):
    """Options of parameter estimates.

    Attributes:
        translator: translate the spectra to the simulated domain first, with this version, run id,
            alias or checkpoint folder of the family translator.
        components: add the component spectra, where the family gives them.
        check: goodness of fit: fit every spectrum from the answer, and flag those that the model
            does not explain.
        refine: give the exact posterior in place of the network's (family posterior); implies
            --check.
        plots: folder for corner plots and spectra with residuals; implies --check.
    """

    translator: str = ""
    components: bool = False
    check: bool = False
    refine: bool = False
    plots: Path | None = None

    @property
    def checked(self) -> bool:
        """True if goodness of fit is asked for."""
        return self.check or self.refine or self.plots is not None


@dataclass(frozen=True)
class ParameterEvaluation:
    """Options of the evaluation of parameter estimates.

    Attributes:
        exact: number of spectra whose exact posterior is sampled, for comparison.
        assume_dataset: folder of a simulated dataset whose model and response are assumed. With
            --exact, the exact posterior under this wrong assumption is added, and posteriors are
            refined under it.
        translator: translate the spectra to the simulated domain first, as observed ones: version,
            run id, alias or checkpoint folder of the family translator.
    """

    exact: int = 0
    assume_dataset: Path | None = None
    translator: str = ""


class ParametersTask(SpectraTask):
    """Parameters of PHA files: a table with one row a file.

    Each file is read with the response and background that its header names, unless others are
    given. Files that cannot be read go to OUT's stem + .rejects.parquet with the reason. The suffix
    of OUT chooses the format: .parquet, .csv, .vot or .fits.
    """

    name = "spectra/parameters"
    Options = ParameterOptions
    EvaluateOptions = ParameterEvaluation

    def check_outputs(self, files: Sequence[Path], out: Path, inputs: Any, options: Any) -> None:
        """See `Task`."""
        super().check_outputs(files, out, inputs, options)
        if options.plots is not None:
            check_folder(options.plots)
        if options.translator and options.checked:
            raise InputError(
                "--translator: its counts have no Poisson likelihood; leave out "
                "--check, --refine and --plots"
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
        table_of = predict_files
        if options.translator:
            translator = load_model(locate(TRANSLATORS, options.translator))
            table_of = partial(predict_files, translator=translator)
        if options.checked:
            from wolter.spectra.check_files import check_files

            table_of = partial(check_files, refined=options.refine, plots=options.plots)
        more = {"components": options.components, "table_of": table_of}
        lines = self._write_table(model, version, files, out, inputs, options, advance, **more)
        return lines if options.plots is None else [*lines, f"plots: {options.plots}"]

    def evaluate(
        self,
        models: Sequence[Model],
        versions: Sequence[str],
        dataset: ShardDataset,
        split: str,
        limit: int | None,
        options: Any,
    ) -> "Report":
        """Errors of the estimates beside published and exact ones; see `Task`."""
        if options.translator and options.exact:
            raise InputError("--translator: what it gives has no likelihood; leave out --exact")
        translator = None
        if options.translator:
            translator = load_model(locate(TRANSLATORS, options.translator))
        if not all(estimates_parameters(model) for model in models):
            if options != self.EvaluateOptions():
                raise InputError(
                    "--exact, --assume-dataset and --translator are of estimates of every "
                    "parameter; leave them out"
                )
            return super().evaluate(models, versions, dataset, split, limit, options)
        from wolter.spectra.evaluate.evaluation import evaluate

        assumed = None
        if options.assume_dataset is not None:
            from wolter.spectra.evaluate.conditions import config_of

            assumed = config_of(options.assume_dataset)
        rows = count_rows(dataset, split)
        sampled = min(rows, options.exact) * (1 if assumed is None else 2)
        with bar("evaluating", min(rows, limit or rows) + sampled) as advance:
            return evaluate(
                models,
                dataset,
                split,
                limit,
                versions=versions,
                exact=options.exact,
                assumed=assumed,
                progress=advance,
                translator=translator,
            )

    def serving(self) -> "Serving":
        """See `Task`."""
        from wolter.spectra.parameters_serving import ParametersServing

        return ParametersServing()

    def scoring(self) -> "Scoring":
        """See `Task`."""
        from wolter.spectra.scoring import ParametersScoring

        return ParametersScoring()

    def demonstration(self) -> type[Demonstration]:
        """See `Task`."""
        from wolter.spectra.demo import SpectraDemonstration

        return SpectraDemonstration

    def plain_answer(self, model: Model) -> Mapping[str, Any]:
        """Parameters of a plain spectrum: its anomaly is not known to models of early layouts."""
        spec = model.card.spec
        if not estimates_parameters(model):
            return super().plain_answer(model)
        values = estimate(model, cast("SpectraBatch", self.kind.example(spec, 1)))
        return {name: values[name] for name in spec.names}


TASKS = (EmbeddingTask(), ParametersTask())
