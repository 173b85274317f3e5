"""Amortised posterior estimation: normalising flow conditioned on a spectrum.

A gated network reads the spectrum; a normalising flow (neural spline coupling, Durkan et al.
2019), conditioned on it, gives the density of the parameters. Parameters are taken from their prior
to unit normals, so that a parameter that the data do not tell costs the flow nothing; a first
affine step with full covariance carries the narrow widths of those that they tell.

Shapes: A band of the effective area, B batch, C channel, P parameter, S sample.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import zuko
from torch import Tensor, nn

from wolter.family import Choice, Family
from wolter.models._coupling import invert
from wolter.models._spectra import (
    SpectrumFeatures,
    Standardise,
    exposure_factor,
    known_mean,
)
from wolter.spectra.grid import AREA_EDGES
from wolter.spectra.outputs import POSTERIOR_METRICS, posterior_outputs
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.xray.stats.prior import Prior
from wolter.xray.stats.sampling import at_least_wide, even_normals
from wolter.xray.stats.summary import summarise, widths

LOG_SCALE = (-9.0, 3.0)  # range of the logarithm of a posterior's width over the prior's
FARTHEST = 8.0  # deviations: an input beyond is read as this far out, and the answer stays a number


@dataclass(frozen=True)
class Config:
    """Network sizes.

    Attributes:
        width: width of the gated network.
        blocks: blocks of the gated network.
        context: size of the context vector that conditions the flow.
        transforms: coupling layers of the flow.
        hidden: width of each coupling's two hidden layers.
        bins: bins of each spline.
        samples: samples drawn from each posterior for its summary.
    """

    width: int = 384
    blocks: int = 3
    context: int = 64
    transforms: int = 3
    hidden: int = 64
    bins: int = 8
    samples: int = 1000


class Gated(nn.Module):
    """Residual network with gated input injection in every block.

    How a channel moves an estimate depends on the estimate: a step of a fit is such a product of
    weights that follow from the parameters, and of the data. At 100 ks, where estimates are narrow,
    it gains over plain residual blocks of as many weights.
    """

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.gate = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.read = nn.ModuleList(nn.Linear(inputs, width) for _ in range(blocks))
        self.write = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Hidden state (B, `width`) of inputs (B, `inputs`)."""
        hidden = self.first(x)
        for gate, read, write in zip(self.gate, self.read, self.write, strict=True):
            weights = nn.functional.gelu(gate(nn.functional.gelu(hidden)))
            hidden = hidden + write(weights * read(x))
        return nn.functional.gelu(hidden)


class Posterior(nn.Module):
    """Density of the parameters given a spectrum."""

    low_P: Tensor
    width_P: Tensor
    is_norm_P: Tensor
    base_SP: Tensor
    hats_AC: Tensor

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__()
        self.names = spec.names
        low_P, high_P = spec.bounds_2P()
        self.kinds = spec.prior.kinds
        n = len(self.names)
        self.register_buffer("low_P", low_P)
        self.register_buffer("width_P", high_P - low_P)
        self.register_buffer("is_norm_P", spec.scales_with_flux_P())
        self.register_buffer("base_SP", even_normals(config.samples, n), persistent=False)
        self.features = SpectrumFeatures(spec)
        self.area = Standardise(len(AREA_EDGES) - 1)
        self.flux = Standardise(spec.n_channels)
        self.register_buffer("hats_AC", area_hats(spec.energy_edges), persistent=False)
        size = 3 * spec.n_channels + self.features.n_context + len(AREA_EDGES) - 1
        self.network = Gated(size, config.width, config.blocks)
        self.to_context = nn.Linear(config.width, config.context)
        self.to_affine = nn.Linear(config.width, n + n * (n + 1) // 2)
        self.rows, self.columns = zip(
            *itertools.combinations_with_replacement(range(n), 2), strict=True
        )
        self.flow = zuko.flows.NSF(
            features=n,
            context=config.context,
            transforms=config.transforms,
            bins=config.bins,
            passes=2,  # coupling: sampling is as fast as the density
            hidden_features=(config.hidden, config.hidden),
        )

    def learn(self, batch: SpectraBatch) -> None:
        """Set all data-derived state from a sample of the training set."""
        self.features.learn(batch)
        log_area_BA = self._log_area(batch)
        self.area.learn(log_area_BA)
        self.flux.learn(self._log_flux(batch, log_area_BA))

    def _log_area(self, batch: SpectraBatch) -> Tensor:
        """Logarithm of the effective area (B, A); the training set's mean where it is unknown."""
        mean_BA = self.area.mean.expand(len(batch), -1)
        if batch.area_BA is None:
            return mean_BA
        known_BA = batch.area_BA.clamp_min(1e-3).log()
        return torch.where(known_BA.isnan(), mean_BA, known_BA)

    def _log_flux(self, batch: SpectraBatch, log_area_BA: Tensor) -> Tensor:
        """Logarithm of counts over exposure and area (B, C): the same for any filter and region."""
        exposure_B1 = self.features.known_exposure(batch.exposure_B)[:, None]
        return (batch.counts_BC + 0.375).log() - exposure_B1.log() - log_area_BA @ self.hats_AC

    def condition(self, batch: SpectraBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Flow conditioning from spectra: context, mean (B, P) and scale (B, P, P).

        The scale is a lower triangle; a spectrum of unknown effective area is read as one of the
        training set's mean area.
        """
        channels, context = self.features(batch)
        log_area_BA = self._log_area(batch)
        flux_BC = self.flux(self._log_flux(batch, log_area_BA))
        inputs = torch.cat([channels.flatten(1), flux_BC, context, self.area(log_area_BA)], 1)
        hidden = self.network(inputs.clamp(-FARTHEST, FARTHEST))
        n = len(self.names)
        mean_BP, entries = self.to_affine(hidden).float().split([n, n * (n + 1) // 2], 1)
        scale_BPP = mean_BP.new_zeros(len(batch), n, n)
        scale_BPP[:, self.columns, self.rows] = entries
        # In log: widths of a hundredth of the prior's are common.
        diagonal_BP = torch.diagonal(scale_BPP, dim1=1, dim2=2).clamp(*LOG_SCALE)
        scale_BPP = scale_BPP.tril(-1) * diagonal_BP.exp()[..., None] + torch.diag_embed(
            diagonal_BP.exp()
        )
        return self.to_context(hidden).float(), mean_BP, scale_BPP

    def log_density(self, batch: SpectraBatch, parameters_BP: Tensor) -> Tensor:
        """Log density (B) in the space where the prior is a unit normal."""
        context, mean_BP, scale_BPP = self.condition(batch)
        offset_BP1 = (self.prior.normal(parameters_BP) - mean_BP)[..., None]
        y_BP = torch.linalg.solve_triangular(scale_BPP, offset_BP1, upper=False)[..., 0]
        log_scale_B = torch.diagonal(scale_BPP, dim1=1, dim2=2).log().sum(1)
        return cast("Tensor", self.flow(context).log_prob(y_BP)) - log_scale_B

    def norm_factor(self, batch: SpectraBatch) -> Tensor:
        """See `Estimator.norm_factor`."""
        return exposure_factor(self.features, self.is_norm_P, batch)

    @property
    def prior(self) -> Prior:
        """The prior."""
        return Prior(self.low_P, self.low_P + self.width_P, self.kinds)

    @torch.no_grad()
    def sample(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """Posterior samples, the same for the same spectrum always.

        Returns:
            Normal quantiles of the parameters (B, S, P), see `Prior`, and their log density
            (B, S).
        """
        context, mean_BP, scale_BPP = self.condition(batch)
        y_BPS, log_volume_BS = invert(self.flow, context, self.base_SP.T)
        normal_BPS = torch.baddbmm(mean_BP[..., None], scale_BPP, y_BPS)
        log_scale_B = torch.diagonal(scale_BPP, dim1=1, dim2=2).log().sum(1)
        base_S = -0.5 * self.base_SP.square().sum(1)
        base_S = base_S - 0.5 * len(self.names) * math.log(2 * math.pi)
        return normal_BPS.mT, base_S - log_volume_BS - log_scale_B[:, None]


def area_hats(energy_edges: Sequence[float]) -> Tensor:
    """Weights (A, C) that interpolate area bands to channels, linearly in the logarithm of keV."""
    edges_C1, edges_A1 = torch.tensor(energy_edges), torch.tensor(AREA_EDGES)
    at_C = ((edges_C1[1:] + edges_C1[:-1]) / 2).log()
    knots_A = ((edges_A1[1:] + edges_A1[:-1]) / 2).log()
    above_C = torch.searchsorted(knots_A, at_C).clamp(1, len(knots_A) - 1)
    share_C = ((at_C - knots_A[above_C - 1]) / knots_A.diff()[above_C - 1]).clamp(0, 1)
    hats_AC = torch.zeros(len(knots_A), len(at_C))
    hats_AC.scatter_(0, above_C[None], share_C[None])
    hats_AC.scatter_(0, above_C[None] - 1, 1 - share_C[None])
    return hats_AC


def normalise(module: nn.Module, batch: SpectraBatch) -> None:
    """Learn the module's data-derived state from a sample of the training set."""
    cast("Posterior", module).learn(batch)


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean negative log density of the true parameters, nats; 0 for the prior, lower is better.

    Spectra without a label of every parameter within the prior do not count.
    """
    assert batch.parameters_BP is not None, "labels are needed"
    network = cast("Posterior", module)
    low_P, high_P = network.low_P, network.low_P + network.width_P
    label_BP = batch.parameters_BP / network.norm_factor(batch)
    known_B = ((label_BP >= low_P) & (label_BP <= high_P)).all(1)
    label_BP = torch.where(
        known_B[:, None], label_BP, network.prior.at(torch.full_like(low_P, 0.5))
    )
    prior_B = -0.5 * network.prior.normal(label_BP).square().sum(1)
    prior_B = prior_B - 0.5 * len(network.names) * math.log(2 * math.pi)
    gain = known_mean(network.log_density(batch, label_BP) - prior_B, known_B)
    return -gain, {"information": gain.detach()}


def measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Information gained over the prior, nats, and squared error in squared prior widths."""
    assert batch.parameters_BP is not None, "labels are needed"
    network = cast("Posterior", module)
    _, mean_BP, _ = network.condition(batch)
    error_BP = (network.prior.physical(mean_BP) - batch.parameters_BP) / network.width_P
    return {
        "information": loss(module, batch)[1]["information"],
        "squared_error": error_BP.square().mean(),
    }


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Samples, their log density in normal quantiles of the prior, their summary, and `anomaly`.

    See `summarise`.
    """
    network = cast("Posterior", module)
    normal_BSP, log_density_BS = network.sample(batch)
    factor_BP = network.norm_factor(batch)
    samples_BSP = network.prior.physical(normal_BSP) * factor_BP[:, None]
    values = summarise(samples_BSP, network.names)
    prior = network.prior.scaled(factor_BP)
    wide_BSP = at_least_wide(samples_BSP, widths(values, network.names), prior)
    if wide_BSP is not samples_BSP:
        samples_BSP, values = wide_BSP, summarise(wide_BSP, network.names)
    values["anomaly"] = network.features.anomaly(batch.counts_BC)
    return values | {"samples": samples_BSP, "log_density": log_density_BS}


FAMILY = Family(
    name="posterior",
    task="spectra/parameters",
    config=Config,
    build=Posterior,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, spec: posterior_outputs(spec),
    measure=measure,
    metrics=POSTERIOR_METRICS,
    defaults={"optimiser": "muon", "batch_size": 1024, "learning_rate": 2e-3},
    search_space={
        "width": Choice((256, 384, 512)),
        "blocks": Choice((2, 3, 4)),
        "transforms": Choice((3, 4, 6)),
        "hidden": Choice((64, 96, 128)),
        "bins": Choice((6, 8, 12)),
    },
)
