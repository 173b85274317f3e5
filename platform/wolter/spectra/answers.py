"""JSON of the parameters of spectra.

An answer is made in parts: samples of posteriors and objects of pydantic fill far more memory than
the text.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from wolter.answering.batches import Values
from wolter.answering.contract import Served
from wolter.answering.from_outputs import in_json
from wolter.errors import InputError, TooLargeError
from wolter.spectra.flags import estimate_flags
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.http_schemas import Answer
from wolter.spectra.model_check import ModelCheck
from wolter.spectra.records import Records
from wolter.spectra.schema import SpectraSpec

Spectrum = dict[str, Any]


def answers(
    served: Served,
    records: Records,
    values: Values,
    components: bool = False,
    checked: Mapping[int, ModelCheck] | None = None,
) -> bytes:
    """JSON of the estimates of spectra: a part of `whole`.

    Args:
        served: the model.
        records: spectra.
        values: its estimates of them.
        components: tell the component spectra, where the family gives them.
        checked: by index, exact posteriors to tell in place of the model's estimates.

    Raises:
        InputError: an estimate is not finite.
    """
    spec = served.model.card.spec
    _check_finite(spec, records, values)
    flags = records.remarks(estimate_flags(served.model.card, records.batch, values))
    estimates, anomaly = _estimates(spec, values), _known(values["anomaly"])
    counts = records.batch.counts_BC.sum(1).tolist()
    spectra = []
    for i, (name, exposure_s) in enumerate(zip(records.names, records.exposure_s, strict=True)):
        if checked and i in checked:
            spectra.append(_checked(spec, records[i : i + 1], checked[i]))
            continue
        spectrum = _spectrum(name, exposure_s, estimates[i], flags[i], anomaly[i], counts[i])
        if components and "components" in values:
            shown = zip(spec.components, values["components"][i], strict=True)
            spectrum["components"] = {name: np.ascontiguousarray(each) for name, each in shown}
        spectra.append(spectrum)
    return _json(spectra)


def whole(served: Served, parts: Sequence[bytes]) -> bytes:
    """JSON of an answer (see `wolter.spectra.http_schemas.Answer`) from those of its spectra."""
    name = served.model.family.name
    empty = Answer(model_name=name, model_version=served.version, spectra=[])
    start = empty.model_dump_json().encode().removesuffix(b"]}")
    return start + b",".join(parts) + b"]}"


def check_components(values: Values, n: int, most: int) -> None:
    """Check that the component spectra of an answer are not too many.

    Args:
        values: estimates of some spectra; all is well where they hold no components.
        n: spectra of the answer.
        most: numbers in it.

    Raises:
        TooLargeError: they are.
    """
    if "components" not in values:
        return
    _, k, n_channels = values["components"].shape
    if n * k * n_channels > most:
        raise TooLargeError(
            f"components: {n} spectra of {k} components of {n_channels} channels; send at most "
            f"{most // (k * n_channels)} spectra, or ask without components"
        )


def refined_answer(
    served: Served, gridded: Sequence[GriddedObservation], checked: Sequence[ModelCheck]
) -> bytes:
    """JSON of exact posteriors with goodness of fit; see `whole`."""
    spectra = []
    for each, found in zip(gridded, checked, strict=True):
        spectra.append(_checked(served.model.card.spec, Records.of([each.record]), found))
    return whole(served, [_json(spectra)])


def _checked(spec: SpectraSpec, one: Records, found: ModelCheck) -> Spectrum:
    name, exposure_s = one.names[0], one.exposure_s[0]
    _check_finite(spec, one, found.values)
    if not all(map(math.isfinite, found.figures.values())):
        raise InputError(f"{name}: no finite likelihood of it; check its values")
    estimates, anomaly = _estimates(spec, found.values), _known(found.values["anomaly"])
    counts, flags = float(one.batch.counts_BC.sum()), one.remarks([found.flags])[0]
    told = _spectrum(name, exposure_s, estimates[0], flags, anomaly[0], counts)
    return told | {"fit": dict(found.figures)}


def _json(spectra: Sequence[Spectrum]) -> bytes:
    # Objects of pydantic take longer than the network.
    return b",".join(orjson.dumps(each, option=orjson.OPT_SERIALIZE_NUMPY) for each in spectra)


def _check_finite(spec: SpectraSpec, records: Records, values: Values) -> None:
    finite_BP = np.stack([np.isfinite(values[name]) for name in spec.names], 1)
    if not finite_BP.all():
        i, k = np.argwhere(~finite_BP)[0]
        name, bad = records.names[i], spec.names[k]
        raise InputError(f"{name}: the model gives no finite {bad} of it; check its values")


def _spectrum(
    name: str,
    exposure_s: float,
    estimates: Mapping[str, Any],
    flags: Sequence[str],
    anomaly: float | None,
    counts: float,
) -> Spectrum:
    """A spectrum's answer; see `wolter.spectra.http_schemas.SpectrumAnswer`."""
    return {
        "file": in_json(name),
        "parameters": estimates,
        "flags": flags,
        "anomaly": anomaly,
        "fit": None,
        "counts": counts,
        "exposure_s": exposure_s,
        "components": None,
    }


def _known(values_B: NDArray[np.float32]) -> list[float | None]:
    """Numbers as JSON can hold them: null where one is not finite."""
    told: list[float | None] = values_B.astype(np.float64).tolist()
    if not np.isfinite(values_B).all():
        told = [value if value is not None and math.isfinite(value) else None for value in told]
    return told


def _estimates(spec: SpectraSpec, values: Values) -> list[dict[str, Any]]:
    """Estimates of each spectrum by parameter; see `wolter.spectra.http_schemas.Estimate`."""
    n = len(values[spec.names[0]])
    none: list[float | None] = [None] * n
    found: list[dict[str, Any]] = [{} for _ in range(n)]
    for parameter in spec.parameters:

        def column(suffix: str, name: str = parameter.name) -> list[float | None]:
            return _known(values[name + suffix]) if name + suffix in values else none

        columns = (
            column(""), column("_mfe"), column("_lolim"), column("_hilim"),
            column("_lolim95"), column("_hilim95"), column("_upper"),
        )  # fmt: skip
        for told, value, mfe, low, high, low95, high95, upper in zip(found, *columns, strict=True):
            told[parameter.name] = {
                "value": value,
                "value_mfe": mfe,
                "interval_68": None if low is None or high is None else (low, high),
                "interval_95": None if low95 is None or high95 is None else (low95, high95),
                "upper_limit": upper,
                "unit": parameter.unit,
            }
    return found
