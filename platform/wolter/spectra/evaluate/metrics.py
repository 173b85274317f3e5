"""Errors of estimates on labelled spectra, with bootstrap intervals.

Each metric is given its own estimator: the mean fractional error (MFE) is smallest for the
1/theta-weighted posterior median, the root-mean-square error (RMSE) for the posterior mean.

Shapes: B batch, C channel, K component, M column, N evaluated spectrum, P parameter, R resample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from wolter.errors import InputError
from wolter.report.bootstrap import RESAMPLES, Array, Estimate, bootstrap_means, with_intervals


@dataclass(frozen=True)
class Errors:
    """Errors of one model.

    Attributes:
        mfe_percent: mean |y - yhat| / |y| of each parameter, percent, of the MFE estimator.
        rmse: root of the mean (y - yhat)^2 of each parameter, in its unit, of the mean estimator.
        mean_mfe_percent: the MFE's mean over parameters.
    """

    mfe_percent: dict[str, Estimate]
    rmse: dict[str, Estimate]
    mean_mfe_percent: Estimate


def fractional_error(estimate: Array, truth: Array) -> Array:
    """|y - yhat| / |y| elementwise, in float64."""
    error: Array = np.abs(np.asarray(estimate, float) - truth) / np.abs(np.asarray(truth, float))
    return error


def parameter_errors(
    truth_NP: Array,
    mean_NP: Array,
    median_NP: Array,
    names: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Errors:
    """MFE and RMSE of every parameter.

    Args:
        truth_NP: labels, in the parameters' units.
        mean_NP: estimates that the RMSE judges.
        median_NP: estimates that the MFE judges.
        names: parameter names, in the order of the columns.
        resamples: bootstrap resamples.
        seed: seed of the bootstrap.

    Raises:
        InputError: a label is zero, where the fractional error has no value, or an estimate is
            not finite.
    """
    _check(truth_NP, mean_NP, median_NP, names)
    n_parameters = len(names)
    fractional_NP = 100 * fractional_error(median_NP, truth_NP)
    scale_P = truth_NP.std(0) + np.abs(truth_NP).mean(0)  # keeps squares of 1e-6 well scaled
    squared_NP = ((mean_NP - truth_NP) / scale_P) ** 2
    values_NM = np.concatenate([fractional_NP, squared_NP], 1)
    resampled_RM = bootstrap_means(values_NM, resamples, seed)
    mfe_RP = resampled_RM[:, :n_parameters]
    rmse_RP = np.sqrt(resampled_RM[:, n_parameters:]) * scale_P
    mfe_P = fractional_NP.mean(0)
    rmse_P = np.sqrt(squared_NP.mean(0)) * scale_P
    return Errors(
        mfe_percent={n: with_intervals(mfe_P[i], mfe_RP[:, i]) for i, n in enumerate(names)},
        rmse={n: with_intervals(rmse_P[i], rmse_RP[:, i]) for i, n in enumerate(names)},
        mean_mfe_percent=with_intervals(mfe_P.mean(), mfe_RP.mean(1)),
    )


def _check(truth_NP: Array, mean_NP: Array, median_NP: Array, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        zeros = int((truth_NP[:, i] == 0).sum())
        if zeros:
            raise InputError(
                f"parameter {name}: {zeros} of {len(truth_NP)} labels are 0, where the fractional "
                "error has no value; use a prior that leaves 0 out"
            )
        bad = int((~np.isfinite(mean_NP[:, i]) | ~np.isfinite(median_NP[:, i])).sum())
        if bad:
            raise InputError(
                f"parameter {name}: {bad} of {len(truth_NP)} estimates are not finite; train the "
                "model again, with a lower learning rate"
            )


def mean_mfe_ratio(
    truth_NP: Array,
    median_NP: Array,
    other_NP: Array,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Ratio of two models' mean MFE on the same spectra, first over other, with paired resamples.

    An interval below 1 says that the first model is better.
    """
    values_N2 = np.stack(
        [
            fractional_error(median_NP, truth_NP).mean(1),
            fractional_error(other_NP, truth_NP).mean(1),
        ],
        axis=1,
    )
    resampled_R2 = bootstrap_means(values_N2, resamples, seed)
    first, other = values_N2.mean(0)
    return with_intervals(first / other, resampled_R2[:, 0] / resampled_R2[:, 1])


def excess(
    truth_NP: Array,
    estimates: tuple[Array, Array],
    exact: tuple[Array, Array],
    names: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Ratios of a model's MFE and RMSE to the exact posterior's on the same spectra.

    Args:
        truth_NP: labels.
        estimates: the model's mean and MFE-optimal estimates (N, P) each.
        exact: the exact posterior's.
        names: parameter names.
        resamples: paired bootstrap resamples.
        seed: seed of the bootstrap.

    Returns:
        Ratios of the MFE, then of the RMSE, by parameter.
    """
    scale_P = truth_NP.std(0)
    pairs = [
        (fractional_error(median_NP, truth_NP), ((mean_NP - truth_NP) / scale_P) ** 2)
        for mean_NP, median_NP in (estimates, exact)
    ]
    values_NM = np.concatenate([column for pair in pairs for column in pair], 1)
    means = [values_NM.mean(0)[None], bootstrap_means(values_NM, resamples, seed)]
    ratios = []
    for means_RM in means:
        mfe_RP, squared_RP, exact_mfe_RP, exact_squared_RP = np.split(means_RM, 4, axis=1)
        ratios.append((mfe_RP / exact_mfe_RP, np.sqrt(squared_RP / exact_squared_RP)))
    whole, resampled = ratios
    by_metric = [
        {n: with_intervals(whole[m][0, i], resampled[m][:, i]) for i, n in enumerate(names)}
        for m in range(2)
    ]
    return by_metric[0], by_metric[1]


@dataclass(frozen=True)
class ComponentErrors:
    """Errors of one model's decomposition.

    Attributes:
        relative_percent: mean over spectra of sum_C |m - mhat| / sum_C m of each component,
            percent, where m are its noise-free counts: the share of its counts that is misplaced.
        root: root-mean-square of sqrt(mhat) - sqrt(m) over spectra and channels, in sqrt(counts).
            The Poisson noise of one channel's sqrt(counts) is 0.5.
    """

    relative_percent: dict[str, Estimate]
    root: dict[str, Estimate]


def component_residuals(predicted_BKC: Tensor, true_BKC: Tensor) -> tuple[Tensor, Tensor]:
    """Relative and mean squared root error of the components of each spectrum.

    Args:
        predicted_BKC: counts, not negative.
        true_BKC: noise-free counts, with a positive sum.

    Returns:
        Relative error (B, K), a fraction, and mean over channels of the squared difference of the
        square roots (B, K), in counts.
    """
    relative_BK = (predicted_BKC - true_BKC).abs().sum(2) / true_BKC.sum(2)
    squared_BK = (predicted_BKC.sqrt() - true_BKC.sqrt()).square().mean(2)
    return relative_BK, squared_BK


def component_errors(
    relative_NK: Array,
    squared_NK: Array,
    names: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ComponentErrors:
    """Component errors from the columns that `component_residuals` gave for every spectrum."""
    n_components = len(names)
    values_NM = np.concatenate([100 * relative_NK, squared_NK], 1)
    resampled_RM = bootstrap_means(values_NM, resamples, seed)
    mean_M = values_NM.mean(0)
    relative, root = {}, {}
    for i, name in enumerate(names):
        j = n_components + i
        relative[name] = with_intervals(mean_M[i], resampled_RM[:, i])
        root[name] = with_intervals(np.sqrt(mean_M[j]), np.sqrt(resampled_RM[:, j]))
    return ComponentErrors(relative, root)
