"""What stars with hot plasma emit: young stellar objects, low-mass and high-mass stars."""

from wolter.spectra.population.class_model import SourceClass, Variant
from wolter.spectra.population.draws import log, lognormal, normal, ratio

YSO = SourceClass(
    "YSO",
    "Two temperatures, columns and flares: Getman et al. (2005, ApJS 160, 319); Preibisch et al. "
    "(2005, ApJS 160, 401). Abundances: Guedel et al. (2007, A&A 468, 353); soft "
    "jets of absorbed ones: the same (A&A 468, 515).",
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
            0.34,
            "wabs * plasma",
            {
                "nh": lognormal(1.2, 0.45, 0.03, 30),
                "plasma_kt": lognormal(2.8, 0.2, 1.0, 12),
                "abundance": lognormal(0.35, 0.2, 0.1, 1.0),
            },
            kt=("plasma_kt",),
        ),
        Variant(
            0.06,
            "wabs * plasma + wabs * plasma",
            {
                "nh": log(1.0, 30),
                "plasma_kt": lognormal(3.0, 0.2, 1.0, 12),
                "abundance": lognormal(0.35, 0.2, 0.1, 1.0),
                "nh_2": log(0.03, 0.5),
                "plasma_kt_2": normal(0.6, 0.15, 0.2, 1.0),
                "plasma_norm_2": ratio(log(0.005, 0.1)),
            },
            kt=("plasma_kt",),
        ),
    ),
)

LM_STAR = SourceClass(
    "LM-STAR",
    "Coronae of field stars: Schmitt et al. (1990, ApJ 365, 704); Guedel (2004, A&ARv 12, 71); "
    "Wright et al. (2010, ApJ 725, 480). Hot ones are active binaries and flares.",
    607,
    (0.25, 0.40),
    (
        Variant(
            0.30,
            "wabs * plasma",
            {
                "nh": log(0.001, 0.15),
                "plasma_kt": lognormal(0.5, 0.2, 0.15, 1.2),
                "abundance": lognormal(0.35, 0.25, 0.1, 1.5),
            },
            kt=("plasma_kt",),
        ),
        Variant(
            0.35,
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
        Variant(
            0.35,
            "wabs * (plasma + plasma)",
            {
                "nh": log(0.003, 0.8),
                "plasma_kt": normal(0.7, 0.2, 0.3, 1.2),
                "plasma_kt_2": lognormal(2.0, 0.2, 1.0, 8.0),
                "abundance": lognormal(0.25, 0.25, 0.08, 1.0),
                "plasma_norm_2": ratio(log(0.3, 6)),
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
            0.35,
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
            0.65,
            "wabs * (plasma + plasma)",
            {
                "nh": lognormal(0.9, 0.3, 0.2, 6.0),
                "plasma_kt": normal(0.6, 0.12, 0.2, 1.0),
                "plasma_kt_2": lognormal(2.4, 0.18, 1.2, 8.0),
                "abundance": lognormal(0.8, 0.2, 0.3, 2.0),
                "plasma_norm_2": ratio(log(0.3, 4.0)),
            },
            kt=("plasma_kt", "plasma_kt_2"),
        ),
    ),
)
