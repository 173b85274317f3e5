"""What the eight classes of the labelled Chandra sources emit: their models and priors.

Two tables, `stars.py` and `compact.py`, for an astronomer to read and to doubt; `table()` prints
them. Every class is a mixture of a few models, with the share of each. The priors are round figures
after the literature that each class names, so that hardness ratios of a class are about those of
real sources. They are what simulated classes differ by: an accuracy on simulated classes proves
nothing by itself.

Left out: pile-up, redshift (columns and temperatures of AGN are as observed), time variability
within an observation, and correlations between luminosity and shape.

Norms are relative to the first component: `ratio` of norms, `flux` of unabsorbed energy fluxes in
0.5-7 keV, `width` of a line in keV.
"""

from wolter.spectra.population.class_model import SourceClass
from wolter.spectra.population.compact import AGN, CV, HMXB, LMXB, NS
from wolter.spectra.population.stars import HM_STAR, LM_STAR, YSO

CLASSES = (AGN, YSO, LM_STAR, HM_STAR, HMXB, LMXB, NS, CV)
"""In the order of `class_B` of records."""

NAMES = tuple(each.name for each in CLASSES)


def table(classes: tuple[SourceClass, ...] = CLASSES) -> str:
    """The classes as lines of text: class, share, model, priors."""
    lines = []
    for each in classes:
        for variant in each.variants:
            draws = ", ".join(f"{name} {draw}" for name, draw in variant.draws.items())
            lines.append(f"{each.name:8s} {variant.share:4.0%}  {variant.model}: {draws}")
    return "\n".join(lines)
