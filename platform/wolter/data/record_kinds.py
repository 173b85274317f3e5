"""Kinds of record: what the shards and the readers of spectra and of images differ by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from wolter.config import OneOf
from wolter.data.schema import RecordBatch
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.spectra.grid import AREA_EDGES, PHOTONS_KEV, RECORDED_SHARES
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.training_ranges import TrainingRanges

MOST_SAMPLED, MOST_ROWS = 16_384, 2048
SAMPLED_BYTES, BATCH_BYTES = 2**30, 64 * 2**20


@dataclass(frozen=True)
class RecordKind:
    """One kind of record.

    Attributes:
        batch: class of its batches.
        columns: column of a shard -> attribute of a batch.
        row_bytes: memory that one row of a data set takes, by its spec.
        ranges: what a sample of training records covers, by which answers to others are flagged;
            None where nothing is.
    """

    batch: type[RecordBatch]
    columns: Mapping[str, str]
    row_bytes: Callable[[Any], int]
    ranges: Callable[[Any], TrainingRanges] | None = None

    def sample_rows(self, spec: Any) -> int:
        """Rows from which data-derived state is learnt."""
        return min(MOST_SAMPLED, max(1, SAMPLED_BYTES // self.row_bytes(spec)))

    def batch_rows(self, spec: Any) -> int:
        """Rows of a batch where nothing is learnt from it."""
        return min(MOST_ROWS, max(1, BATCH_BYTES // self.row_bytes(spec)))


def _spectrum_bytes(spec: SpectraSpec) -> int:
    vectors = 3 + len(spec.components) if spec.components else 2
    told = len(AREA_EDGES) + len(RECORDED_SHARES) * len(PHOTONS_KEV)
    return 4 * (vectors * spec.n_channels + len(spec.parameters) + told + 1)


def _image_bytes(spec: ImageSpec) -> int:
    height, width = spec.shape
    return 4 * height * width * (4 + 3 * spec.scale**2)


RECORDS: Mapping[str, RecordKind] = {
    "spectra": RecordKind(
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
        },
        row_bytes=_spectrum_bytes,
        ranges=TrainingRanges.of,
    ),
    "images": RecordKind(
        batch=ImageBatch,
        columns={
            "counts": "counts_BHW",
            "exposure": "exposure_BHW",
            "background": "background_BHW",
            "target": "target_BHW",
            "target_exposure": "target_exposure_BHW",
            "expected": "expected_BHW",
            "expected_target": "expected_target_BHW",
        },
        row_bytes=_image_bytes,
    ),
}

# Code that serves all kinds must not look into a spec, and code of one kind knows its class.
Spec = Annotated[Any, OneOf((SpectraSpec, ImageSpec))]


def kind_of(batch: RecordBatch) -> RecordKind:
    """The kind of record that a batch holds."""
    return next(kind for kind in RECORDS.values() if isinstance(batch, kind.batch))
