"""The contract of a task whose models answer with pictures of the sky: `Picturing`.

A catalogue knows nothing of records: a task says where each of them lies on the sky, and gives what
was seen there and what a model makes of it as layers of one field, whose pixels may be finer.

Shapes: H and W rows and columns of a layer.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.answering.sky_picture import Layer
from wolter.data.shards import ShardDataset
from wolter.family import Family
from wolter.registry.checkpoint import Model


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
        """Where the rows of a shard lie on the sky; see `wolter.answering.sky_picture.PLACES`.

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
