"""Counts of a request, in JSON or as arrays, as records.

Shapes: B batch, C channels of the request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import from_json
from torch import Tensor

from wolter.answering.arrays import arrays_of, is_arrays
from wolter.answering.messages import one_line
from wolter.answering.values import LEAST_S, MOST
from wolter.errors import InputError
from wolter.spectra.http_schemas import MOST_KEV, Counts
from wolter.spectra.reading import covers
from wolter.spectra.records import Records
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.spectral.response import rebin_channels

# Of arrays: the least and greatest that `Counts` takes; 0 to MOST of all others.
_RANGES = {"exposure_s": (LEAST_S, MOST), "energy_edges": (0.0, MOST_KEV)}


@dataclass(frozen=True)
class _Sent:
    """What a request says, in either form; one value of an exposure or scale stands for all."""

    counts_BC: Tensor
    exposure: Tensor
    energy_edges: Sequence[float] | None
    background_BC: Tensor | None
    background_scale: Tensor | None
    names: Sequence[str] | None = None


def records_of_counts(body: bytes, spec: SpectraSpec, max_spectra: int) -> Records:
    """Spectra of a request: JSON, or arrays of the same names.

    Raises:
        InputError: neither, or values are missing, out of range or do not fit together.
    """
    sent = _of_arrays(body, max_spectra) if is_arrays(body) else _of_json(body, max_spectra)
    counts_BC, scale = sent.counts_BC, sent.background_scale
    n, n_channels = counts_BC.shape
    background_BC = torch.zeros_like(counts_BC)
    if sent.background_BC is not None:
        background_BC = sent.background_BC
        if background_BC.shape != counts_BC.shape:
            raise InputError("background: give as many numbers as in counts")
        if scale is None:
            raise InputError("background_scale: missing; it is needed with background")
    elif scale is not None:
        raise InputError("background_scale: given without background; send both or neither")
    flags: tuple[str, ...] = ()
    if sent.energy_edges is None:
        if n_channels != spec.n_channels:
            raise InputError(
                f"counts: {n_channels} channels, the model's grid has {spec.n_channels}; send "
                "energy_edges for another grid"
            )
    else:
        edges_C1 = _edges(sent.energy_edges, n_channels, spec)
        flags = () if covers(edges_C1, spec.energy_edges) else ("band_not_covered",)
        counts_BC = rebin_channels(counts_BC, edges_C1, spec.energy_edges)
        background_BC = rebin_channels(background_BC, edges_C1, spec.energy_edges)
    if sent.names is not None and len(sent.names) != n:
        raise InputError(f"names: {len(sent.names)} for {n} spectra; give one for each")
    names = sent.names or [str(i) for i in range(n)]
    batch = SpectraBatch(
        counts_BC=counts_BC.float(),
        background_BC=background_BC.float(),
        background_scale_B=_each(torch.zeros(1) if scale is None else scale, n, "background_scale"),
        exposure_B=_each(sent.exposure, n, "exposure_s"),
    )
    return Records(names, batch, [flags] * n, batch.exposure_B.tolist())


def _of_json(body: bytes, max_spectra: int) -> _Sent:
    counts = _parsed(body, max_spectra)
    background, scale = counts.background, counts.background_scale
    return _Sent(
        _table(counts.counts, "counts"),
        torch.tensor(counts.exposure_s),
        counts.energy_edges,
        None if background is None else _table(background, "background"),
        None if scale is None else torch.tensor(scale),
        counts.names,
    )


def _of_arrays(body: bytes, max_spectra: int) -> _Sent:
    arrays = arrays_of(body)
    known = [name for name in Counts.model_fields if name != "names"]
    for name in arrays:
        if name not in known:
            raise InputError(f"{name[:50]!r}: no array of that name is taken; send {known}")
    for name in ("counts", "exposure_s"):
        if name not in arrays:
            raise InputError(f"{name}: missing")
    found = {name: _numbers(name, array) for name, array in arrays.items()}
    for name in ("counts", "background"):
        if name in found:
            if found[name].ndim != 2 or not found[name].numel():
                raise InputError(f"{name}: give one number a channel, a row for every spectrum")
            if len(found[name]) > max_spectra:
                raise InputError(f"{name}: {len(found[name])} spectra; send at most {max_spectra}")
    for name in ("exposure_s", "energy_edges", "background_scale"):
        if name in found and found[name].ndim != 1:
            raise InputError(f"{name}: give a list of numbers")
    edges = found.get("energy_edges")
    return _Sent(
        found["counts"],
        found["exposure_s"].float(),
        None if edges is None else edges.tolist(),
        found.get("background"),
        found["background_scale"].float() if "background_scale" in found else None,
    )


def _numbers(name: str, array: NDArray[Any]) -> Tensor:
    """An array in the range that JSON has, float64; one row or number is an array of one.

    Raises:
        InputError: a number is out of it, or is none.
    """
    low, high = _RANGES.get(name, (0.0, MOST))
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name}: {array.dtype.name}; send numbers")
    values = array.astype(np.float64)
    bad = ~((values >= low) & (values <= high))
    if bad.any():
        raise InputError(f"{name}: {values[bad][0]:g}; {low:g} to {high:g} are taken")
    one = np.atleast_2d if name in ("counts", "background") else np.atleast_1d
    return torch.from_numpy(one(values))


def _parsed(body: bytes, max_spectra: int) -> Counts:
    """Parse and validate the body; only the first error is reported."""
    try:
        values = from_json(body)
    except ValueError as error:
        raise InputError(f"body: Invalid JSON: {error}") from error
    if isinstance(values, dict):
        unknown = next((name for name in values if name not in Counts.model_fields), None)
        if unknown is not None:
            raise InputError(f"{unknown[:50] or 'body'}: Extra inputs are not permitted")
        for name in ("counts", "background"):
            rows = values.get(name)
            if isinstance(rows, list) and len(rows) > max_spectra and isinstance(rows[0], list):
                raise InputError(f"{name}: {len(rows)} spectra; send at most {max_spectra}")
    try:
        return Counts.model_validate(values)
    except ValidationError as error:
        raise InputError(one_line(error.errors(include_url=False))) from error


def _table(rows: Any, name: str) -> Tensor:
    """Rows of equal length as float64 (B, C)."""
    if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.size:
        return torch.from_numpy(rows)
    if not len(rows) or not len(rows[0]) or len({len(row) for row in rows}) > 1:
        raise InputError(f"{name}: give one number a channel, as many for every spectrum")
    return torch.from_numpy(np.stack(rows))


def _edges(energy_edges: Sequence[float], n_channels: int, spec: SpectraSpec) -> Tensor:
    if len(energy_edges) != n_channels + 1:
        raise InputError(
            f"energy_edges: {len(energy_edges)} edges of {n_channels} channels; give one more than "
            "channels"
        )
    edges_C1 = torch.tensor(energy_edges, dtype=torch.float64)
    if not bool((edges_C1.diff() > 0).all()):
        raise InputError("energy_edges: must ascend; give them in keV")
    centre_C = 0.5 * (edges_C1[:-1] + edges_C1[1:])
    low, high = spec.energy_edges[0], spec.energy_edges[-1]
    if not bool(((centre_C >= low) & (centre_C < high)).any()):
        raise InputError(f"energy_edges: no channel within {low:g}-{high:g} keV; give them in keV")
    return edges_C1


def _each(values: Tensor, n: int, name: str) -> Tensor:
    """One number for each spectrum, float32 (B)."""
    if len(values) not in (1, n):
        raise InputError(f"{name}: {len(values)} values for {n} spectra; give one, or one for each")
    return values.expand(n)
