"""Catalogue rows from spectra: facts of shards, estimates of models, and which may be used.

Shapes: B batch, P parameter, S sample.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from wolter.answering.quick_look import LookAxis
from wolter.answering.scoring import FACTS, SampleAxis, Scores, Scoring
from wolter.data.shards import ShardDataset
from wolter.family import Family
from wolter.outputs import Output
from wolter.registry.checkpoint import Model
from wolter.spectra.columns import estimates_parameters
from wolter.spectra.explained import (
    NOT_CHECKED,
    NOT_EXPLAINED,
    check_parameters,
    check_reconstructions,
)
from wolter.spectra.flags import Values, estimate_flags, record_flags
from wolter.spectra.outputs import CLASS_PREFIX
from wolter.spectra.predict import estimate, predict_batch
from wolter.spectra.quick_looks import AXIS, quick_looks
from wolter.spectra.reading import instrument_flags
from wolter.spectra.schema import SpectraBatch, SpectraSpec

UNUSABLE = (
    "no_counts",
    "few_counts",
    "anomalous",
    "area_unknown",
    "band_not_covered",
    "fractional_counts",
    "other_instrument",
    "response_outside_training",
    "background_outside_training",
    "exposure_outside_training",
    "training_ranges_unknown",
    NOT_EXPLAINED,
)
"""Flags with which an estimate must not be used as it stands."""

INFORMS_NOT = frozenset(("no_counts", "few_counts"))
"""Flags of estimates that are the prior, which expects nothing of a record."""

PUBLISHED_LIMITS = ("", "_lolim", "_hilim")
KEPT = 16  # posterior samples that are kept of a record: a million sources fit into 1 GB
LATENT = "latent"


class SpectraScoring(Scoring):
    """Catalogue rows from any model of spectra."""

    def problem(self, model: Model, spec: Any) -> str:
        """See `Scoring`."""
        if not isinstance(spec, SpectraSpec):
            return f"reads spectra, not {spec.kind}"
        if model.card.spec.energy_edges != spec.energy_edges:
            own, other = model.card.spec.energy_edges, spec.energy_edges
            return (
                f"reads {len(own) - 1} channels in {own[0]:g} to {own[-1]:g} keV, these are "
                f"{len(other) - 1} in {other[0]:g} to {other[-1]:g} keV (see --grid of "
                "`wolter ingest`)"
            )
        return ""

    def simulated(self, dataset: ShardDataset) -> bool:
        """See `Scoring`: ingested spectra have no response in common."""
        return bool(dataset.manifest.response_sha256)

    def facts(self, table: pa.Table, spec: Any) -> pa.Table:
        """See `Scoring`."""
        n = table.num_rows
        columns: dict[str, Any] = {}
        for field in FACTS:
            if field.name in ("counts", "background"):
                continue
            missing = "" if pa.types.is_string(field.type) else np.nan
            known = field.name in table.column_names
            columns[field.name] = table[field.name] if known else [missing] * n
        source = table["source_id"]
        columns["record"] = table["file"] if "file" in table.column_names else source
        columns["source"] = source
        if "instrument" not in table.column_names:
            columns["instrument"] = [spec.instrument] * n
        if "exposure_s" not in table.column_names:
            columns["exposure_s"] = table["exposure"]
        counts_BC, background_BC = (
            table[name].combine_chunks().to_numpy_ndarray() for name in ("counts", "background")
        )
        scale_B = table["background_scale"].to_numpy()
        columns["counts"] = counts_BC.sum(1)
        columns["background"] = background_BC.sum(1) * scale_B
        return pa.table({name: columns[name] for name in FACTS.names}).cast(FACTS)

    def remarks(self, table: pa.Table, model: Model) -> list[list[str]]:
        """See `Scoring`."""
        n = table.num_rows
        read = table["remarks"].to_pylist() if "remarks" in table.column_names else [""] * n
        words = table["instrument"].to_pylist() if "instrument" in table.column_names else [""] * n
        found = []
        for remark, word in zip(read, words, strict=True):
            telescope, instrument, filter_name = (f"{word}//".split("/"))[:3]
            own = instrument_flags((telescope, instrument, filter_name), model.card.spec)
            found.append([*own, *remark.split()])
        return found

    def columns(self, model: Model) -> tuple[Output, ...]:
        """See `Scoring`: a number a spectrum is a column, a vector of latents are several."""
        example = SpectraBatch.concatenate([self._example(model)])
        values = predict_batch(model, example)
        found: list[Output] = []
        for output in model.outputs:
            if not output.axes and _is_told(output.name, model.card.spec):
                found.append(_with_ucd(output, model.card.spec))
            elif output.axes == "L":
                found += [
                    Output(f"{output.name}_{i}", f"{output.about} {i}", output.unit, "", output.ucd)
                    for i in range(values[output.name].shape[1])
                ]
        return tuple(found)

    def score(
        self, model: Model, batch: Any, remarks: Sequence[Sequence[str]], check: bool = False
    ) -> Scores:
        """See `Scoring`."""
        values, flags = self._values(model, batch)
        told = [[*remark, *own] for remark, own in zip(remarks, flags, strict=True)]
        if check:
            self._check(model, batch, values, told)
        spec = model.card.spec
        columns = {k: v for k, v in values.items() if v.ndim == 1 and _is_told(k, spec)}
        for output in model.outputs:
            if output.axes == "L":
                parts = values[output.name].T
                columns |= {f"{output.name}_{i}": value for i, value in enumerate(parts)}
        reasons = [" ".join(flag for flag in each if _spoils(flag)) for each in told]
        samples_BSP = values.get("samples")
        kept = None if samples_BSP is None else samples_BSP[:, :KEPT]  # Sobol points: even so
        known = [not INFORMS_NOT.intersection(flags) for flags in told]
        return Scores(
            columns, told, reasons, kept, quick_looks(spec, batch, values, np.array(known))
        )

    def look_axis(self, model: Model) -> LookAxis:  # noqa: ARG002  # the same of all
        """See `Scoring`."""
        return AXIS

    @abstractmethod
    def _values(
        self, model: Model, batch: SpectraBatch
    ) -> tuple[dict[str, NDArray[np.float32]], list[list[str]]]:
        """What a model predicts, and its flags."""

    @abstractmethod
    def _fit_flags(self, _model: Model, batch: SpectraBatch, values: Values) -> list[str]:
        """Flag of the goodness of fit of each record; empty where it is good."""

    def _check(
        self, model: Model, batch: SpectraBatch, values: Values, flags: list[list[str]]
    ) -> None:
        """Add flags of goodness of fit to estimates that could be used but for it."""
        rows = [i for i, own in enumerate(flags) if not any(map(_spoils, own))]
        if not rows:
            return
        index = torch.tensor(rows)
        found = self._fit_flags(model, batch[index], {k: v[rows] for k, v in values.items()})
        for i, flag in zip(rows, found, strict=True):
            flags[i] += [flag] if flag else []

    @staticmethod
    def _example(model: Model) -> SpectraBatch:
        from wolter.spectra.kind import KIND

        example = KIND.example(model.card.spec, 1)
        assert isinstance(example, SpectraBatch)
        return example


class ParametersScoring(SpectraScoring):
    """Catalogue rows from estimates of parameters."""

    def default(self, families: Sequence[Family]) -> Family:
        """The posterior, where there is one."""
        named = {family.name: family for family in families}
        return named.get("posterior") or families[0]

    def published(self, model: Model) -> tuple[str, ...]:
        """See `Scoring`: value and 68 % interval of each parameter, and the anomaly."""
        own = {output.name for output in model.outputs}
        wanted = [p + suffix for p in model.card.spec.names for suffix in PUBLISHED_LIMITS]
        return tuple(name for name in (*wanted, "anomaly") if name in own)

    def axes(self, model: Model) -> tuple[SampleAxis, ...]:
        """See `Scoring`."""
        if "samples" not in {output.name for output in model.outputs}:
            return ()
        return tuple(
            SampleAxis(p.name, p.unit, "log" if p.prior == "log" else "linear")
            for p in model.card.spec.parameters
        )

    def _values(
        self, model: Model, batch: SpectraBatch
    ) -> tuple[dict[str, NDArray[np.float32]], list[list[str]]]:
        if not estimates_parameters(model):
            values = predict_batch(model, batch)
            return values, record_flags(model.card, batch, values)
        values = estimate(model, batch)
        return values, estimate_flags(model.card, batch, values)

    def _fit_flags(self, _model: Model, batch: SpectraBatch, values: Values) -> list[str]:
        if not estimates_parameters(_model):
            return [NOT_CHECKED] * len(batch)
        return check_parameters(_model.card.spec, batch, values)


class EmbeddingScoring(SpectraScoring):
    """Catalogue rows from latents and classes."""

    def default(self, families: Sequence[Family]) -> Family:
        """The autoencoder, where there is one."""
        named = {family.name: family for family in families}
        return named.get("autoencoder") or families[0]

    def published(self, model: Model) -> tuple[str, ...]:
        """See `Scoring`: latents, classes, flux and anomaly."""
        names = [output.name for output in self.columns(model)]
        wanted = ("flux", "anomaly")
        return tuple(
            name
            for name in names
            if name in wanted or name.startswith(CLASS_PREFIX) or _is_latent(name)
        )

    def latents(self, model: Model) -> tuple[str, ...]:
        """See `Scoring`."""
        return tuple(o.name for o in self.columns(model) if _is_latent(o.name))

    def _values(
        self, model: Model, batch: SpectraBatch
    ) -> tuple[dict[str, NDArray[np.float32]], list[list[str]]]:
        values = predict_batch(model, batch)
        return values, record_flags(model.card, batch, values)

    def _fit_flags(self, _model: Model, batch: SpectraBatch, values: Values) -> list[str]:
        return check_reconstructions(batch, values)


def _is_told(name: str, spec: SpectraSpec) -> bool:
    """False for a second point estimate, and for limits of what is always there."""
    parameter = {p.name: p for p in spec.parameters}.get(name.rpartition("_")[0])
    if parameter is None or name in spec.names:
        return True
    of_always = name.endswith("_upper") and not parameter.scales_with_flux
    return not (name.endswith("_mfe") or of_always)


def _is_latent(name: str) -> bool:
    word, _, number = name.rpartition("_")
    return word == LATENT and number.isdigit()


def _spoils(flag: str) -> bool:
    return flag.partition(":")[0] in UNUSABLE


_UCDS = {
    "nh": "phys.columnDensity",
    "slope": "spect.index",
    "kt": "phys.temperature",
    "line_energy": "em.energy;em.line",
    "pow_norm": "phot.flux.density",
    "line_norm": "phot.flux;em.line",
    "bb_norm": "phys.luminosity",
}


def _with_ucd(output: Output, spec: SpectraSpec) -> Output:
    """An output of a parameter with the UCD of what it is, which the family does not know."""
    if output.ucd:
        return output
    if output.name == "anomaly":
        return Output(output.name, output.about, output.unit, "", "stat.value")
    for name in sorted(spec.names, key=len, reverse=True):
        own = _UCDS.get(name)
        if own is None or not (output.name == name or output.name.startswith(f"{name}_")):
            continue
        limit = {"_lolim": ";stat.min", "_hilim": ";stat.max", "_upper": ";stat.max"}
        suffix = output.name.removeprefix(name).removesuffix("95")
        return Output(output.name, output.about, output.unit, "", own + limit.get(suffix, ""))
    return output
