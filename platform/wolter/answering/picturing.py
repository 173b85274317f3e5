"""The contract of a task whose models answer with pictures of the sky: `Picturing` and `Layer`.

A catalogue knows nothing of records: a task says where each of them lies on the sky, and gives what
was seen there and what a model makes of it as layers of one field, whose pixels may be finer.

Shapes: H and W rows and columns of a layer.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.data.shards import ShardDataset
from wolter.family import Family
from wolter.registry.checkpoint import Model
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


class Picturing(ABC):
    """Base class: pictures of the sky from a task's records and models."""

    @abstractmethod
    def default(self, families: Sequence[Family]) -> Family:
        """The family that is published, among those of the task."""

    @abstractmethod
    def problem(self, model: Model, spec: Any) -> str:
        """Reason why a model cannot read a dataset of a spec; empty if it can."""

    @abstractmethod
    def simulated(self, dataset: ShardDataset) -> bool:
        """True if a dataset's records are simulated."""

    @abstractmethod
    def layers(self, model: Model) -> tuple[Layer, ...]:
        """Layers of a model's pictures, what was seen first."""

    @abstractmethod
    def places(self, table: pa.Table, spec: Any) -> pa.Table:
        """Where the rows of a shard lie on the sky; see `PLACES`.

        Args:
            table: whole rows of a shard.
            spec: spec of the dataset.
        """

    @abstractmethod
    def pictures(
        self, model: Model, table: pa.Table, spec: Any
    ) -> list[Mapping[str, NDArray[np.float32]]]:
        """Layers of rows of a shard, by their names: each (H, W), NaN where nothing was exposed.

        Args:
            model: loaded.
            table: rows without a reason against pictures.
            spec: spec of the dataset.
        """


def plane_of(row: Mapping[str, Any]) -> TangentPlane:
    """Tangent plane of a row with the columns of `PLACES`, for a layer of scale 1."""
    return TangentPlane.from_numbers(row)
