"""What black holes, neutron stars and white dwarfs emit: AGN, X-ray binaries, pulsars, CVs."""

from wolter.spectra.population.class_model import SourceClass, Variant
from wolter.spectra.population.draws import flux, log, lognormal, normal, ratio, uniform, width

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
                "pow_norm_2": ratio(log(0.002, 0.15)),
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
    "lines: Ezuka & Ishida (1999, ApJS 120, 277); Hellier & Mukai (2004, MNRAS 352, 1037). "
    "Partial covering: Ezuka & Ishida.",
    48,
    (0.45, 0.45),
    (
        Variant(
            0.35,
            "wabs * plasma",
            {
                "nh": log(0.01, 1.0),
                "plasma_kt": lognormal(8.0, 0.3, 2.0, 40),
                "abundance": lognormal(0.6, 0.2, 0.2, 1.5),
            },
            kt=("plasma_kt",),
        ),
        Variant(
            0.25,
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
            0.12,
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
        Variant(
            0.20,
            "wabs * plasma + wabs * plasma",
            {
                "nh": log(1.0, 30),
                "plasma_kt": lognormal(15.0, 0.3, 4.0, 50),
                "abundance": lognormal(0.5, 0.2, 0.2, 1.5),
                "nh_2": log(0.02, 1.0),
                "plasma_norm_2": ratio(log(0.003, 0.5)),
            },
            kt=("plasma_kt",),
        ),
        Variant(
            0.08,
            "wabs * plasma",
            {
                "nh": log(0.01, 0.3),
                "plasma_kt": log(0.5, 3.0),
                "abundance": lognormal(0.6, 0.2, 0.2, 1.5),
            },
            kt=("plasma_kt",),
        ),
    ),
)
