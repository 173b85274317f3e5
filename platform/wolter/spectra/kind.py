"""Record kind of spectra."""

import torch

from wolter.data.record_kinds import Observed, RecordKind
from wolter.spectra.folding import BANDS, SHARES
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.mixing import check_observed, read_observed
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges

PLAIN_S = 1e4  # exposure of an example where the spec tells none


def _row_bytes(spec: SpectraSpec) -> int:
    vectors = 3 + len(spec.components) if spec.components else 2
    told = len(AREA_EDGES) + len(RECORDED_SHARES) * len(PHOTONS_KEV)
    if spec.classes:  # populations, whose records have responses of their own
        told += BANDS + len(SHARES) * len(PHOTONS_KEV) + 1 + len(spec.catalogue)
    return 4 * (vectors * spec.n_channels + len(spec.parameters) + told + 1)


def _example(spec: SpectraSpec, n: int) -> SpectraBatch:
    """Spectra with one count in every channel of source and background."""
    one_BC, one_B = torch.ones(n, spec.n_channels), torch.ones(n)
    return SpectraBatch(one_BC, one_BC, one_B, one_B * (spec.exposure_s or (PLAIN_S,))[0])


KIND = RecordKind(
    name="spectra",
    spec=SpectraSpec,
    batch=SpectraBatch,
    columns={
        "counts": "counts_BC",
        "background": "background_BC",
        "background_scale": "background_scale_B",
        "exposure": "exposure_B",
        "parameters": "parameters_BP",
        "expected": "expected_BKC",
        "expected_background": "expected_background_BC",
        "area": "area_BA",
        "unmodelled": "unmodelled_BC",
        "redistribution": "redistribution_BQA",
        "folding_area": "folding_area_BF",
        "folding_offsets": "folding_offsets_BTA",
        "filled": "filled_BC",
        "class": "class_B",
        "catalogue": "catalogue_BX",
    },
    row_bytes=_row_bytes,
    example=_example,
    ranges=TrainingRanges,
    observed=Observed(check_observed, read_observed),
)
