"""Figures of latents and reconstructions for the report.

Shapes: L latent, N source.
"""

from collections.abc import Mapping

import numpy as np

from wolter.report.page import Figure
from wolter.report.write import file_name
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.ratios import hardness_ratios
from wolter.spectra.latents.reconstruction import RECONSTRUCTION
from wolter.spectra.latents.representations import LATENT
from wolter.spectra.latents.sources import UNKNOWN, numbers
from wolter.spectra.latents.study import Study


def part(study: Study) -> Part:
    """Map of the latents, and reconstructions, of every model."""
    return Part(figures=lambda: {**_maps(study), **_reconstructions(study)})


def _maps(study: Study) -> Mapping[str, Figure]:
    from wolter.report import style
    from wolter.spectra.latents.plots.latent_map import (
        CAPTION,
        FEWEST,
        MOST,
        latent_map,
        two_dimensions,
    )

    if len(study.test) < FEWEST:
        return {}
    order = np.random.default_rng(study.options.seed).permutation(len(study.test))
    some = np.sort(order[:MOST])
    ratio_N = study.test.label("hard_hs")
    if not np.isfinite(ratio_N).any():
        ratio_N = hardness_ratios(study.test)["hard_hs"]
    found = {}
    for label, row in zip(study.labels, study.representations, strict=False):
        place_N2 = two_dimensions(row.test_ND[some], study.options.seed)
        title = f"{label}: latents of {len(some):,} {study.origin} sources"
        drawing = latent_map(
            place_N2, study.test.class_N[some], study.test.spec.classes, ratio_N[some], title
        )
        found[f"latents-{file_name(label)}.png"] = Figure(title, CAPTION, style.to_png(drawing))
    return found


def _reconstructions(study: Study) -> Mapping[str, Figure]:
    from wolter.report import style
    from wolter.spectra.latents.plots.reconstructed import (
        CAPTION,
        QUANTILES,
        Shown,
        reconstructions,
    )

    test, batch = study.test, study.test.batch
    order = test.counts_N.argsort(kind="stable")
    picks = list(dict.fromkeys(int(order[round(q * (len(test) - 1))]) for q in QUANTILES))
    background_NC = test.background()
    found = {}
    for label, values in study.tested.items():
        if RECONSTRUCTION not in values or values[LATENT].shape[0] != len(test):
            continue
        shown = []
        for i in picks:
            expected = {label: values[RECONSTRUCTION][i], "background": numbers(background_NC[i])}
            if batch.expected_BKC is not None:
                truth_C = batch.expected_BKC[i].sum(0) + background_NC[i]
                expected = {"noise-free": numbers(truth_C)} | expected
            k = int(test.class_N[i])
            name = "" if k == UNKNOWN else f"{test.spec.classes[k]}, "
            heading = f"{name}{float(batch.counts_BC[i].sum()):,.0f} counts"
            shown.append(Shown(numbers(batch.counts_BC[i]), expected, heading))
        title = f"{label}: reconstructed {study.origin} spectra, faint to bright"
        drawing = reconstructions(shown, test.spec.energy_edges, title)
        name = f"reconstructions-{file_name(label)}.png"
        found[name] = Figure(title, CAPTION, style.to_png(drawing))
    return found
