"""Predictions of records as columns, for tables of any format.

Shapes: B batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wolter.outputs import Output

WIDE = 64  # numbers of a record, beyond which an output is no columns of a table


@dataclass(frozen=True)
class Predictions:
    """Predictions of some records.

    Attributes:
        model_name: that answered.
        model_version: of it.
        outputs: that are told.
        files: names of the records (B).
        flags: of each record (B).
        values: by name (B, ...).
    """

    model_name: str
    model_version: str
    outputs: Sequence[Output]
    files: Sequence[str]
    flags: Sequence[Sequence[str]]
    values: Mapping[str, NDArray[np.float32]]

    def columns(self) -> Iterator[tuple[Output, NDArray[np.float32]]]:
        """Each number of a record as an output of its own, with its values (B).

        An output with axes gives `NAME_0`, `NAME_1` and so on.
        """
        for output in self.outputs:
            values_BX = np.asarray(self.values[output.name]).reshape(len(self.files), -1)
            if not output.axes:
                yield output, values_BX[:, 0]
                continue
            for i, value_B in enumerate(values_BX.T):
                name, about = f"{output.name}_{i}", f"{output.about}, {i}"
                yield Output(name, about, output.unit, "", output.ucd), value_B


def narrow(
    outputs: Sequence[Output], values: Mapping[str, NDArray[np.float32]]
) -> tuple[Output, ...]:
    """The outputs of few enough numbers a record to be columns of a table."""
    sizes = {name: int(np.prod(value.shape[1:])) for name, value in values.items()}
    return tuple(o for o in outputs if o.name in sizes and sizes[o.name] <= WIDE)


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of one model, one after the other."""
    first = parts[0]
    outputs = [o for o in first.outputs if all(o in part.outputs for part in parts)]
    return Predictions(
        first.model_name,
        first.model_version,
        outputs,
        [file for part in parts for file in part.files],
        [flags for part in parts for flags in part.flags],
        {o.name: np.concatenate([part.values[o.name] for part in parts]) for o in outputs},
    )
