"""Shared parts of point estimators: spectrum features, heads, loss, metrics.

Shapes: B batch, C channel, F feature, K component, P parameter.
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from wolter.models._anomaly import Anomaly, anscombe
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.stats.prior import Prior

N_BANDS = 16  # broad bands of the background spectrum, whose channels hold a few counts each


class Standardise(nn.Module):
    """Shift and scale learnt from data, not by gradient; a constant input becomes zero."""

    mean: Tensor
    inverse: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("inverse", torch.ones(shape))

    def learn(self, sample: Tensor) -> None:
        """Set mean and inverse deviation from a sample with the batch on the first axis."""
        deviation = sample.std(0)
        self.mean.copy_(sample.mean(0))
        self.inverse.copy_(torch.where(deviation > 1e-3, 1 / deviation.clamp_min(1e-3), 0.0))

    def forward(self, values: Tensor) -> Tensor:
        """Standardised values."""
        return (values - self.mean) * self.inverse

    def invert(self, values: Tensor) -> Tensor:
        """Values back in their own units; the mean where the input was constant."""
        scale = torch.where(self.inverse > 0, 1 / self.inverse.clamp_min(1e-6), 0.0)
        return values * scale + self.mean


class SpectrumFeatures(nn.Module):
    """Counts, background and exposure as standardised network inputs, and their anomaly.

    Counts enter twice, as square root and as logarithm: the one has unit noise, in the other a
    change of flux is a shift. The background spectrum enters in broad bands.
    """

    exposure_range_2: Tensor

    def __init__(self, spec: SpectraSpec) -> None:
        super().__init__()
        self.n_channels = spec.n_channels
        self.root = Standardise(spec.n_channels)
        self.logarithm = Standardise(spec.n_channels)
        self.context = Standardise(N_BANDS + 2)
        self.anomaly = Anomaly(spec.n_channels)
        self.register_buffer("exposure_range_2", torch.tensor([0.0, torch.inf]))

    @property
    def n_context(self) -> int:
        """Number of background and exposure features."""
        return N_BANDS + 2

    def _context(self, batch: SpectraBatch, exposure_B: Tensor) -> Tensor:
        bands = nn.functional.adaptive_avg_pool1d(batch.background_BC[:, None], N_BANDS)[:, 0]
        scalars = (exposure_B, batch.background_scale_B.clamp_min(1e-4))
        return torch.cat([anscombe(bands), torch.stack(scalars, 1).log()], 1)

    def learn(self, batch: SpectraBatch) -> None:
        """Set all data-derived state from a sample of the training set."""
        self.root.learn(anscombe(batch.counts_BC))
        self.logarithm.learn(batch.counts_BC.log1p())
        self.context.learn(self._context(batch, batch.exposure_B))
        self.anomaly.learn(batch.counts_BC)
        exposure_B = batch.exposure_B
        self.exposure_range_2.copy_(torch.stack([exposure_B.min(), exposure_B.max()]))

    def known_exposure(self, exposure_B: Tensor) -> Tensor:
        """The trained exposure nearest to each exposure."""
        return exposure_B.clamp(self.exposure_range_2[0], self.exposure_range_2[1])

    def forward(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """Channel features (B, 2, C) and context features (B, `n_context`)."""
        counts_BC = batch.counts_BC
        channels = torch.stack(
            [self.root(anscombe(counts_BC)), self.logarithm(counts_BC.log1p())], 1
        )
        context = self.context(self._context(batch, self.known_exposure(batch.exposure_B)))
        return channels, context


class Convolutions(nn.Sequential):
    """Three strided convolutions with doubling filters: (B, inputs, C) -> (B, `n_outputs`)."""

    def __init__(self, inputs: int, filters: int, n_channels: int) -> None:
        f = filters
        super().__init__(
            nn.Conv1d(inputs, f, 7, stride=2, padding=3),
            nn.GELU(),
            nn.Conv1d(f, 2 * f, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(2 * f, 4 * f, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        length = n_channels
        for _ in range(3):
            length = (length + 1) // 2
        self.n_outputs = 4 * f * length


class Residual(nn.Module):
    """Residual block of two dense layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The input plus the block's correction."""
        return x + cast("Tensor", self.block(x))


class Estimator(nn.Module, ABC):
    """A network that gives two point estimates of every parameter.

    Subclasses set `features` and give `raw(batch)`: (B, 2, P) in units of the prior's range, in the
    logarithm for log-uniform priors, and optionally the square roots of the components.
    """

    low_P: Tensor
    width_P: Tensor
    is_norm_P: Tensor

    def __init__(self, spec: SpectraSpec) -> None:
        super().__init__()
        low_P, high_P = spec.bounds_2P()
        self.names = spec.names
        self.kinds = spec.prior.kinds
        self.features = SpectrumFeatures(spec)
        self.register_buffer("low_P", low_P)
        self.register_buffer("width_P", high_P - low_P)
        self.register_buffer("is_norm_P", spec.scales_with_flux_P())

    @abstractmethod
    def raw(self, batch: SpectraBatch) -> tuple[Tensor, Tensor | None]:
        """Estimates in units of the prior's range, and what `components` makes components of."""

    def components(self, extra: Tensor) -> Tensor:
        """Expected counts (B, K, C) of the components from the raw components of `raw`."""
        return extra

    def learn(self, batch: SpectraBatch) -> None:
        """Set all data-derived state from a sample of the training set."""
        self.features.learn(batch)

    def forward(self, batch: SpectraBatch) -> tuple[Tensor, Tensor, Tensor | None]:
        """RMSE-optimal and MFE-optimal estimates (B, P) each, and the raw components."""
        raw_B2P, extra = self.raw(batch)
        estimate_B2P = self.prior.at(raw_B2P)
        return estimate_B2P[:, 0], estimate_B2P[:, 1], extra

    @property
    def prior(self) -> Prior:
        """The prior."""
        return Prior(self.low_P, self.low_P + self.width_P, self.kinds)

    def norm_factor(self, batch: SpectraBatch) -> Tensor:
        """See `exposure_factor`."""
        return exposure_factor(self.features, self.is_norm_P, batch)


def exposure_factor(features: SpectrumFeatures, is_norm_P: Tensor, batch: SpectraBatch) -> Tensor:
    """Exposure correction (B, P) of estimates: trained over real exposure for norms, else 1.

    A norm times an exposure fixes the counts, so a spectrum exposed outside the trained range is
    read as one of the nearest trained exposure and its norms are scaled back.
    """
    factor_B1 = (features.known_exposure(batch.exposure_B) / batch.exposure_B)[:, None]
    return torch.where(is_norm_P, factor_B1, torch.ones_like(factor_B1))


def normalise(module: nn.Module, batch: SpectraBatch) -> None:
    """Learn the module's data-derived state from a sample of the training set."""
    cast("Estimator", module).learn(batch)


def errors(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Mean squared (in prior widths) and mean fractional error of each parameter, and `extra`.

    The means are over those spectra whose label is known.
    """
    assert batch.parameters_BP is not None, "labels are needed"
    estimator = cast("Estimator", module)
    mean_BP, median_BP, extra = estimator(batch)
    factor_BP = estimator.norm_factor(batch)
    known_BP = ~batch.parameters_BP.isnan()
    truth_BP = torch.where(known_BP, batch.parameters_BP, 1.0)
    squared_BP = ((mean_BP * factor_BP - truth_BP) / estimator.width_P).square()
    fractional_BP = (median_BP * factor_BP - truth_BP).abs() / truth_BP.abs()
    return known_mean(squared_BP, known_BP), known_mean(fractional_BP, known_BP), extra


def known_mean(values: Tensor, known: Tensor) -> Tensor:
    """Masked mean along the first axis; masked values must be finite."""
    return (values * known).sum(0) / known.sum(0)


def loss_and_extra(
    module: nn.Module, batch: SpectraBatch
) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
    """Sum over parameters of the logarithms of both errors, parts to log, and `extra`.

    The logarithm makes the loss free of scales: a parameter known to 1 % and one known to 50 %
    pull alike.
    """
    squared_P, fractional_P, extra = errors(module, batch)
    total = 0.5 * squared_P.log().sum() + fractional_P.log().sum()
    parts = {"squared": squared_P.mean().detach(), "mfe": fractional_P.mean().detach()}
    return total, parts, extra


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of `loss_and_extra`, for families that have no components."""
    total, parts, _ = loss_and_extra(module, batch)
    return total, parts


def measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """MFE in percent and squared error in squared prior widths, by parameter and in the mean."""
    squared_P, fractional_P, _ = errors(module, batch)
    values = {"mfe_percent": 100 * fractional_P.mean(), "squared_error": squared_P.mean()}
    for i, name in enumerate(cast("Estimator", module).names):
        values[f"mfe_percent_{name}"] = 100 * fractional_P[i]
        values[f"squared_error_{name}"] = squared_P[i]
    return values


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Estimates of every parameter within its prior, `<name>` and `<name>_mfe`, and `anomaly`."""
    estimator = cast("Estimator", module)
    mean_BP, median_BP, extra = estimator(batch)
    factor_BP = estimator.norm_factor(batch)
    values: dict[str, Tensor] = {}
    for suffix, estimate_BP in (("", mean_BP), ("_mfe", median_BP)):
        bounded = estimate_BP.clamp(estimator.low_P, estimator.low_P + estimator.width_P)
        for name, column in zip(estimator.names, (bounded * factor_BP).unbind(1), strict=True):
            values[name + suffix] = column
    values["anomaly"] = estimator.features.anomaly(batch.counts_BC)
    if extra is not None:
        values["components"] = estimator.components(extra)
    return values
