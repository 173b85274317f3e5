"""Maximum-likelihood fits of the class models of a population to its spectra.

Every model of a record's class is fitted through the record's own response, and the best one by
Akaike's criterion kept: what somebody gets who knows the class.

Shapes: B trial, C channel, F narrow band, K component, P parameter,
R start.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.spectra import folding
from wolter.spectra.population.class_model import Variant
from wolter.spectra.population.classes import CLASSES
from wolter.spectra.population.config import Thermal
from wolter.spectra.population.thermal import model_of
from wolter.spectra.schema import SpectraBatch
from wolter.xray.emission.expression import PreparedModel
from wolter.xray.stats.fit import Counted, fit

STARTS = 6  # of each model
_MOST = 3.0  # counts of one component over those of the spectrum


@dataclass(frozen=True, eq=False)
class ClassModel:
    """One model of a class on the narrow bands.

    Parameters are the shape parameters of the variant, those of a norm left out, and then the
    counts of each additive component over the spectrum's.

    Attributes:
        variant: its priors, whose bounds are the fit's.
        prepared: the model.
        shapes: names of the shape parameters.
    """

    variant: Variant
    prepared: PreparedModel
    shapes: tuple[str, ...]

    @classmethod
    def of(cls, variant: Variant, thermal: Thermal) -> "ClassModel":
        """Prepare a variant."""
        model = model_of(thermal, variant.model)
        edges = torch.tensor(folding.EDGES_KEV, dtype=torch.float64)
        shapes = tuple(n for n, draw in variant.draws.items() if draw.of == "value")
        return cls(variant, model.on(edges, torch.float64), shapes)

    @property
    def terms(self) -> int:
        """Number of additive components."""
        return len(self.prepared.model.term_names)

    @property
    def bounds_2P(self) -> Tensor:
        """Bounds of the parameters."""
        draws = [self.variant.draws[name] for name in self.shapes]
        low = [*(draw.low for draw in draws), *[0.0] * self.terms]
        high = [*(draw.high for draw in draws), *[_MOST] * self.terms]
        return torch.tensor([low, high], dtype=torch.float64)

    def starts(self, generator: torch.Generator) -> Tensor:
        """Starts (R, P): shapes drawn from the priors, components of random shares."""
        shape_RP = torch.stack(
            [self.variant.draws[name].sample(STARTS, generator) for name in self.shapes], 1
        )
        share_RK = torch.rand(STARTS, self.terms, generator=generator) + 0.1
        return torch.cat([shape_RP, share_RK / share_RK.sum(1, keepdim=True)], 1).double()

    def flux(self, parameters_BP: Tensor) -> Tensor:
        """Photon flux (B, K, F) of each additive component with a norm of 1."""
        model = self.prepared.model
        known = {**model.defaults, **self.variant.fixed}
        values: dict[str, Tensor | float] = dict(known)
        values |= {name: parameters_BP[:, i].double() for i, name in enumerate(self.shapes)}
        for name in model.parameters:
            if name in model.norms:
                values[name] = 1.0
            elif name not in values:  # of the second plasma: those of the first
                values[name] = values[name.rpartition("_")[0]]
        terms = self.prepared.terms(values)
        return torch.stack([each.expand(len(parameters_BP), -1) for each in terms.values()], 1)

    def seen(self, matrix_FC: Tensor, area_F: Tensor, total: float) -> Callable[..., Tensor]:
        """Expected counts (B, C) of parameters through one record's response."""
        seen_FC = (area_F[:, None] * matrix_FC).double()

        def expected(parameters_BP: Tensor, exposure_B: Tensor) -> Tensor:
            del exposure_B  # counts are told in units of the spectrum's
            counts_BKC = self.flux(parameters_BP) @ seen_FC
            shape_BKC = counts_BKC / counts_BKC.sum(2, keepdim=True).clamp_min(1e-30)
            share_BK = parameters_BP[:, len(self.shapes) :].double()
            return total * (share_BK[:, :, None] * shape_BKC).sum(1).to(parameters_BP)

        return expected


@dataclass(frozen=True)
class ClassFit:
    """Best fit of the models of a class to one spectrum.

    Attributes:
        statistic: C-stat.
        free: number of its parameters.
        hard_hs: hardness ratio of the fitted spectrum.
        slope: power-law slope; NaN where the best model has none.
    """

    statistic: float
    free: int
    hard_hs: float
    slope: float


def fit_classes(
    batch: SpectraBatch,
    background_BC: Tensor,
    classes: Sequence[int],
    edges: Tensor,
    thermal: Thermal,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> list[ClassFit]:
    """Fit every spectrum of a batch with the models of its class.

    Args:
        batch: spectra with the columns that fold.
        background_BC: expected background, taken as known.
        classes: index of each spectrum's class.
        edges: of the channels, keV.
        thermal: what stars, YSOs and CVs emit.
        seed: of the starts.
        advance: told of the spectra done.

    Raises:
        InputError: plasma is wanted, and its package is not installed.
    """
    assert batch.folding_area_BF is not None
    assert batch.folding_offsets_BTA is not None
    generator = torch.Generator().manual_seed(seed)
    models = {
        k: [ClassModel.of(each, thermal) for each in CLASSES[k].variants] for k in set(classes)
    }
    found = []
    for b, k in enumerate(classes):
        matrix_FC = folding.matrices(batch.folding_offsets_BTA[b : b + 1], edges)[0]
        if batch.filled_BC is not None:
            matrix_FC = folding.filled(matrix_FC, batch.filled_BC[b])
        area_F = torch.nan_to_num(batch.folding_area_BF[b])
        total = max(1.0, float((batch.counts_BC[b] - background_BC[b]).sum()))
        data = Counted(
            batch.counts_BC[b : b + 1].double(),
            torch.ones(1, dtype=torch.float64),
            background_BC[b : b + 1].double(),
        )
        tried = []  # by Akaike's criterion: one more parameter must lower C-stat by 2
        for model in models[k]:
            expected = model.seen(matrix_FC, area_F, total)
            best = fit(expected, data, model.starts(generator)[None], model.bounds_2P)
            parameters_P, statistic = best.parameters_BP[0], float(best.statistic_B[0])
            told = _told(model, parameters_P, statistic, matrix_FC, area_F)
            tried.append((statistic + 2 * len(parameters_P), told))
        found.append(min(tried, key=lambda each: each[0])[1])
        if advance is not None:
            advance(1)
    return found


def _told(
    model: ClassModel, parameters_P: Tensor, statistic: float, matrix_FC: Tensor, area_F: Tensor
) -> ClassFit:
    """Quantities of a best fit."""
    flux_KF = model.flux(parameters_P[None])[0]
    counts_K = (flux_KF @ (area_F[:, None] * matrix_FC).double()).sum(1)
    share_K = parameters_P[len(model.shapes) :].double()
    flux_F = ((share_K / counts_K.clamp_min(1e-30))[:, None] * flux_KF).sum(0)
    energy_F = folding.bands_kev().double()

    def band(low: float, high: float) -> float:
        inside_F = (energy_F >= low) & (energy_F < high)
        return float((flux_F * energy_F)[inside_F].sum())

    soft, hard = band(0.5, 1.2), band(2.0, 7.0)
    name = model.variant.slope
    return ClassFit(
        statistic=statistic,
        free=len(parameters_P),
        hard_hs=(hard - soft) / max(hard + soft, 1e-300),
        slope=float(parameters_P[model.shapes.index(name)]) if name else float("nan"),
    )
