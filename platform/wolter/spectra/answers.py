"""JSON of the parameters of spectra.

An answer is made in parts: samples of posteriors and objects of pydantic fill far more memory than
the text.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from wolter.answering.batches import Values
from wolter.answering.contract import Served
from wolter.errors import InputError, TooLargeError
from wolter.spectra.flags import estimate_flags
from wolter.spectra.gridded import GriddedObservation
from wolter.spectra.http_schemas import Answer, Estimate, Fit, SpectrumAnswer
from wolter.spectra.model_check import ModelCheck
from wolter.spectra.reading import Record
from wolter.spectra.schema import Parameter, SpectraBatch, SpectraSpec


def joined(records: Sequence[Record]) -> SpectraBatch:
    """The batches of records as one."""
    return SpectraBatch.concatenate([record.batch for record in records])


def answers(
    served: Served,
    records: Sequence[Record],
    values: Values,
    components: bool = False,
    checked: Mapping[int, ModelCheck] | None = None,
) -> bytes:
    """JSON of the estimates of records: a part of `whole`.

    Args:
        served: the model.
        records: spectra.
        values: its estimates of them.
        components: tell the component spectra, where the family gives them.
        checked: by index, exact posteriors to tell in place of the model's estimates.

    Raises:
        InputError: an estimate is not finite.
    """
    for i, record in enumerate(records):
        _check_finite(served.model.card.spec, record, values, i)
    flags = estimate_flags(served.model.card, joined(records), values)
    spectra = []
    for i, record in enumerate(records):
        if checked and i in checked:
            spectra.append(_checked(served.model.card.spec, record, checked[i]))
            continue
        spectrum = _spectrum(served.model.card.spec, record, values, i, flags[i])
        if components and "components" in values:
            names = served.model.card.spec.components
            spectrum.components = {
                name: values["components"][i, k].tolist() for k, name in enumerate(names)
            }
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
        spectra.append(_checked(served.model.card.spec, each.record, found))
    return whole(served, [_json(spectra)])


def _checked(spec: SpectraSpec, record: Record, found: ModelCheck) -> SpectrumAnswer:
    _check_finite(spec, record, found.values, 0)
    if not all(map(math.isfinite, found.figures.values())):
        raise InputError(f"{record.name}: no finite likelihood of it; check its values")
    spectrum = _spectrum(spec, record, found.values, 0, found.flags)
    spectrum.fit = Fit(**found.figures)
    return spectrum


def _json(spectra: list[SpectrumAnswer]) -> bytes:
    return b",".join(each.model_dump_json().encode() for each in spectra)


def _check_finite(spec: SpectraSpec, record: Record, values: Values, i: int) -> None:
    bad = next((p.name for p in spec.parameters if not np.isfinite(values[p.name][i])), None)
    if bad:
        raise InputError(f"{record.name}: the model gives no finite {bad} of it; check its values")


def _spectrum(
    spec: SpectraSpec, record: Record, values: Values, i: int, flags: list[str]
) -> SpectrumAnswer:
    return SpectrumAnswer(
        file=record.name,
        parameters={p.name: _estimate(values, p, i) for p in spec.parameters},
        flags=[*record.flags, *flags],
        anomaly=_known(float(values["anomaly"][i])),
        fit=None,
        components=None,
        counts=float(record.batch.counts_BC.sum()),
        exposure_s=record.exposure_s,
    )


def _known(value: float) -> float | None:
    """The value as JSON can hold it: null where it is not finite."""
    return value if math.isfinite(value) else None


def _estimate(values: Values, parameter: Parameter, i: int) -> Estimate:
    def value(suffix: str) -> float | None:
        column = values.get(parameter.name + suffix)
        return None if column is None else _known(float(column[i]))

    def interval(level: str) -> tuple[float, float] | None:
        low, high = value(f"_lolim{level}"), value(f"_hilim{level}")
        return None if low is None or high is None else (low, high)

    return Estimate(
        value=float(values[parameter.name][i]),
        value_mfe=value("_mfe"),
        interval_68=interval(""),
        interval_95=interval("95"),
        upper_limit=value("_upper"),
        unit=parameter.unit,
    )
