"""Evaluation of trained networks on images, and its report: JSON, figures and one HTML page."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

from wolter.data.shards import ShardDataset
from wolter.images.evaluate import fields
from wolter.images.evaluate import plots as pictures
from wolter.images.evaluate.evaluation import ImageEvaluation, Network
from wolter.images.evaluate.scoring import judge
from wolter.report import page, style, table
from wolter.spectra.evaluate.inference import Model
from wolter.spectra.evaluate.plots import predicted_true
from wolter.spectra.evaluate.plots.predicted_true import History
from wolter.spectra.evaluate.report import file_name, labels_of, training_facts, write_files

FEW = 100  # pairs, below which a mean hangs on single scenes
SIDES = (
    "Root of brightness, in one scale for input, output and target of a field. The residual is the "
    "input's counts over the output folded back onto them, in discs of 10 arcsec: blue where the "
    "output shows more than was seen, red where it shows less."
)
COVERED = (
    "Pixels whose noise-free rate lies in the network's interval, in tenths of the valid pixels "
    "from faint to bright answers; dashed what the intervals claim. Dotted: tenths by the "
    "noise-free rate itself, in which no right intervals are even."
)
FOUND = "Point sources of simulated fields, at 95 % purity, in the input and in the output."
DEFINITIONS = """
Deviance: 2 (m − n + n ln n/m) of the target's photons n, which the input does not hold, per pixel;
lowest in the mean for the truth. χ² is Pearson's of the input's own counts in blocks of 4 × 4
pixels under the output folded back onto them. PSNR, SSIM (window 13, σ 2.5, K 0.01 and 0.05) and
MS-SSIM are of brightness clamped as the reference does, and of its root. A target's own noise
limits them; against the noise-free truth nothing does. Of baselines with a setting the best of
each column stands. The figure after ± is half the 68 % bootstrap interval over fields,
each with all its pairs. Sources: the input is searched by Poisson likelihood and by the filter that
also searches the other images, each at the threshold of 95 % purity on the same fields; fluxes are
those of sources that stand alone and have 50 counts or more; of pairs, number, median counts of the
fainter and median flux ratio are given, and both must be found within half their separation.
"""


def evaluate_images(
    models: Sequence[Model],
    dataset: ShardDataset,
    split: str = "test",
    limit: int | None = None,
    *,
    versions: Sequence[str] = (),
    n_fields: int = 2,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ImageEvaluation:
    """Evaluate networks on the pairs of a split, and on whole simulated fields.

    Args:
        models: loaded; the first is in question.
        dataset: of images with targets.
        split: "test", "validation", "train" or "all".
        limit: judge by at most so many pairs.
        versions: the models' versions, for the report.
        n_fields: fields of each kind in which sources are counted; 0: none, and no pictures.
        resamples: bootstrap resamples of the intervals.
        seed: seed of the bootstrap.
        progress: called with the number of pairs, and of fields, that were done.

    Raises:
        InputError: a model makes other pixels, or the split is empty or has no targets.
    """
    labels = labels_of([model.family.name for model in models], versions)
    judged = judge(models, labels, dataset, split, limit, progress=progress)
    networks = []
    for i, (model, label) in enumerate(zip(models, labels, strict=True)):
        networks.append(
            Network(
                label=label,
                family=model.family.name,
                version=versions[i] if i < len(versions) else "",
                training=training_facts(model),
                sources=fields.find_sources(model, dataset, n_fields, progress) if n_fields else {},
                examples=fields.examples(model, dataset) if n_fields else (),
            )
        )
    spec, manifest = dataset.spec, dataset.manifest
    facts = {
        "name": dataset.path.resolve().name,
        "split": split,
        "rows": manifest.rows,
        "sha256": dataset.sha256(),
        "seed": manifest.seed,
        "code_version": manifest.code_version,
        "instrument": spec.instrument,
        "scale": spec.scale,
        "exposure_s": list(spec.exposure_s) if spec.exposure_s else None,
        "target_exposure_s": spec.target_exposure_s,
        "target_background": spec.target_background,
    }
    return ImageEvaluation(
        tuple(networks), judged, facts, _remarks(models, dataset, judged.n), resamples, seed
    )


def _remarks(models: Sequence[Model], dataset: ShardDataset, n: int) -> tuple[str, ...]:
    found = []
    if n < FEW:
        found.append(f"{n} pairs: a few scenes can move the means; use {FEW} or more")
    if any(m.card.dataset_sha256 == dataset.sha256() for m in models):
        found.append("a network was trained on this data set: only its test split is unseen")
    if "scenes" not in dataset.manifest.config:
        found.append("not simulated: no noise-free truth, no fields of known sources")
    return tuple(found)


def figures(
    evaluation: ImageEvaluation, histories: Mapping[str, History] | None = None
) -> dict[str, page.Picture]:
    """The figures of a report by file name."""
    found = {}
    for network in evaluation.networks:
        name = file_name(network.label)
        if network.examples:
            title = f"{network.label}: fields"
            png = style.to_png(pictures.side_by_side(network.examples, title))
            found[f"fields-{name}.png"] = page.Picture(title, SIDES, png)
        if network.sources:
            title = f"{network.label}: completeness"
            png = style.to_png(pictures.completeness(network.sources, title))
            found[f"sources-{name}.png"] = page.Picture(title, FOUND, png)
        covered = evaluation.judged.coverage.get(network.label)
        if covered:
            title = f"{network.label}: coverage by brightness"
            png = style.to_png(pictures.coverage(covered, title))
            found[f"coverage-{name}.png"] = page.Picture(title, COVERED, png)
    for label, history in (histories or {}).items():
        title = f"{label}: training"
        png = style.to_png(predicted_true.training_curves(history, title))
        caption = "Means over the rows of each epoch, and of the validation split after it."
        found[f"training-{file_name(label)}.png"] = page.Picture(title, caption, png)
    return found


def write_images(
    evaluation: ImageEvaluation,
    folder: Path,
    histories: Mapping[str, History] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write JSON, page and figures; as `wolter.spectra.evaluate.report.write` does."""
    made = figures(evaluation, histories)
    title = f"{evaluation.networks[0].label}: evaluation on {evaluation.n:,} pairs of images"
    sections = [
        f"<h1>{escape(title)}</h1>",
        page.remark_list(evaluation.remarks),
        "<h2>Scores</h2>",
        *(f'<div class="scroll">{table.to_html(each)}</div>' for each in evaluation.tables),
        f'<p class="note">{DEFINITIONS.strip()}</p>',
        "<h2>Figures</h2>",
        *(page.figure(picture) for picture in made.values()),
        "<h2>Facts</h2>",
        page.fact_table("Dataset", evaluation.dataset.items()),
        *(
            page.fact_table(f"Training of {n.label}", n.training.items())
            for n in evaluation.networks
        ),
        page.fact_table("Run", (facts or {}).items()),
    ]
    return write_files(folder, made, page.document(title, sections), evaluation.to_json())
