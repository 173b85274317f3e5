"""Task of embeddings of spectra: latents and classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wolter.data.out_paths import check_folder
from wolter.data.shards import ShardDataset
from wolter.registry.checkpoint import Model
from wolter.spectra.any_task import SpectraOptions, SpectraTask
from wolter.spectra.latents.options import EmbeddingEvaluation
from wolter.spectra.refinement import check_refines
from wolter.task import Advance

if TYPE_CHECKING:
    from wolter.answering.scoring import Scoring
    from wolter.report.write import Report


@dataclass(frozen=True)
class EmbeddingOptions(SpectraOptions):
    """Options of latents.

    Attributes:
        reconstruction: add the reconstructed counts on the model's energy grid, where the family
            gives them.
        refine: fit the latents of each spectrum to its counts, from the encoder's: latents, widths,
            flux, deviance and reconstruction are then the fit's, and flagged so.
        plots: folder for pictures of each spectrum with its reconstruction and residuals.
    """

    reconstruction: bool = False
    refine: bool = False
    plots: Path | None = None


class EmbeddingTask(SpectraTask):
    """Latents and classes of PHA files: a table with one row a file.

    Each file is read with the response and background that its header names, unless others are
    given. Files that cannot be read go to OUT's stem + .rejects.parquet with the reason. The suffix
    of OUT chooses the format: .parquet, .csv, .vot or .fits.
    """

    name = "spectra/embedding"
    Options = EmbeddingOptions
    EvaluateOptions = EmbeddingEvaluation

    def check_outputs(self, files: Sequence[Path], out: Path, inputs: Any, options: Any) -> None:
        """See `Task`."""
        super().check_outputs(files, out, inputs, options)
        if options.plots is not None:
            check_folder(options.plots)

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
        plots: Path | None = options.plots
        if options.reconstruction or plots is not None:
            from wolter.spectra.reconstruction_plots import check_reconstructs, plot_files

            check_reconstructs(model)
        if options.refine:
            check_refines(model.family)
        more = {"components": options.reconstruction, "refine": options.refine}
        lines = self._write_table(model, version, files, out, inputs, options, advance, **more)
        if plots is None:
            return lines
        plot_files(
            model,
            files,
            plots,
            options.refine,
            rmf=inputs.rmf,
            arf=inputs.arf,
            background=inputs.background,
            response=options.response,
            instrument=options.instrument,
        )
        return [*lines, f"plots: {plots}"]

    def evaluate(
        self,
        models: Sequence[Model],
        versions: Sequence[str],
        dataset: ShardDataset,
        split: str,
        limit: int | None,
        options: Any,
    ) -> "Report":
        """The families' own metrics, and the analysis of latents where classes are known."""
        from wolter.spectra.latents.evaluation import analyse, has_latents

        own = self.own_metrics(models, versions, dataset, split, limit)
        if options.plain or not dataset.spec.classes or not all(map(has_latents, models)):
            return own
        return analyse(own, models, dataset, split, limit, options)

    def scoring(self) -> "Scoring":
        """See `Task`."""
        from wolter.spectra.scoring import EmbeddingScoring

        return EmbeddingScoring()
