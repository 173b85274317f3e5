"""Published classifications of X-ray sources, to print beside ours."""

from wolter.report.table import Line
from wolter.spectra.catalogue_rows.columns import CLASSES

YES, NO = "yes", "no"
_MUWCLASS = (0.925, 0.935, 0.860, 0.720, 0.692, 0.262, 0.678, 0.545)  # recalls, as `CLASSES`
MUWCLASS_RECALL = dict(zip(CLASSES, _MUWCLASS, strict=True))


def _line(label: str, optical: str, classes: str, source: str, **values: float) -> Line:
    return Line(label, "published", values, {}, source, {"optical": optical, "classes": classes})


# Samples, classes and protocols differ between these rows: none is a race.
PUBLISHED = (
    _line(
        "Pinciroli Vago et al. 2025",
        NO,
        "8",
        "latents of spectra, clustered (arXiv 2510.14102)",
        balanced=0.40,
        two_groups=0.69,
    ),
    _line(
        "UMLCAXS 2024",
        NO,
        "4",
        "Perez-Diaz et al.: mixture on 12 catalogue features; 8,756 sources in 4 groups of classes",
        balanced=0.61,
        accuracy=0.68,
    ),
    _line(
        "MUWCLASS 2022",
        YES,
        "8",
        "Yang et al.: random forest on X-ray and multiwavelength features; leave-one-out",
        balanced=0.702,
        accuracy=0.886,
    ),
    _line("XClass 2026", YES, "7", "11,374 sources; needs optical data", balanced=0.91, ece=0.002),
    _line(
        "Kumaran et al. 2023",
        YES,
        "",
        "LightGBM on 41 multiwavelength features; no figure of this table known",
    ),
)
