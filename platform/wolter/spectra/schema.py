"""Records of spectra: the description of a data set, and the typed batch that families read.

Shapes: A band of the effective area, B batch, C channel, F narrow band of the effective area,
K component, P parameter, Q and T share of a photon's counts, X catalogue feature.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.schema import RecordBatch
from wolter.xray.stats.prior import Prior, PriorKind


@dataclass(frozen=True)
class Parameter:
    """A model parameter and its prior.

    Attributes:
        name: name of the parameter.
        low: lower bound of the prior, in `unit`.
        high: upper bound of the prior, in `unit`.
        unit: unit of the parameter; empty where it has none.
        prior: shape of the prior between the bounds, see `wolter.xray.stats.prior.Prior`.
        scales_with_flux: the counts of a component are proportional to the parameter, as to its
            norm. None: told by a name that ends in "norm", as in records of earlier layouts.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    prior: PriorKind = "uniform"
    scales_with_flux: bool | None = None

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not self.low < self.high:
            raise ValueError(f"parameter {self.name}: low {self.low} is not below high {self.high}")
        if self.prior == "log" and self.low <= 0:
            raise ValueError(f"parameter {self.name}: low {self.low} of a log prior is not above 0")
        if self.scales_with_flux is None:
            object.__setattr__(self, "scales_with_flux", self.name.endswith("norm"))

    def quantiles(self, n: int) -> NDArray[np.float64]:
        """Values (N) in the middles of `n` parts of the prior of equal probability."""
        low_P, high_P = torch.tensor([[self.low], [self.high]], dtype=torch.float64)
        middle_N = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        return Prior(low_P, high_P, (self.prior,)).quantile(middle_N[:, None])[:, 0].numpy()

    @property
    def deviation(self) -> float:
        """Standard deviation of the prior, in `unit`."""
        if self.prior == "uniform":
            return (self.high - self.low) / math.sqrt(12)
        return float(self.quantiles(10_000).std())


@dataclass(frozen=True)
class SpectraSpec:
    """Description of a dataset of spectra for model families; saved in every checkpoint.

    Attributes:
        energy_edges: keV, ascending, the C+1 edges of the grid that counts are summed into.
        parameters: names, priors and units of the P labels; empty for unlabelled data.
        components: names of the K noise-free components; empty where none are stored.
        instrument: "telescope/instrument/filter" of the response; empty where there are several.
        exposure_s: shortest and longest exposure, s; None where not known.
        model: emission model of simulated spectra, in XSPEC's names; empty where there is none.
        fixed: values of its parameters that are not among `parameters`.
        classes: names of the source classes that `class_B` of records counts; empty for none.
        catalogue: names of the catalogue features of `catalogue_BX`; empty for none.
    """

    energy_edges: tuple[float, ...]
    parameters: tuple[Parameter, ...] = ()
    components: tuple[str, ...] = ()
    kind: str = "spectra"
    instrument: str = ""
    exposure_s: tuple[float, float] | None = None
    model: str = ""
    fixed: dict[str, float] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    catalogue: tuple[str, ...] = ()

    @property
    def n_channels(self) -> int:
        """Number of grid channels, C."""
        return len(self.energy_edges) - 1

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names, in the order of the label's columns."""
        return tuple(p.name for p in self.parameters)

    def mismatch(self, other: "SpectraSpec") -> str:
        """Reason why weights cannot be fine-tuned on other spectra; empty if they can."""
        components = {self.components, other.components} - {()}
        if self._bound() == other._bound() and len(components) < 2:
            return ""
        return "reads another energy grid, or estimates other parameters or ranges,"

    def _bound(self) -> tuple[Any, ...]:
        return self.energy_edges, [(p.name, p.low, p.high, p.prior) for p in self.parameters]

    @property
    def prior(self) -> Prior:
        """Prior of the parameters, float32."""
        low_P, high_P = self.bounds_2P()
        return Prior(low_P, high_P, tuple(p.prior for p in self.parameters))

    def scales_with_flux_P(self) -> Tensor:
        """Mask of parameters (P) that are proportional to the counts of a component."""
        return torch.tensor([bool(p.scales_with_flux) for p in self.parameters])

    def bounds_2P(self) -> Tensor:
        """Prior bounds, low row then high row, float32."""
        return torch.tensor([[p.low for p in self.parameters], [p.high for p in self.parameters]])


@dataclass
class SpectraBatch(RecordBatch):
    """A batch of spectra on one grid; float32 tensors.

    Attributes:
        counts_BC: observed counts of source and background.
        background_BC: counts of the background spectrum (zero where there is none).
        background_scale_B: expected background counts in the source region per background count.
        exposure_B: seconds, times AREASCAL: what counts are proportional to.
        parameters_BP: labels; NaN where there is none.
        expected_BKC: noise-free counts of each component; NaN for spectra that have none.
        expected_background_BC: noise-free background counts in the source region, as the background
            spectrum tells them.
        unmodelled_BC: noise-free counts in the source region beyond these two, of a component that
            is none of the labelled ones and of a background that differs from its spectrum (where
            it is fainter they are negative); None where there are none.
        area_BA: effective area in the bands of `wolter.spectra.grid.AREA_EDGES`, cm^2; NaN where it
            is not known.
        observed_B: true for spectra of the sky; None where all are simulated.
        redistribution_BQA: recorded less true energy, keV, of photons of
            `wolter.spectra.grid.PHOTONS_KEV`, at `RECORDED_SHARES` of their counts; NaN where it is
            not known or the response sees no such photon.
        folding_area_BF: effective area in the narrow bands of `wolter.spectra.folding.EDGES_KEV`,
            cm^2; NaN where it is not known.
        folding_offsets_BTA: recorded less true energy, keV, of photons of
            `wolter.spectra.grid.PHOTONS_KEV`, at `wolter.spectra.folding.SHARES` of their counts;
            NaN where it is not known.
        filled_BC: width of the instrument's channels whose counts are in each channel of the grid,
            over the width of that; None or NaN where they nest in it, so that all are near 1.
        class_B: index of the source's class in `SpectraSpec.classes`; NaN where it is not known.
        catalogue_BX: catalogue features of the source, named by `SpectraSpec.catalogue`; NaN where
            there is none.
    """

    counts_BC: Tensor
    background_BC: Tensor
    background_scale_B: Tensor
    exposure_B: Tensor
    parameters_BP: Tensor | None = None
    expected_BKC: Tensor | None = None
    expected_background_BC: Tensor | None = None
    area_BA: Tensor | None = None
    observed_B: Tensor | None = None
    unmodelled_BC: Tensor | None = None
    redistribution_BQA: Tensor | None = None
    folding_area_BF: Tensor | None = None
    folding_offsets_BTA: Tensor | None = None
    filled_BC: Tensor | None = None
    class_B: Tensor | None = None
    catalogue_BX: Tensor | None = None

    @property
    def has_expected(self) -> bool:
        """True if noise-free counts are stored, around which noise can be drawn."""
        return self.expected_BKC is not None

    def redraw(self, generator: torch.Generator) -> Self:
        """Draw fresh Poisson noise around the noise-free counts.

        The draw is the simulation's own, so that every epoch can see new noise.
        """
        assert self.expected_BKC is not None
        assert self.expected_background_BC is not None
        counts_BC, background_BC = poisson_counts(
            self.expected_BKC.sum(1),
            self.expected_background_BC,
            self.background_scale_B,
            generator,
            self.unmodelled_BC,
        )
        return replace(self, counts_BC=counts_BC, background_BC=background_BC)


def poisson_counts(
    source_BC: Tensor,
    background_BC: Tensor,
    scale_B: Tensor,
    generator: torch.Generator,
    unmodelled_BC: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw an observation: counts in the source region and in its background region.

    Args:
        source_BC: expected counts of the source.
        background_BC: expected background counts in the source region.
        scale_B: source-region background per background-region count; 0 where there is no
            background spectrum, whose counts are then zero.
        generator: source of randomness.
        unmodelled_BC: expected counts in the source region beyond those.
    """
    total_BC = source_BC + background_BC
    if unmodelled_BC is not None:
        total_BC = (total_BC + unmodelled_BC).clamp_min_(0)  # differences have rounding errors
    scale_B1 = scale_B[:, None]
    region_BC = torch.where(scale_B1 > 0, background_BC / scale_B1.clamp_min(1e-30), 0.0)
    return (
        torch.poisson(total_BC, generator),
        torch.poisson(region_BC, generator),
    )
