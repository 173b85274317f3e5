"""Columns of estimates and of sources from what models declare.

Shapes: M sources, N estimates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wolter.catalogue.columns import Column
from wolter.data.tables import vo_unit
from wolter.outputs import Output


@dataclass(frozen=True)
class Publication:
    """What sources publish of a model.

    Attributes:
        model: name of the model.
        columns: columns of its estimates.
        names: name in the table of estimates -> name in that of sources.
    """

    model: str
    columns: tuple[Column, ...]
    names: Mapping[str, str]

    @property
    def own(self) -> tuple[Column, ...]:
        """Columns of the table of sources."""
        word = f"the estimate of {self.model}"
        first = (
            Column(f"{self.model}_version", f"version of {self.model}", "text", "", "meta.version"),
            Column(f"{self.model}_usable", f"1 if {word} may be used as it stands, 0 if not",
                   "short", "", "meta.code.qual"),
            Column(f"{self.model}_reason", f"why {word} is not usable", "text", "", "meta.note"),
            Column(f"{self.model}_flags", f"flags of {word}", "text", "", "meta.code"),
            Column(f"{self.model}_detection_id", f"detection of {word}", "long", "", "meta.id"),
        )  # fmt: skip
        by_name = {column.name: column for column in self.columns}
        renamed = [replace(by_name[name], name=new) for name, new in self.names.items()]
        return (*first, *renamed)


def column_of(output: Output, principal: bool = False) -> Column:
    """Catalogue column of an output with one number a record."""
    unit = vo_unit(output.unit)
    text = "" if unit is None else unit.to_string("vounit", deprecations="silent")
    said = f" ({output.unit})" if output.unit and (unit is None or " at " in output.unit) else ""
    return Column(output.name.lower(), output.about + said, "float", text, output.ucd,
                  principal=principal)  # fmt: skip


def publications(
    models: Sequence[tuple[str, tuple[Output, ...], tuple[str, ...]]], taken: Sequence[str]
) -> tuple[Publication, ...]:
    """What is published of models; a name that is taken already gets the model's before it.

    Args:
        models: name, outputs and names of published outputs of each.
        taken: names of other columns of sources.
    """
    used, found = set(taken), []
    for model, outputs, wanted in models:
        columns = tuple(column_of(o, not o.name.endswith(("_lolim", "_hilim"))) for o in outputs)
        names = {}
        for name in wanted:
            new = name.lower() if name.lower() not in used else f"{model}_{name.lower()}"
            names[name.lower()] = new
            used.add(new)
        found.append(Publication(model, columns, names))
    return tuple(found)


def chosen(
    source_N: NDArray[np.int64], usable_N: NDArray[np.bool_], net_N: NDArray[np.float64], m: int
) -> NDArray[np.int64]:
    """Row (M) of the estimate that each source publishes; -1 where it has none.

    That of most net counts among the usable ones, or among all where none is usable.

    Args:
        source_N: number of the source.
        usable_N: of each estimate.
        net_N: net counts of its detection.
        m: number of sources.
    """
    order_N = np.lexsort((net_N, usable_N))  # the last one of a source is the best
    row_M = np.full(m, -1, np.int64)
    row_M[source_N[order_N]] = order_N
    return row_M


def published_columns(
    publication: Publication, estimates: pa.Table, row_M: NDArray[np.int64]
) -> dict[str, pa.ChunkedArray]:
    """Columns of sources: of usable estimates the numbers, of others the reason alone.

    Args:
        publication: what is published.
        estimates: table of estimates.
        row_M: see `chosen`.
    """
    import pyarrow.compute as pc

    rows = pa.array(row_M, mask=row_M < 0)
    taken = estimates.take(rows)
    model = publication.model
    columns = {
        f"{model}_version": taken["model_version"],
        f"{model}_usable": taken["usable"],
        f"{model}_reason": taken["reason"],
        f"{model}_flags": taken["flags"],
        f"{model}_detection_id": taken["detection_id"],
    }
    usable = pc.equal(taken["usable"], 1)
    for name, new in publication.names.items():
        finite = pc.is_finite(taken[name])
        columns[new] = pc.if_else(pc.and_(usable, finite), taken[name], None)
    return columns
