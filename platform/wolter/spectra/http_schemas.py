"""Requests and answers of spectra, as JSON."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, WrapValidator

from wolter.answering.contract import ModelInfo
from wolter.answering.values import LEAST_S, MOST
from wolter.spectra.reading import ResponseChoice
from wolter.xray.instruments.instrument import DEFAULT

MOST_KEV = 1e6  # largest energy that is taken for one

_Count = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
_Energy = Annotated[float, Field(ge=0, le=MOST_KEV, allow_inf_nan=False)]
_Exposure = Annotated[float, Field(ge=LEAST_S, le=MOST, allow_inf_nan=False)]
_Name = Annotated[str, Field(max_length=200)]


def _as_rows(value: Any, validated: Callable[[Any], Any]) -> Any:
    """Rows of counts as one float64 array, or as one each where they differ in length.

    One list stands for one row. A number of JSON takes many times its size as an object of its own,
    so that pydantic sees the first bad one alone, at its place.
    """
    if not isinstance(value, list):
        return validated(value)
    rows = value if any(isinstance(row, list) for row in value) else [value]
    if all(isinstance(row, list) and _are_numbers(row) for row in rows):
        table = _as_array(rows)
        if table is not None:
            return table
    arrays = []
    for i, row in enumerate(rows):
        array = _as_array(row) if isinstance(row, list) and _are_numbers(row) else None
        if array is None:
            bad = row
            if isinstance(row, list):
                at = next(k for k, each in enumerate(row) if not _is_count(each))
                bad = [*[0] * at, row[at]]
            validated([*[[]] * i, bad])
            raise AssertionError
        arrays.append(array)
    return arrays


def _are_numbers(row: list[Any]) -> bool:
    return {int, float}.issuperset(map(type, row))


def _as_array(numbers: list[Any]) -> NDArray[np.float64] | None:
    """Numbers, or rows of them, as an array; None where one is no count, or rows differ."""
    try:
        values = np.array(numbers, np.float64)
    except (OverflowError, ValueError):
        return None
    return values if bool(((values >= 0) & (values <= MOST)).all()) else None


def _is_count(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= MOST


def _as_list(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


# One list stands for one spectrum and one number for all spectra, so that each has one form here.
_Rows = Annotated[
    list[list[_Count]],
    WrapValidator(_as_rows, json_schema_input_type=list[list[_Count]] | list[_Count]),
]
_Scales = Annotated[
    list[_Count] | None,
    FailFast(),  # values may be bad by the million
    BeforeValidator(_as_list, json_schema_input_type=list[_Count] | _Count | None),
]
_Exposures = Annotated[
    list[_Exposure],
    FailFast(),
    BeforeValidator(_as_list, json_schema_input_type=list[_Exposure] | _Exposure),
]


class Counts(BaseModel):
    """Counts of one spectrum, or of several with the same channels."""

    model_config = ConfigDict(extra="forbid", strict=True)

    counts: _Rows = Field(
        description="counts of source and background in each channel: one list a spectrum"
    )
    exposure_s: _Exposures = Field(description="exposure in s; one a spectrum, or one for all")
    energy_edges: list[_Energy] | None = Field(
        None,
        fail_fast=True,
        description="keV, one more than channels, ascending; the model's own grid if missing",
    )
    background: _Rows | None = Field(
        None, description="counts of the background spectrum, in the shape of counts"
    )
    background_scale: _Scales = Field(
        None,
        description="background counts expected in the source region for each count of the "
        "background spectrum: the ratio of exposure x BACKSCAL x AREASCAL; needed with background",
    )
    names: list[_Name] | None = Field(
        None, fail_fast=True, description="names to repeat in the answer, one a spectrum"
    )


class Estimate(BaseModel):
    """Estimates of one parameter."""

    value: float = Field(description="the estimate of least squared error")
    value_mfe: float | None = Field(None, description="the estimate of least fractional error")
    interval_68: tuple[float, float] | None = Field(
        None, description="central 68 % credible interval, where the family gives posteriors"
    )
    interval_95: tuple[float, float] | None = Field(None, description="central 95 % interval")
    upper_limit: float | None = Field(
        None, description="one-sided 95 % limit; the answer where the component is not detected"
    )
    unit: str


class Fit(BaseModel):
    """Goodness of fit of a spectrum, and statistics of the refinement."""

    cstat: float = Field(description="C-stat of the best fit near the answer")
    cstat_expected: float = Field(description="its expectation where the model is true")
    cstat_sigma: float = Field(description="standard deviation of that")
    p_value: float = Field(description="posterior-predictive p-value of C-stat")
    effective: float = Field(
        description="share of the network's samples that the likelihood keeps; below 0.1 the "
        "refined ones come from an ensemble sampler"
    )


class SpectrumAnswer(BaseModel):
    """Estimates of one spectrum."""

    file: str
    parameters: dict[str, Estimate]
    flags: list[str] = Field(
        description="what limits the estimates: no_counts and few_counts (the prior is given "
        "back), no_background, band_not_covered, background_scale_varies, fractional_counts, "
        "exposure_outside_training, response_outside_training, background_outside_training, "
        "training_ranges_unknown, other_instrument:<name>, other_filter:<name>, "
        "at_prior_edge:<parameter>, not_detected:<norm>, area_unknown, anomalous (unlike all "
        "training spectra: anomaly above 3.5), anomaly_unknown; refined (the exact posterior is "
        "the answer, which flags on the training do not limit), "
        "and where refined not_explained (no parameters of the model give such a spectrum)"
    )
    anomaly: float | None = Field(
        description="how unlike the training spectra the counts are, in standard deviations (it "
        "needs no response); null where the model has not learnt it"
    )
    fit: Fit | None = Field(default=None, description="of refined posteriors")
    counts: float = Field(description="counts of source and background on the model's grid")
    exposure_s: float
    components: dict[str, list[float]] | None = Field(
        default=None,
        description="counts of each component on the model's grid, where asked for: a million "
        "numbers in all spectra of an answer at most",
    )


class Answer(BaseModel):
    """Parameters of the spectra of a request, in its order."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    spectra: list[SpectrumAnswer]


class ParameterInfo(BaseModel):
    """A parameter of the model of spectra, with the range that a network was trained on."""

    name: str
    unit: str
    low: float
    high: float


class SpectraInfo(ModelInfo):
    """A model of spectra that is served."""

    parameters: list[ParameterInfo]
    components: list[str]
    energy_edges: list[float] = Field(description="keV, the grid that spectra are summed into")
    instrument: str = Field(description="telescope/instrument/filter of the training data")
    exposure_s: list[float] | None = Field(description="trained range of exposures, s")


class SpectraQuery(BaseModel):
    """Query of a request for what a model predicts of spectra."""

    model_config = ConfigDict(extra="forbid")

    response: ResponseChoice = Field(
        "files", description="files, or embedded: the response of `instrument` that needs no files"
    )
    instrument: str = Field(DEFAULT, description="instrument of an embedded response")
    no_background: bool = Field(False, description="leave BACKFILE out")


class ParametersQuery(SpectraQuery):
    """Query of a request for parameters of spectra."""

    components: bool = Field(False, description="also the component spectra")
    refine: bool = Field(
        False,
        description="the exact posterior of each PHA file in place of the network's, and how well "
        "the model explains the spectrum (family posterior; seconds a spectrum); without it, of "
        "the first of those alone whose response, background or band the model was not trained on, "
        "up to 16 and as many as half a minute suffices for",
    )
