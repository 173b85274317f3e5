"""Plots of goodness-of-fit checks: corner plot and spectrum.

Shapes: C channel, P parameter, S sample.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from wolter.data.out_paths import check_folder, check_out, stem
from wolter.files import write_atomically
from wolter.report import style
from wolter.spectra.evaluate.plots import corner_plot, predictive_plot
from wolter.spectra.evaluate.plots.predictive_plot import Quoted
from wolter.spectra.model_check import PLOTTED, ModelCheck, predictive
from wolter.spectra.schema import SpectraSpec
from wolter.xray.emission import components

PICTURES = ("corner.png", "spectrum.png")
LONGEST = 150  # letters of a picture's name, from its end


def picture_stems(files: Sequence[Path], folder: Path) -> list[str]:
    """Unique file stems of the plots of each file.

    A file's own name without its suffix, or, where several have it, with as many of its folders
    before it as tell them apart; a number where one file is given twice.

    Raises:
        InputError: a picture would be written over a file that is read, or the folder cannot be
            written to.
    """
    paths = [Path(file).absolute() for file in files]
    names = _told_apart(paths)
    check_folder(folder)
    for picture in (folder / f"{name}-{end}" for name in names for end in PICTURES):
        if picture.exists():
            check_out(picture, paths)
    return names


def _told_apart(paths: Sequence[Path]) -> list[str]:
    """Stems of files, with folders before them where several are alike, and numbers in the end."""
    parts = {path: (*path.parts[1:-1], stem(path)) for path in paths}
    names = {path: part[-1] for path, part in parts.items()}
    for depth in range(2, max(map(len, parts.values()), default=0) + 1):
        folders = defaultdict(set)
        for path, name in names.items():
            folders[name.casefold()].add(path.parent)
        for path, name in names.items():
            if len(folders[name.casefold()]) > 1:
                names[path] = "-".join(parts[path][-depth:])
    taken: set[str] = set()
    told = []
    for path in paths:
        name = short = names[path][-LONGEST:]
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{short}-{number}"
        taken.add(name.casefold())
        told.append(name)
    return told


def _quoted(checked: ModelCheck) -> Quoted:
    """The figures of the table."""
    figures = checked.figures
    return Quoted(
        figures["cstat"],
        figures["cstat_expected"],
        figures["cstat_sigma"],
        int(checked.likelihood.seen_C.sum()),
        figures.get("p_value"),
        1 / PLOTTED,
    )


def draw(checked: ModelCheck, spec: SpectraSpec, place: Path, width_C: Tensor) -> None:
    """Draw `<stem>-corner.png` of posteriors, and `<stem>-spectrum.png`.

    Args:
        checked: a spectrum's answer.
        spec: spec of the model.
        place: folder and name, as of `picture_stems`.
        width_C: total width of the instrument's channels in each channel of the model's grid, keV.
    """
    likelihood, best_P = checked.likelihood, checked.best_P
    record = likelihood.gridded.record
    batch, title = record.batch, Path(record.name).name
    if checked.sets:
        drawn_SP = predictive(list(checked.sets.values())[-1])
        figure = corner_plot.corner(
            {label: samples.double().numpy() for label, samples in checked.sets.items()},
            spec.parameters,
            points={"best fit": best_P.double().numpy()},
            title=title,
        )
        write_atomically(place.with_name(f"{place.name}-corner.png"), style.to_png(figure))
    else:
        drawn_SP = best_P[None].float().expand(PLOTTED, -1)
    mean_P = drawn_SP.mean(0, keepdim=True)
    figure = predictive_plot.predictive(
        batch.counts_BC[0].double().numpy(),
        likelihood.gridded.background_C.double().numpy(),
        float(batch.exposure_B[0]),
        spec.energy_edges,
        likelihood.expected(drawn_SP).double().numpy(),
        likelihood.seen.terms(mean_P, batch.exposure_B)[0].double().numpy(),
        spec.components or components.parse(spec.model).term_names,
        title=title,
        widths_kev=width_C.tolist(),
        quoted=_quoted(checked),
    )
    write_atomically(place.with_name(f"{place.name}-spectrum.png"), style.to_png(figure))
