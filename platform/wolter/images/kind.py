"""Record kind of image pairs."""

import torch

from wolter.data.record_kinds import RecordKind
from wolter.images.schema import ImageBatch, ImageSpec

SIDE = 16  # pixels of an example: small, whatever the frames of the data set


def _row_bytes(spec: ImageSpec) -> int:
    height, width = spec.shape
    return 4 * height * width * (4 + 3 * spec.scale**2)


def _example(_spec: ImageSpec, n: int) -> ImageBatch:
    """Uniform images of one count a pixel in 10 ks."""
    even_BHW = torch.ones(n, SIDE, SIDE)
    return ImageBatch(even_BHW, even_BHW * 1e4, even_BHW * 0.5)


KIND = RecordKind(
    name="images",
    spec=ImageSpec,
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
    row_bytes=_row_bytes,
    example=_example,
)
