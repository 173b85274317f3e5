"""Parts of the analysis of latents, in the order of the report."""

from collections.abc import Callable, Iterator

from wolter.spectra.latents import (
    alignment,
    anomalies,
    calibration,
    classification,
    fitted,
    interpretation,
    physics,
    pictures,
    reconstruction,
    regression,
    transferred,
)
from wolter.spectra.latents.part import Part
from wolter.spectra.latents.study import Study

PARTS: tuple[Callable[[Study], Part], ...] = (
    reconstruction.part,
    fitted.part,
    classification.part,
    calibration.part,
    regression.part,
    physics.part,
    interpretation.part,
    anomalies.part,
    transferred.part,
    alignment.part,
    pictures.part,
)


def parts(study: Study) -> Iterator[Part]:
    """Results of the analysis, one part after another."""
    for part in PARTS:
        yield part(study)
