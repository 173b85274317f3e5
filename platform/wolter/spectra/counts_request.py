"""Counts of a request in JSON as records.

Shapes: B batch, C channels of the request.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from pydantic_core import from_json
from torch import Tensor

from wolter.answering.messages import one_line
from wolter.errors import InputError
from wolter.spectra.http_schemas import Counts
from wolter.spectra.reading import covers
from wolter.spectra.records import Records
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.spectral.response import rebin_channels


def records_of_counts(body: bytes, spec: SpectraSpec, max_spectra: int) -> Records:
    """Spectra of a JSON request.

    Raises:
        InputError: not valid JSON, or values are missing, out of range or do not fit together.
    """
    counts = _parsed(body, max_spectra)
    counts_BC = _table(counts.counts, "counts")
    n, n_channels = counts_BC.shape
    background_BC, scale = torch.zeros_like(counts_BC), counts.background_scale
    if counts.background is not None:
        background_BC = _table(counts.background, "background")
        if background_BC.shape != counts_BC.shape:
            raise InputError("background: give as many numbers as in counts")
        if scale is None:
            raise InputError("background_scale: missing; it is needed with background")
    elif scale is not None:
        raise InputError("background_scale: given without background; send both or neither")
    flags: tuple[str, ...] = ()
    if counts.energy_edges is None:
        if n_channels != spec.n_channels:
            raise InputError(
                f"counts: {n_channels} channels, the model's grid has {spec.n_channels}; send "
                "energy_edges for another grid"
            )
    else:
        edges_C1 = _edges(counts.energy_edges, n_channels, spec)
        flags = () if covers(edges_C1, spec.energy_edges) else ("band_not_covered",)
        counts_BC = rebin_channels(counts_BC, edges_C1, spec.energy_edges)
        background_BC = rebin_channels(background_BC, edges_C1, spec.energy_edges)
    if counts.names is not None and len(counts.names) != n:
        raise InputError(f"names: {len(counts.names)} for {n} spectra; give one for each")
    names = counts.names or [str(i) for i in range(n)]
    batch = SpectraBatch(
        counts_BC=counts_BC.float(),
        background_BC=background_BC.float(),
        background_scale_B=_each([0.0] if scale is None else scale, n, "background_scale"),
        exposure_B=_each(counts.exposure_s, n, "exposure_s"),
    )
    return Records(names, batch, [flags] * n, batch.exposure_B.tolist())


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


def _each(values: list[float], n: int, name: str) -> Tensor:
    """One number for each spectrum, float32 (B)."""
    if len(values) not in (1, n):
        raise InputError(f"{name}: {len(values)} values for {n} spectra; give one, or one for each")
    return torch.tensor(values).expand(n)
