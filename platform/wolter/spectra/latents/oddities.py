"""Oddities that are injected into records: spectra that no source of the classes has.

Shapes: B batch, C channel, F narrow band, T and A see `wolter.spectra.folding`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from wolter.spectra import folding
from wolter.spectra.schema import SpectraBatch, poisson_counts
from wolter.spectra.told_as import drawn_as, recorded_by
from wolter.xray.emission.components import parse

Inject = Callable[[SpectraBatch, Tensor, torch.Generator], SpectraBatch]
"""From records, edges of the channels (C1, keV) and randomness to odd records."""

OTHER_INSTRUMENT = "epic_pn"
_LINES_KEV = (1.0, 6.5)  # range of single lines
_HARD_SLOPE, _SOFT_KT_KEV = -4.0, 0.03


def _emitted(model: str, values: Mapping[str, Tensor | float]) -> Tensor:
    """Photon flux (B, F) in the narrow bands."""
    edges = torch.tensor(folding.EDGES_KEV, dtype=torch.float64)
    return parse(model)(edges, values).float()


def _seen(
    batch: SpectraBatch, flux_BF: Tensor, edges_C1: Tensor, generator: torch.Generator
) -> SpectraBatch:
    """Records that see a flux, of as many counts as their sources, through their own response."""
    assert batch.folding_area_BF is not None
    assert batch.folding_offsets_BTA is not None
    shape_BC = folding.fold(
        flux_BF.expand(len(batch), -1),
        torch.nan_to_num(batch.folding_area_BF),
        batch.folding_offsets_BTA,
        batch.exposure_B,
        edges_C1,
    )
    return drawn_as(batch, folding.filled(shape_BC, batch.filled_BC), generator)


def pure_line(batch: SpectraBatch, edges_C1: Tensor, generator: torch.Generator) -> SpectraBatch:
    """One narrow line and no continuum, at an energy of its own between 1 and 6.5 keV."""
    low, high = _LINES_KEV
    unit_B = torch.rand(len(batch), generator=generator)
    energy_B = (low + (high - low) * unit_B).double()
    flux_BF = _emitted("gaussian", {"line_energy": energy_B, "sigma": 0.005, "line_norm": 1.0})
    return _seen(batch, flux_BF, edges_C1, generator)


def very_hard(batch: SpectraBatch, edges_C1: Tensor, generator: torch.Generator) -> SpectraBatch:
    """A power law that rises with energy: photon index -4."""
    flux_BF = _emitted("powerlaw", {"slope": _HARD_SLOPE, "pow_norm": 1.0})
    return _seen(batch, flux_BF, edges_C1, generator)


def very_soft(batch: SpectraBatch, edges_C1: Tensor, generator: torch.Generator) -> SpectraBatch:
    """A blackbody of 30 eV, of which the lowest channels alone see something."""
    flux_BF = _emitted("bbody", {"kt": _SOFT_KT_KEV, "bb_norm": 1.0})
    return _seen(batch, flux_BF, edges_C1, generator)


def background_only(
    batch: SpectraBatch,
    edges_C1: Tensor,  # noqa: ARG001  # as of the others
    generator: torch.Generator,
) -> SpectraBatch:
    """Background of as many counts as the source, which the background spectrum does not hold."""
    assert batch.expected_background_BC is not None
    return drawn_as(batch, batch.expected_background_BC, generator)


def no_source(
    batch: SpectraBatch,
    edges_C1: Tensor,  # noqa: ARG001  # as of the others
    generator: torch.Generator,
) -> SpectraBatch:
    """Nothing but the background that the background spectrum holds as well."""
    assert batch.expected_background_BC is not None
    nothing_BC = torch.zeros_like(batch.expected_background_BC)
    counts_BC, background_BC = poisson_counts(
        nothing_BC, batch.expected_background_BC, batch.background_scale_B, generator
    )
    return replace(batch, counts_BC=counts_BC, background_BC=background_BC)


def other_instrument(
    batch: SpectraBatch, edges_C1: Tensor, generator: torch.Generator
) -> SpectraBatch:
    """What EPIC-pn would see of the sources, with ACIS's response beside it."""
    return recorded_by(OTHER_INSTRUMENT, batch, edges_C1, generator)


ODDITIES: Mapping[str, Inject] = {
    "pure line": pure_line,
    "very hard": very_hard,
    "very soft": very_soft,
    "background only": background_only,
    "EPIC-pn told as ACIS": other_instrument,
    "no source at all": no_source,
}
