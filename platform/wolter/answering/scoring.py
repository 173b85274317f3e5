"""The contract of a task whose models score a catalogue: `Scoring`, `Facts` and `Scores`.

A catalogue knows nothing of records: a task says where and when each was observed, and what a model
says of it, as plain columns.

Shapes: B batch, P parameter, S sample.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.answering.quick_look import LookAxis, QuickLook
from wolter.data.shards import ShardDataset
from wolter.family import Family
from wolter.outputs import Output
from wolter.registry.checkpoint import Model

FACTS = pa.schema(
    {
        "record": pa.string(),  # file, or number of a simulated record: the same of each model
        "source": pa.string(),  # the source's identity in the dataset
        "ra": pa.float64(),  # deg, ICRS; NaN where it is not known, as are all numbers
        "dec": pa.float64(),
        "pos_err": pa.float32(),  # arcsec, 68 %
        "pos_origin": pa.string(),
        "observation_id": pa.string(),
        "instrument": pa.string(),  # telescope/instrument/filter
        "t_start": pa.float64(),  # MJD, UTC
        "t_stop": pa.float64(),
        "exposure_s": pa.float32(),
        "counts": pa.float32(),
        "background": pa.float32(),  # expected background counts
    }
)
"""Columns of what is known of a record without a model."""


@dataclass(frozen=True)
class SampleAxis:
    """A parameter of posterior samples.

    Attributes:
        name: name of the parameter.
        unit: its unit.
        scale: in which the codes of samples are even.
    """

    name: str
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"


@dataclass(frozen=True)
class Scores:
    """What a model says of some records.

    Attributes:
        columns: numbers (B) by name; those of `Scoring.columns`.
        flags: flags of each record.
        reasons: why each estimate must not be used as it stands; empty where it may.
        samples_BSP: posterior samples of equal weight, evenly spread; None where there are none.
        looks: quick look at each record, None at some; empty where there are none.
    """

    columns: Mapping[str, NDArray[np.float32]]
    flags: Sequence[Sequence[str]]
    reasons: Sequence[str]
    samples_BSP: NDArray[np.float32] | None = None
    looks: Sequence[QuickLook | None] = ()


class Scoring(ABC):
    """Base class: rows of a catalogue from a task's records and models."""

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
    def facts(self, table: pa.Table, spec: Any) -> pa.Table:
        """What is known of the rows of a shard without a model; see `FACTS`.

        Args:
            table: whole rows of a shard.
            spec: spec of the dataset.
        """

    @abstractmethod
    def columns(self, model: Model) -> tuple[Output, ...]:
        """The columns of a model's estimates."""

    @abstractmethod
    def published(self, model: Model) -> tuple[str, ...]:
        """Names of the columns that sources publish."""

    def latents(self, model: Model) -> tuple[str, ...]:  # noqa: ARG002  # of other tasks
        """Names of the columns that are latents, by which similar sources are found."""
        return ()

    def axes(self, model: Model) -> tuple[SampleAxis, ...]:  # noqa: ARG002  # of other tasks
        """Parameters of the posterior samples, in their order; empty where there are none."""
        return ()

    def look_axis(self, model: Model) -> LookAxis | None:  # noqa: ARG002  # of other tasks
        """What the bins of quick looks are along; None where there are none."""
        return None

    @abstractmethod
    def score(
        self, model: Model, batch: Any, remarks: Sequence[Sequence[str]], check: bool = False
    ) -> Scores:
        """Ask a model about records.

        Args:
            model: loaded.
            batch: the records.
            remarks: flags of how each of them was read.
            check: also check the goodness of fit.
        """

    @abstractmethod
    def remarks(self, table: pa.Table, model: Model) -> list[list[str]]:
        """Flags on how the rows of a shard were read and fit a model."""
