"""Files held against a model's answers: a table with goodness of fit, and pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wolter.data.evidence import Evidence
from wolter.data.records import ResponseChoice, read_observed
from wolter.data.schema import SpectraSpec
from wolter.errors import InputError
from wolter.evaluate import posterior_plots, predictive_plot, style
from wolter.files import make_folder, write_atomically
from wolter.judgement import PLOTTED, Judgement, check_judged, judge, predictive
from wolter.predict import to_columns, to_table
from wolter.train.checkpoint import Model
from wolter.xray import emission

if TYPE_CHECKING:
    from astropy.table import Table


def check_files(
    model: Model,
    files: Sequence[Path],
    *,
    rmf: Path | str | None = None,
    arf: Path | str | None = None,
    background: Path | str | None = None,
    response: ResponseChoice = "files",
    version: str = "",
    components: bool = False,
    refined: bool = False,
    plots: Path | None = None,
    on_reject: Callable[[str, str], None] | None = None,
    on_files: Callable[[int], None] | None = None,
) -> "Table":
    """The table of `wolter.predict.predict_files`, each answer held against its spectrum.

    Args:
        model: a loaded model of a spectra family that was trained on simulated spectra.
        files: PHA files.
        rmf: see `predict_files`, and so
        arf: and
        background: and
        response: and
        version: and
        components: there.
        refined: give the exact posterior in place of the network's; families of posteriors only.
        plots: folder for pictures of each spectrum.
        on_reject: called with file and reason where a file cannot be read, in place of the error.
        on_files: called with the number of files as each is done.

    Returns:
        The table of `predict_files` with the `figures` and `flags` of `wolter.judgement.Judgement`.

    Raises:
        InputError: a file cannot be read, or the model cannot be checked or refined.
    """
    check_judged(model)
    spec = model.card.spec
    if plots is not None:
        make_folder(plots)
    parts = []
    for file in files:
        try:
            observation = read_observed(
                Path(file), rmf=rmf, arf=arf, background=background, response=response
            )
            judged = judge(model, Evidence.of(observation, spec, str(file)), refined)
        except InputError as error:
            if on_reject is None:
                raise
            on_reject(str(file), str(error))
        else:
            parts.append(_columns(spec, judged, components))
            if plots is not None:
                _draw(judged, spec, plots / Path(file).stem)
        if on_files is not None:
            on_files(1)
    return to_table(model, parts, version)


def _columns(spec: SpectraSpec, judged: Judgement, components: bool) -> dict[str, Any]:
    record = judged.likelihood.evidence.record
    columns = to_columns(spec, [record], record.batch, judged.values, [judged.flags], components)
    flag = columns.pop("flag")
    figures = {name: np.array([value]) for name, value in judged.figures.items()}
    return columns | figures | {"flag": flag}


def _draw(judged: Judgement, spec: SpectraSpec, stem: Path) -> None:
    """`<stem>-corner.png` of posteriors, and `<stem>-spectrum.png`."""
    likelihood, best_P = judged.likelihood, judged.best_P
    record = likelihood.evidence.record
    batch, title = record.batch, Path(record.name).name
    if judged.sets:
        drawn_SP = predictive(list(judged.sets.values())[-1])
        figure = posterior_plots.corner(
            {label: samples.double().numpy() for label, samples in judged.sets.items()},
            spec.parameters,
            points={"best fit": best_P.double().numpy()},
            title=title,
        )
        write_atomically(stem.with_name(f"{stem.name}-corner.png"), style.to_png(figure))
    else:
        drawn_SP = best_P[None].float().expand(PLOTTED, -1)
    mean_P = drawn_SP.mean(0, keepdim=True)
    figure = predictive_plot.predictive(
        batch.counts_BC[0].double().numpy(),
        likelihood.evidence.background_C.double().numpy(),
        float(batch.exposure_B[0]),
        spec.energy_edges,
        likelihood.expected(drawn_SP).double().numpy(),
        likelihood.seen.terms(mean_P, batch.exposure_B)[0].double().numpy(),
        spec.components or emission.parse(spec.model).term_names,
        title=title,
    )
    write_atomically(stem.with_name(f"{stem.name}-spectrum.png"), style.to_png(figure))
