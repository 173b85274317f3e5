"""Records of Chandra spectra of the MultimodalUniverse: counts on the grid of ACIS.

Shapes: B batch, C channel, X catalogue feature.
"""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from wolter.data.shards import to_table
from wolter.errors import InputError
from wolter.spectra.grid import acis_grid
from wolter.spectra.mmu.counts import GroupedSpectrum, recover, spread
from wolter.spectra.mmu.tables import OTHERS, SPECTRUM
from wolter.spectra.schema import SpectraBatch, SpectraSpec

CATALOGUE = (
    "log_flux_b", "significance_b", "hard_hm", "hard_hs", "hard_ms", "var_index_b",
    "var_intra_prob",
)  # fmt: skip
"""Catalogue features: log10 of flux_aper_b (0.5-7 keV, erg/cm^2/s), and the columns of the rows."""
_COLUMNS = (
    "flux_aper_b", "flux_significance_b", "hard_hm", "hard_hs", "hard_ms", "var_index_b",
    "var_prob_b",
)  # fmt: skip
_POSITION = ("obsid", "obi", "ra", "dec")

LOST = (
    "which channel of a group each count is in: all but 4 are put into the last, the others spread",
    "the counts of the background region: the background expected in the source region is what "
    "rates leave of the counts, in records with a background scale of 1",
    "the response: effective area, redistribution and folding are unknown",
    "the exposure: it follows from the errors, to 0.1 % where the background region is 20 times "
    "the source's",
    "the source's class",
)
"""What the rows do not hold, and what stands in its place."""


def spec() -> SpectraSpec:
    """Description of the records."""
    return SpectraSpec(acis_grid(), catalogue=CATALOGUE)


def records_of(rows: pa.Table) -> pa.Table:
    """Records of rows in one form, in order: with `reason` why a row is none.

    Further columns are `significance`, `errors` (the formula that errors follow), and obsid, obi,
    ra and dec (deg).
    """
    edges = np.array(acis_grid())
    empty_C = np.zeros(len(edges) - 1)
    counts, backgrounds, exposures, reasons, laws = [], [], [], [], []
    for values in zip(*(rows[name].to_pylist() for name in SPECTRUM), strict=True):
        counts_C, background_C, exposure_s, law, reason = empty_C, empty_C, math.nan, "", ""
        try:
            spectrum = GroupedSpectrum.of(*values)
            found = recover(spectrum)
            counts_C, background_C = spread(spectrum, found, edges)
            exposure_s, law = found.exposure_s, found.law.name
        except InputError as error:
            reason = str(error)
        counts.append(counts_C)
        backgrounds.append(background_C)
        exposures.append(exposure_s)
        reasons.append(reason)
        laws.append(law)
    others = {name: _numbers(rows, name) for name in OTHERS}
    batch = SpectraBatch(
        counts_BC=_tensor(counts),
        background_BC=_tensor(backgrounds),
        background_scale_B=torch.ones(len(rows)),
        exposure_B=_tensor(exposures),
        class_B=torch.full((len(rows),), torch.nan),
        catalogue_BX=_tensor(_catalogue(others)),
    )
    names = zip(rows["name"].to_pylist(), rows["file"].to_pylist(), strict=True)
    extra: dict[str, Any] = {
        "file": rows["file"].combine_chunks(),
        "source_id": pa.array([name or file for name, file in names], pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "errors": pa.array(laws, pa.string()),
        "significance": others["flux_significance_b"],
        **{name: others[name] for name in _POSITION},
    }
    return to_table(batch, extra)


def _catalogue(others: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    catalogue_BX = np.stack([others[name] for name in _COLUMNS], 1)
    flux_B = catalogue_BX[:, 0]
    catalogue_BX[:, 0] = np.log10(np.where(flux_B > 0, flux_B, np.nan))
    return np.where(np.isfinite(catalogue_BX), catalogue_BX, np.nan)


def _numbers(rows: pa.Table, name: str) -> NDArray[np.float64]:
    if name not in rows.column_names:
        return np.full(len(rows), np.nan)
    return np.array([np.nan if v is None else v for v in rows[name].to_pylist()], np.float64)


def _tensor(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
