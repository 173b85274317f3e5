"""Comparison of models with the exact posterior of simulated spectra.

Shapes: N evaluated spectrum, P parameter, S sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.batches import read_split
from wolter.data.shards import ShardDataset
from wolter.registry.checkpoint import Model
from wolter.report.bootstrap import RESAMPLES, Estimate
from wolter.spectra.evaluate.calibration import Calibration, ranks
from wolter.spectra.evaluate.inference import check_compatible
from wolter.spectra.evaluate.metrics import Errors, excess, parameter_errors
from wolter.spectra.evaluate.true_likelihood import TrueLikelihood
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import SimulateConfig
from wolter.xray.stats.sampling import Refined, Sampler, refine
from wolter.xray.stats.summary import summarise

Array = NDArray[np.float64]
TOGETHER = 50  # spectra sampled at once
ASSUMED = "exact posterior of the assumed model"


@dataclass(frozen=True)
class Row:
    """Results of one method in a comparison with exact posteriors.

    Attributes:
        label: names the method.
        errors: errors of its estimates.
        excess_mfe: its MFE over the exact posterior's, by parameter.
        excess_rmse: its RMSE over the exact posterior's.
        calibration: calibration of its intervals; None where it gives point estimates alone.
        effective: median effective share of the samples behind a refined posterior.
        shift_P: median distance of its mean from the exact one, in exact standard deviations.
        width_P: median ratio of its standard deviation to the exact one.
    """

    label: str
    errors: Errors
    excess_mfe: dict[str, Estimate]
    excess_rmse: dict[str, Estimate]
    calibration: Calibration | None = None
    effective: float | None = None
    shift_P: Array | None = None
    width_P: Array | None = None


@dataclass(frozen=True)
class Comparison:
    """Comparison of models with the exact posterior of the same spectra.

    Attributes:
        n: number of spectra.
        names: names of the parameters.
        exact: the exact posterior's own row, whose excess is 1.
        rows: results of the models, and of refined posteriors.
        r_hat: the largest median of Gelman & Rubin's ratio over the parameters.
    """

    n: int
    names: tuple[str, ...]
    exact: Row
    rows: tuple[Row, ...]
    r_hat: float


@dataclass(frozen=True)
class _Posterior:
    """Samples with equal weights where `weights_NS` is None."""

    samples_NSP: Tensor
    weights_NS: Tensor | None = None

    def moments(self) -> tuple[Array, Array]:
        n = self.samples_NSP.shape[1]
        weights = 1 / n if self.weights_NS is None else self.weights_NS[..., None]
        mean_NP = (self.samples_NSP * weights).sum(1)
        variance_NP = ((self.samples_NSP - mean_NP[:, None]).square() * weights).sum(1)
        return mean_NP.double().numpy(), variance_NP.sqrt().double().numpy()


def compare(
    models: Sequence[Model],
    labels: Sequence[str],
    dataset: ShardDataset,
    split: str,
    n: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    assumed: SimulateConfig | None = None,
    refined: bool = True,
) -> Comparison:
    """Sample the exact posteriors of the first `n` spectra, and compare models with them.

    Args:
        models: loaded, with the dataset's parameters.
        labels: labels of the models.
        dataset: simulated with components and one response.
        split: split of the dataset.
        n: how many spectra.
        resamples: bootstrap resamples.
        seed: seed of the sampler and the bootstrap.
        progress: called with the number of spectra that were sampled.
        assumed: what somebody who does not know how the spectra were made takes for it; its exact
            posterior gets a row, and posteriors are refined with its likelihood.
        refined: give posteriors a second row, refined: slow where the likelihood disagrees with
            them.

    Raises:
        InputError: the dataset, a model or what is assumed does not fit.
    """
    for model in models:
        check_compatible(model, dataset)
    batch = read_split(dataset, split, n)
    truth = TrueLikelihood(dataset, batch)
    exact, r_hat = _sample(truth, len(batch), seed, progress)
    judge = _Judge(dataset.spec.names, batch, exact, resamples, seed)
    rows = []
    likelihood = truth
    if assumed is not None:
        likelihood = TrueLikelihood(dataset, batch, assumed)
        other, _ = _sample(likelihood, len(batch), seed, progress)
        estimates = _estimates(summarise(other.samples_NSP, judge.names), judge.names)
        rows.append(judge.row(ASSUMED, estimates, other))
    for model, label in zip(models, labels, strict=True):
        values = _predict(model, batch)
        samples_NSP = values.get("samples")
        own = None if samples_NSP is None else _Posterior(samples_NSP)
        rows.append(judge.row(label, _estimates(values, dataset.spec.names), own))
        if samples_NSP is not None and refined:
            fine = _refined(likelihood, samples_NSP, values["log_density"], seed)
            own = _Posterior(fine.parameters_BSP, fine.weights_BS)
            summary = summarise(fine.parameters_BSP, dataset.spec.names, fine.weights_BS)
            estimates = _estimates(summary, dataset.spec.names)
            effective = float(fine.share_B.median())
            rows.append(judge.row(f"{label} refined", estimates, own, effective))
    return Comparison(
        n=len(batch),
        names=dataset.spec.names,
        exact=judge.row("exact posterior", judge.estimates, exact),
        rows=tuple(rows),
        r_hat=r_hat,
    )


def _sample(
    truth: TrueLikelihood, n: int, seed: int, progress: Callable[[int], None] | None
) -> tuple[_Posterior, float]:
    """Exact posteriors, and the largest median of Gelman & Rubin's ratio."""
    sampler = Sampler(truth, truth.prior, seed=seed)
    kept, r_hat = [], []
    for rows_B in torch.split(torch.arange(n), TOGETHER):
        found = sampler.run(rows_B)
        kept.append(found.parameters_BSP)
        r_hat.append(found.r_hat_BP)
        if progress is not None:
            progress(len(rows_B))
    return _Posterior(torch.cat(kept)), float(torch.cat(r_hat).median(0).values.max())


def _refined(
    truth: TrueLikelihood, samples_NSP: Tensor, log_density_NS: Tensor, seed: int
) -> Refined:
    sampler = Sampler(truth, truth.prior, seed=seed + 1)
    pieces = torch.split(torch.arange(len(samples_NSP)), TOGETHER)
    return Refined.joined(
        [refine(sampler, rows, samples_NSP[rows], log_density_NS[rows]) for rows in pieces]
    )


class _Judge:
    """Errors and calibration against one set of spectra and their exact posteriors."""

    def __init__(
        self,
        names: tuple[str, ...],
        batch: SpectraBatch,
        exact: _Posterior,
        resamples: int,
        seed: int,
    ) -> None:
        assert batch.parameters_BP is not None
        self.names, self.resamples, self.seed = names, resamples, seed
        self.truth_NP = batch.parameters_BP.double().numpy()
        self.estimates = _estimates(summarise(exact.samples_NSP, names), names)
        self.mean_NP, self.deviation_NP = exact.moments()

    def row(
        self,
        label: str,
        estimates: tuple[Array, Array],
        posterior: _Posterior | None,
        effective: float | None = None,
    ) -> Row:
        truth_NP, names, options = self.truth_NP, self.names, (self.resamples, self.seed)
        mfe, rmse = excess(truth_NP, estimates, self.estimates, names, *options)
        errors = parameter_errors(truth_NP, estimates[0], estimates[1], names, *options)
        if posterior is None:
            return Row(label, errors, mfe, rmse)
        weights = None if posterior.weights_NS is None else posterior.weights_NS.numpy()
        ranks_NP = ranks(posterior.samples_NSP.numpy(), self.truth_NP, weights)
        n_samples = posterior.samples_NSP.shape[1]
        mean_NP, deviation_NP = posterior.moments()
        return Row(
            label,
            errors,
            mfe,
            rmse,
            calibration=Calibration(self.names, ranks_NP, n_samples),
            effective=effective,
            shift_P=np.median(np.abs(mean_NP - self.mean_NP) / self.deviation_NP, 0),
            width_P=np.median(deviation_NP / self.deviation_NP, 0),
        )


@torch.inference_mode()
def _predict(model: Model, batch: SpectraBatch) -> dict[str, Tensor]:
    """Predict a batch in pieces."""
    device = next(model.module.parameters()).device
    model.module.eval()
    parts = [model.family.predict(model.module, piece.to(device)) for piece in batch.split(256)]
    return {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}


def _estimates(values: dict[str, Tensor], names: Sequence[str]) -> tuple[Array, Array]:
    mean_NP = torch.stack([values[name] for name in names], 1)
    median_NP = torch.stack([values.get(f"{name}_mfe", values[name]) for name in names], 1)
    return mean_NP.double().numpy(), median_NP.double().numpy()
