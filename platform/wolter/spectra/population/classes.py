"""What the eight classes of the labelled Chandra sources emit: their models and priors.

One table, for an astronomer to read and to doubt. Every class is a mixture of a few models, with
the share of each. The priors are round figures from the literature that each class names; they are
what simulated classes differ by, so an accuracy on simulated classes proves nothing by itself.

Left out: pile-up, redshift (columns and temperatures of AGN are as observed), time variability
within an observation, and correlations between luminosity and shape.

Norms are relative to the first component: `ratio` of norms, `flux` of unabsorbed energy fluxes in
0.5-7 keV, `width` of a line in keV.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wolter.spectra.population.draws import (
    Draw,
    flux,
    log,
    lognormal,
    normal,
    ratio,
    uniform,
    width,
)


@dataclass(frozen=True)
class Variant:
    """One model of a class.

    Attributes:
        share: of the sources of the class.
        model: emission, in XSPEC's names.
        draws: distribution of each of its parameters but the first norm. What is missing of the
            second of two equal components is as in the first.
        fixed: values of the others.
        slope: parameter that is the label `slope`; empty where there is none.
        kt: parameters whose mean, weighted by their norms, is the label `kt`; empty for none.
    """

    share: float
    model: str
    draws: Mapping[str, Draw]
    fixed: Mapping[str, float] = field(default_factory=dict)
    slope: str = ""
    kt: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceClass:
    """One class of sources.

    Attributes:
        name: as catalogues have it.
        sources: where the figures are from.
        labelled: number of labelled Chandra sources of the class, for a mix as catalogues have it.
        variable: share of sources that vary within an observation, and between observations.
        variants: models; their shares sum to 1.
    """

    name: str
    sources: str
    labelled: int
    variable: tuple[float, float]
    variants: tuple[Variant, ...]


_IRON = {"line_energy": 6.4, "sigma": 0.03}

AGN = SourceClass(
    "AGN",
    "Slopes: Tozzi et al. (2006, A&A 451, 457). Columns: Tozzi et al.; Ueda et al. (2014, ApJ 786, "
    "104). Soft excess: Gierlinski & Done (2004, MNRAS 349, L7). Scattered light: Brightman & Ueda "
    "(2012, MNRAS 423, 702). Iron line: Chaudhary et al. (2012, A&A 537, A6).",
    1405,
    (0.20, 0.45),
    (
        Variant(
            0.55,
            "wabs * powerlaw",
            {"nh": lognormal(0.06, 0.45, 0.01, 1.0), "slope": normal(1.9, 0.25, 1.2, 2.7)},
            slope="slope",
        ),
        Variant(
            0.15,
            "wabs * (powerlaw + bbody)",
            {
                "nh": log(0.01, 0.1),
                "slope": normal(1.8, 0.2, 1.2, 2.4),
                "kt": uniform(0.08, 0.2),
                "bb_norm": flux(log(0.05, 0.6)),
            },
            slope="slope",
        ),
        Variant(
            0.22,
            "wabs * powerlaw + wabs * powerlaw",
            {
                "nh": log(0.3, 30),
                "slope": normal(1.8, 0.2, 1.2, 2.4),
                "nh_2": log(0.01, 0.1),
                "slope_2": normal(1.9, 0.2, 1.4, 2.4),
                "pow_norm_2": ratio(log(0.002, 0.05)),
            },
            slope="slope",
        ),
        Variant(
            0.08,
            "wabs * (powerlaw + gaussian)",
            {
                "nh": log(0.05, 20),
                "slope": normal(1.8, 0.25, 1.1, 2.4),
                "line_norm": width(log(0.05, 0.5)),
            },
            _IRON,
            slope="slope",
        ),
    ),
)

YSO = SourceClass(
    "YSO",
    "Two temperatures, columns and flares: Getman et al. (2005, ApJS 160, 319); Preibisch et al. "
    "(2005, ApJS 160, 401). Abundances: Guedel et al. (2007, A&A 468, 353).",
    748,
    (0.60, 0.70),
    (
        Variant(
            0.60,
            "wabs * (plasma + plasma)",
            {
                "nh": lognormal(0.4, 0.55, 0.01, 20),
                "plasma_kt": normal(0.8, 0.15, 0.3, 1.3),
                "plasma_kt_2": lognormal(2.6, 0.18, 1.3, 10),
                "abundance": lognormal(0.3, 0.2, 0.1, 1.0),
                "plasma_norm_2": ratio(log(0.4, 5)),
            },
            kt=("plasma_kt", "plasma_kt_2"),
        ),
        Variant(
            0.40,
            "wabs * plasma",
            {
                "nh": lognormal(1.2, 0.45, 0.03, 30),
                "plasma_kt": lognormal(2.8, 0.2, 1.0, 12),
                "abundance": lognormal(0.35, 0.2, 0.1, 1.0),
            },
            kt=("plasma_kt",),
        ),
    ),
)

LM_STAR = SourceClass(
    "LM-STAR",
    "Coronae of field stars: Schmitt et al. (1990, ApJ 365, 704); Guedel (2004, A&ARv 12, 71); "
    "Wright et al. (2010, ApJ 725, 480).",
    607,
    (0.25, 0.40),
    (
        Variant(
            0.55,
            "wabs * plasma",
            {
                "nh": log(0.001, 0.15),
                "plasma_kt": lognormal(0.5, 0.2, 0.15, 1.2),
                "abundance": lognormal(0.35, 0.25, 0.1, 1.5),
            },
            kt=("plasma_kt",),
        ),
        Variant(
            0.45,
            "wabs * (plasma + plasma)",
            {
                "nh": log(0.001, 0.2),
                "plasma_kt": normal(0.4, 0.12, 0.15, 0.8),
                "plasma_kt_2": lognormal(1.0, 0.15, 0.7, 3.0),
                "abundance": lognormal(0.3, 0.25, 0.1, 1.5),
                "plasma_norm_2": ratio(log(0.2, 3)),
            },
            kt=("plasma_kt", "plasma_kt_2"),
        ),
    ),
)

HM_STAR = SourceClass(
    "HM-STAR",
    "Winds of O and early B stars: Naze et al. (2011, ApJS 194, 7); colliding winds and magnetic "
    "ones: Gagne et al. (2011, ApJS 194, 5); Rauw & Naze (2016, AdSpR 58, 761).",
    128,
    (0.25, 0.35),
    (
        Variant(
            0.50,
            "wabs * (plasma + plasma)",
            {
                "nh": lognormal(0.6, 0.3, 0.1, 3.0),
                "plasma_kt": normal(0.28, 0.08, 0.12, 0.5),
                "plasma_kt_2": normal(0.8, 0.2, 0.5, 1.5),
                "abundance": lognormal(0.8, 0.15, 0.3, 2.0),
                "plasma_norm_2": ratio(log(0.05, 0.6)),
            },
            kt=("plasma_kt", "plasma_kt_2"),
        ),
        Variant(
            0.50,
            "wabs * (plasma + plasma)",
            {
                "nh": lognormal(1.0, 0.3, 0.2, 5.0),
                "plasma_kt": normal(0.6, 0.12, 0.2, 1.0),
                "plasma_kt_2": lognormal(2.2, 0.15, 1.2, 6.0),
                "abundance": lognormal(0.8, 0.2, 0.3, 2.0),
                "plasma_norm_2": ratio(log(0.2, 2.0)),
            },
            kt=("plasma_kt", "plasma_kt_2"),
        ),
    ),
)

HMXB = SourceClass(
    "HMXB",
    "Slopes and columns: White et al. (1983, ApJ 270, 711); Walter et al. (2015, A&ARv 23, 2). "
    "Iron line: Torrejon et al. (2010, ApJ 715, 947).",
    38,
    (0.50, 0.70),
    (
        Variant(
            0.65,
            "wabs * powerlaw",
            {"nh": lognormal(2.0, 0.5, 0.1, 40), "slope": normal(1.1, 0.35, 0.1, 2.0)},
            slope="slope",
        ),
        Variant(
            0.35,
            "wabs * (powerlaw + gaussian)",
            {
                "nh": lognormal(4.0, 0.5, 0.3, 50),
                "slope": normal(1.0, 0.35, 0.1, 1.9),
                "line_norm": width(log(0.05, 0.6)),
            },
            _IRON,
            slope="slope",
        ),
    ),
)

LMXB = SourceClass(
    "LMXB",
    "Disk and power law: Remillard & McClintock (2006, ARA&A 44, 49); Irwin et al. (2003, ApJ 587, "
    "356). Quiescence: Wijnands et al. (2017, JApA 38, 49).",
    63,
    (0.45, 0.75),
    (
        Variant(
            0.45,
            "wabs * (diskbb + powerlaw)",
            {
                "nh": lognormal(0.25, 0.5, 0.02, 5.0),
                "tin": log(0.25, 1.6),
                "slope": normal(1.9, 0.3, 1.2, 2.8),
                "pow_norm": flux(log(0.1, 3.0)),
            },
            slope="slope",
            kt=("tin",),
        ),
        Variant(
            0.35,
            "wabs * powerlaw",
            {"nh": lognormal(0.25, 0.5, 0.02, 5.0), "slope": normal(1.7, 0.3, 1.0, 2.6)},
            slope="slope",
        ),
        Variant(
            0.20,
            "wabs * (bbody + powerlaw)",
            {
                "nh": lognormal(0.2, 0.35, 0.03, 1.0),
                "kt": normal(0.18, 0.05, 0.08, 0.35),
                "slope": normal(1.5, 0.3, 0.9, 2.2),
                "pow_norm": flux(log(0.03, 1.0)),
            },
            slope="slope",
            kt=("kt",),
        ),
    ),
)

NS = SourceClass(
    "NS",
    "Pulsars: Possenti et al. (2002, A&A 387, 993); Kargaltsev & Pavlov (2008, AIPC 983, 171). "
    "Magnetars: Olausen & Kaspi (2014, ApJS 212, 6). Thermal ones: Pavlov et al. (2004, IAUS 218, "
    "239).",
    95,
    (0.05, 0.30),
    (
        Variant(
            0.40,
            "wabs * powerlaw",
            {"nh": lognormal(0.7, 0.55, 0.02, 8.0), "slope": normal(1.6, 0.3, 0.8, 2.4)},
            slope="slope",
        ),
        Variant(
            0.35,
            "wabs * (bbody + powerlaw)",
            {
                "nh": lognormal(0.4, 0.6, 0.01, 8.0),
                "kt": lognormal(0.25, 0.25, 0.06, 0.8),
                "slope": normal(1.7, 0.5, 0.8, 3.5),
                "pow_norm": flux(log(0.05, 2.0)),
            },
            slope="slope",
            kt=("kt",),
        ),
        Variant(
            0.25,
            "wabs * bbody",
            {"nh": lognormal(0.3, 0.6, 0.005, 8.0), "kt": lognormal(0.22, 0.25, 0.06, 0.7)},
            kt=("kt",),
        ),
    ),
)

CV = SourceClass(
    "CV",
    "Temperatures: Mukai (2017, PASP 129, 062001); Byckling et al. (2010, MNRAS 408, 2298). Iron "
    "lines: Ezuka & Ishida (1999, ApJS 120, 277); Hellier & Mukai (2004, MNRAS 352, 1037).",
    48,
    (0.45, 0.45),
    (
        Variant(
            0.45,
            "wabs * plasma",
            {
                "nh": log(0.01, 1.0),
                "plasma_kt": lognormal(8.0, 0.3, 2.0, 40),
                "abundance": lognormal(0.6, 0.2, 0.2, 1.5),
            },
            kt=("plasma_kt",),
        ),
        Variant(
            0.40,
            "wabs * (plasma + gaussian)",
            {
                "nh": log(0.05, 10.0),
                "plasma_kt": lognormal(15.0, 0.3, 4.0, 50),
                "abundance": lognormal(0.5, 0.2, 0.2, 1.5),
                "line_norm": width(log(0.05, 0.3)),
            },
            _IRON,
            kt=("plasma_kt",),
        ),
        Variant(
            0.15,
            "wabs * (plasma + bbody)",
            {
                "nh": log(0.01, 0.2),
                "plasma_kt": lognormal(10.0, 0.3, 3.0, 40),
                "abundance": lognormal(0.5, 0.2, 0.2, 1.5),
                "kt": normal(0.05, 0.015, 0.03, 0.1),
                "bb_norm": flux(log(0.05, 1.5)),
            },
            kt=("plasma_kt",),
        ),
    ),
)

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
