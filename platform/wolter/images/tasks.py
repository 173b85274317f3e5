"""Tasks of models of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wolter.data.batches import count_rows
from wolter.data.out_paths import check_out, stem
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.family import Family
from wolter.home import default_dataset
from wolter.images.fits_output import SUFFIXES, write
from wolter.images.outputs import RATE
from wolter.images.predict import enhance_picture, variant_name
from wolter.progress import bar
from wolter.registry.checkpoint import Model
from wolter.task import Advance, Task
from wolter.xray.imaging.counts_image import read_counts_image

if TYPE_CHECKING:
    from wolter.answering.contract import Serving
    from wolter.answering.picturing import Picturing
    from wolter.report.write import Report

FIELDS = 200  # of the default dataset
FIGURES = (".png", ".pdf", ".svg")  # suffixes of --plot


@dataclass(frozen=True)
class ImageFiles:
    """Files that go with an image.

    Attributes:
        exposure_map: FITS image of seconds on the same pixels; EPIC-pn images in detector
            coordinates need none.
        mask: FITS image, 0 where pixels are to be left out.
    """

    exposure_map: Path | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class EnhanceOptions:
    """Options of image enhancement.

    Attributes:
        task: superres doubles the pixels, denoise keeps them; empty for the family's main task.
        exposure: exposure in seconds, in place of the header's.
        compare: FITS image of another telescope, such as Chandra, to show beside the answer; its
            offset and ratio of fluxes are measured.
        plot: figure to draw: input, answer, uncertainty and check; .png, .pdf or .svg.
    """

    task: str = ""
    exposure: float | None = None
    compare: Path | None = None
    plot: Path | None = None


@dataclass(frozen=True)
class EnhanceEvaluation:
    """Options of the evaluation of enhanced images.

    Attributes:
        fields: number of whole simulated fields of each kind for source detection, of which three
            are plotted; 0: none.
    """

    fields: int = 2


class EnhanceTask(Task):
    """Denoise or super-resolve an image of photons: FITS in, FITS out, on the same sky.

    The answer is in ct/s per output pixel; extensions hold its uncertainty and, in sigma, where the
    input's photons contradict it. OUT ends in .fits, or .fits.gz for a gzipped one.
    """

    name = "images/enhance"
    Inputs = ImageFiles
    Options = EnhanceOptions
    EvaluateOptions = EnhanceEvaluation

    def model_name(self, family: Family, options: Any) -> str:
        """Name of the model of a task: the family's own, or a variant's."""
        return variant_name(family, options.task)

    def check_outputs(self, files: Sequence[Path], out: Path, inputs: Any, options: Any) -> None:
        """See `Task`."""
        if len(files) != 1:
            raise InputError(f"{len(files)} images: give one")
        read = (*files, inputs.exposure_map, inputs.mask, options.compare)
        check_out(out, read, SUFFIXES)
        if (plot := _plot(out, options)) is not None:
            check_out(plot, (*read, out), FIGURES)

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
        (file,) = files
        picture = read_counts_image(file, inputs.exposure_map, inputs.mask, options.exposure)
        other = None
        if options.compare is not None:
            from wolter.images.plot import other_of

            other = other_of(options.compare, picture, model.card.spec.scale)
        enhanced = enhance_picture(model, picture, version)
        write(enhanced, out)
        advance(1)
        rows, columns = enhanced.rate_HW.shape
        made_by = f"{enhanced.model_name} {version}".strip()
        lines = [f"note: {remark}" for remark in enhanced.remarks]
        lines += [f"{columns} x {rows} pixels by {made_by}: {out}", str(enhanced.agreement)]
        plot = _plot(out, options)
        if plot is not None:
            from wolter.images.plot import compared, draw

            comparison = None if other is None else compared(enhanced, other)
            draw(enhanced, plot, comparison)
            lines += [] if comparison is None else [str(comparison)]
            lines.append(f"picture: {plot}")
        return lines

    def evaluate(
        self,
        models: Sequence[Model],
        versions: Sequence[str],
        dataset: ShardDataset,
        split: str,
        limit: int | None,
        options: Any,
    ) -> "Report":
        """Scores beside those of methods without a network; see `Task`."""
        rows = count_rows(dataset, split)
        n = min(rows, limit or rows)
        if not all(_gives_rates(model) for model in models):
            from wolter.report.family_report import evaluate

            with bar("evaluating", n) as advance:
                return evaluate(models, versions, dataset, split, limit, advance)
        from wolter.images.evaluate.evaluation import evaluate_images
        from wolter.images.evaluate.fields import SOURCES

        with bar("evaluating", n + options.fields * len(SOURCES) * len(models)) as advance:
            return evaluate_images(
                models,
                dataset,
                split,
                limit,
                versions=versions,
                n_fields=options.fields,
                progress=advance,
            )

    def default_data(self) -> Path:
        """See `Task`."""
        path = default_dataset(self.kind.name)
        if not (path / "dataset.json").exists():
            from wolter.images.simulate import simulate_image_dataset
            from wolter.images.simulator import ImageSimulateConfig, tile_corners

            config = ImageSimulateConfig()
            print(f"no --data given: simulating {FIELDS} EPIC-pn fields into {path}")
            with bar("simulating", FIELDS * len(tile_corners(config))) as advance:
                simulate_image_dataset(config, FIELDS, path, on_shard=advance)
        return path

    def serving(self) -> "Serving":
        """See `Task`."""
        from wolter.images.serving import ImagesServing

        return ImagesServing()

    def picturing(self) -> "Picturing":
        """See `Task`."""
        from wolter.images.picturing import EnhancedPictures

        return EnhancedPictures()

    def reader(self) -> Callable[[Any], Any]:
        """See `Task`."""
        from wolter.images.uploads import read

        return read


def _plot(out: Path, options: EnhanceOptions) -> Path | None:
    """The figure to draw: the one asked for, or one beside the answer to show a comparison."""
    if options.plot is None and options.compare is not None:
        return out.with_name(f"{stem(out)}.png")
    return options.plot


def _gives_rates(model: Model) -> bool:
    return RATE in {output.name for output in model.outputs}


TASKS = (EnhanceTask(),)
