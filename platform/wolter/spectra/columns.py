"""Table of what a model predicts of spectra: columns from the outputs that its family declares.

An output with one number a spectrum is a column of its name, a vector of latents (axes "L") the
columns NAME_0, NAME_1, ...; counts by channel, of components or of all, are vectors, and written
where asked for.

Shapes: B batch, C channel, K component.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wolter.data.tables import vo_unit
from wolter.outputs import Output
from wolter.registry.checkpoint import Model, fingerprint
from wolter.spectra.flags import Values
from wolter.spectra.reading import Record
from wolter.spectra.schema import SpectraBatch

if TYPE_CHECKING:
    from astropy.table import Table

COMPONENTS = "components"  # output of families that decompose spectra
OWN = (  # of every table
    Output("file", "spectrum file"),
    Output("model_name", "model family"),
    Output("model_version", "version of the model"),
    Output("counts", "counts of source and background on the model's energy grid", "count"),
    Output("exposure_s", "exposure", "s"),
    Output("cstat", "C-stat of the best fit near the answer"),
    Output("cstat_expected", "its expectation, where the model is true"),
    Output("cstat_sigma", "standard deviation of that"),
    Output("p_value", "posterior-predictive p-value of C-stat"),
    Output("effective", "share of the network's samples that the likelihood keeps"),
    Output("flag", "what limits the estimate, separated by semicolons"),
    Output("component_energy_edges", "edges of the energy grid", "keV", "C"),
    Output("energy_edges", "edges of the energy grid", "keV", "C"),
)


def estimates_parameters(model: Model) -> bool:
    """True if a model estimates every parameter of its training spectra."""
    wanted = set(model.card.spec.names)
    return bool(wanted) and wanted <= {output.name for output in model.outputs}


def to_columns(
    model: Model,
    records: Sequence[Record],
    batch: SpectraBatch,
    values: Values,
    flags: Sequence[Sequence[str]],
    components: bool = False,
) -> dict[str, Any]:
    """Columns of `to_table` that differ between records.

    Args:
        model: that predicted.
        records: what was read.
        batch: batch of all records.
        values: predicted of the batch, by output.
        flags: flags of each record, besides its own.
        components: add counts by channel, of components or of all, where the family predicts them.
    """
    spec = model.card.spec
    axes = {output.name: output.axes for output in model.outputs}
    columns: dict[str, Any] = {"file": [record.name for record in records]}
    for name, value in values.items():
        if value.ndim == 1:
            columns[name] = value
        elif axes.get(name) == "L":
            columns |= {f"{name}_{i}": column for i, column in enumerate(value.T)}
    columns["counts"] = batch.counts_BC.sum(1).numpy()
    columns["exposure_s"] = np.array([record.exposure_s for record in records])
    edges = np.tile(np.array(spec.energy_edges, dtype=np.float32), (len(records), 1))
    if components and COMPONENTS in values:
        for k, name in enumerate(spec.components):
            columns[f"component_{name}"] = values[COMPONENTS][:, k]
        columns["component_energy_edges"] = edges
    elif components and (by_channel := [name for name in values if axes.get(name) == "C"]):
        columns |= {name: values[name] for name in by_channel} | {"energy_edges": edges}
    columns["flag"] = [
        ";".join((*record.flags, *more)) for record, more in zip(records, flags, strict=True)
    ]
    return columns


def to_table(model: Model, parts: Sequence[dict[str, Any]], version: str = "") -> "Table":
    """Table of the rows of all parts, with units and descriptions.

    Args:
        model: that predicted.
        parts: columns as of `to_columns`; empty ones have no rows.
        version: version of the model; empty for the fingerprint of its weights.
    """
    from astropy.table import Column, Table

    filled = [part for part in parts if part]
    plain = [output.name for output in model.outputs if not output.axes]
    names = list(filled[0]) if filled else ["file", *plain, "flag"]
    columns = {}
    for name in names:
        pieces = [np.asarray(part[name]) for part in filled] or [np.empty(0, np.float32)]
        kind = "U" if name in ("file", "flag") else np.float32
        columns[name] = np.concatenate(pieces).astype(kind)
    constant = {"model_name": model.family.name, "model_version": version or fingerprint(model)}
    rows = len(columns["file"])
    ordered: dict[str, Any] = {"file": columns.pop("file")}
    ordered |= {name: np.full(rows, value) for name, value in constant.items()} | columns
    about = _declared(model)
    made = []
    for name, value in ordered.items():
        text, unit = describe(about.get(name) or about.get(name.rpartition("_")[0]))
        made.append(Column(value, name, unit=unit, description=text))
    return Table(made)


def _declared(model: Model) -> dict[str, Output]:
    """Declared outputs by column name; the columns of a vector by the vector's name."""
    parts = [
        Output(f"component_{name}", f"counts of the {name} component", "count", "C")
        for name in model.card.spec.components
    ]
    return {output.name: output for output in (*OWN, *parts, *model.outputs)}


def describe(output: Output | None) -> tuple[str, Any]:
    """Description and astropy unit of a column; a unit that no standard can say is described."""
    if output is None:
        return "", None
    unit = vo_unit(output.unit)
    said = f" ({output.unit})" if output.unit and (unit is None or " at " in output.unit) else ""
    return output.about + said, unit
