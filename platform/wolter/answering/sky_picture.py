"""A picture of the sky: its `Layer`s, and where on the sky it lies.

Needs no torch: what answers with pictures of a release imports it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from wolter.xray.imaging.tangent_plane import NUMBERS, TangentPlane

PLACES = pa.schema(
    {
        "record": pa.string(),  # for messages
        "reason": pa.string(),  # why it gives no picture; empty where it does
        "observation_id": pa.string(),  # records with the same words are of one observation
        "instrument": pa.string(),  # telescope/instrument/filter
        "t_start": pa.float64(),  # MJD, UTC; NaN where it is not known
        "t_stop": pa.float64(),
        "exposure_s": pa.float32(),  # above 0
        "rows": pa.int32(),  # of a layer of scale 1
        "columns": pa.int32(),
        **dict.fromkeys(NUMBERS, pa.float64()),  # its tangent plane, which touches in its middle
    }
)
"""Columns of where records lie on the sky."""


@dataclass(frozen=True)
class Layer:
    """A layer of the pictures of a model.

    Attributes:
        name: lower case, letters, digits and underscores.
        about: description in a few words.
        unit: of a pixel, in the syntax of FITS: counts in the exposure, or a rate.
        counts: pixels are counts, whole numbers that were seen; otherwise rates, 0 or more.
        scale: pixels for one of a layer of scale 1, along a side.
    """

    name: str
    about: str
    unit: str
    counts: bool
    scale: int = 1


def plane_of(row: Mapping[str, Any]) -> TangentPlane:
    """Tangent plane of a row with the columns of `PLACES`, for a layer of scale 1."""
    return TangentPlane.from_numbers(row)
