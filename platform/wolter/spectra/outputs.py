"""Outputs of families that estimate the parameters of spectra."""

from wolter.outputs import Metric, Output
from wolter.spectra.schema import Parameter, SpectraSpec

ANOMALY = Output("anomaly", "distance from the training spectra, standard deviations")
LIMITS = {  # suffix -> meaning
    "_lolim": "lower end of the 68 % interval",
    "_hilim": "upper end of the 68 % interval",
    "_lolim95": "lower end of the 95 % interval",
    "_hilim95": "upper end of the 95 % interval",
    "_upper": "one-sided 95 % upper limit",
}
ESTIMATE_METRICS = (
    Metric("mfe_percent", "lower", "mean fractional error over parameters", "%", headline=True),
    Metric("squared_error", "lower", "mean squared error in squared widths of the prior"),
)
POSTERIOR_METRICS = (
    Metric("information", "higher", "information gained over the prior", "nat", headline=True),
    Metric("squared_error", "lower", "mean squared error in squared widths of the prior"),
)


CLASS_PREFIX = "p_"


def class_column(name: str) -> str:
    """Column of a class's probability: `p_lm_star` of LM-STAR."""
    return f"{CLASS_PREFIX}{name.lower().replace('-', '_')}"


def estimate_outputs(spec: SpectraSpec, components: bool = False) -> tuple[Output, ...]:
    """Two point estimates of every parameter, `<name>` and `<name>_mfe`, and the anomaly.

    Args:
        spec: spec of the spectra.
        components: also the expected counts of each component.
    """
    counts = Output("components", "expected counts of each component", "count", "KC")
    return (*_estimates(spec), ANOMALY, *((counts,) if components else ()))


def posterior_outputs(spec: SpectraSpec) -> tuple[Output, ...]:
    """Estimates, limits and samples of every parameter, the samples' density, and the anomaly.

    See `wolter.xray.stats.summary.summarise`; the density is that in normal quantiles of the prior
    (`wolter.xray.stats.prior.Prior`).
    """
    limits = (
        _of(parameter, suffix, meaning)
        for parameter in spec.parameters
        for suffix, meaning in LIMITS.items()
    )
    samples = Output("samples", "posterior samples of the parameters", axes="SP")
    density = Output("log_density", "natural logarithm of the density of each sample", axes="S")
    return (*_estimates(spec), *limits, ANOMALY, samples, density)


def _estimates(spec: SpectraSpec) -> tuple[Output, ...]:
    kinds = {"": "estimate of least squared error", "_mfe": "estimate of least fractional error"}
    return tuple(_of(p, suffix, kind) for p in spec.parameters for suffix, kind in kinds.items())


def _of(parameter: Parameter, suffix: str, meaning: str) -> Output:
    return Output(parameter.name + suffix, f"{parameter.name}, {meaning}", parameter.unit)
