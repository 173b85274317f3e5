"""Simulator of a population of Chandra sources, block by block, in plain torch.

Shapes: B sources, C channel, E photon energy, K component, P parameter, X catalogue feature.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.seeds import seed_of
from wolter.spectra.population import quantities
from wolter.spectra.population.class_model import Variant
from wolter.spectra.population.classes import CLASSES, NAMES
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.detector import Detector
from wolter.spectra.population.emission import Emission, Values
from wolter.spectra.population.observing import Observations, observe
from wolter.spectra.population.selection import Detections, detect, steep_counts
from wolter.spectra.population.thermal import model_of
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.simulator import BLOCK, own_sources

COMPONENTS = ("source",)


@dataclass(frozen=True, eq=False)
class Sources:
    """What a block of sources emits, before anyone observes it.

    Attributes:
        flux_BE: photons cm^-2 s^-1, of any norm.
        class_B: index of the class.
        label_B3: nh, slope and kt.
    """

    flux_BE: Tensor
    class_B: Tensor
    label_B3: Tensor


class PopulationSimulator:
    """Simulator of a population from one configuration."""

    def __init__(self, config: PopulationConfig) -> None:
        """Make responses, backgrounds and models.

        Raises:
            InputError: plasma is wanted, and its package is not installed.
        """
        self.config = config
        model_of(config.thermal, "plasma")  # fails first where the package is missing
        observing = config.observing
        self.detectors = [
            each
            for name in observing.detectors
            for each in Detector.all_of(
                name, observing.years, config.energy_edges, observing.redistributions
            )
        ]
        self.edges_E1 = self.detectors[0].response.energy_edges_E1
        digest = hashlib.sha256()
        for detector in self.detectors:
            assert torch.equal(detector.response.energy_edges_E1, self.edges_E1)
            digest.update(detector.response.sha256().encode())
        self.response_sha256 = digest.hexdigest()
        self.variants: list[tuple[int, Variant]] = [
            (k, variant) for k, each in enumerate(CLASSES) for variant in each.variants
        ]
        self._emissions: list[Emission] | None = None
        self.spec = SpectraSpec(
            energy_edges=config.energy_edges,
            parameters=quantities.PARAMETERS,
            components=COMPONENTS,
            exposure_s=observing.exposure_s,
            classes=NAMES,
            catalogue=quantities.CATALOGUE,
        )

    @property
    def emissions(self) -> Sequence[Emission]:
        """Models of all variants; made where they are first needed, for functions do not travel."""
        if self._emissions is None:
            self._emissions = [
                Emission.of(variant, self.edges_E1, model_of(self.config.thermal, variant.model))
                for _, variant in self.variants
            ]
        return self._emissions

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_emissions": None}

    def sources(self, seed: int, index_B: NDArray[np.int64]) -> Mapping[str, Any]:
        """Columns `source_id` and `split_key` of records: every one is a source of its own."""
        return own_sources("population", seed, index_B)

    def draw(self, seed: int, block: int) -> SpectraBatch:
        """Draw one block of records; it depends on (config, seed, block) alone."""
        generator = torch.Generator().manual_seed(seed_of(seed, block, "population"))
        detector = self.detectors[int(torch.randint(len(self.detectors), (), generator=generator))]
        sources = self._draw_sources(generator)
        observations = observe(self.config.observing, detector, BLOCK, generator)
        return self._record(sources, observations, generator)

    def _draw_sources(self, generator: torch.Generator) -> Sources:
        share_V = torch.tensor(
            [self.config.shares()[k] * variant.share for k, variant in self.variants]
        )
        which_B = torch.multinomial(share_V, BLOCK, replacement=True, generator=generator)
        rows, values = [], []
        for v, emission in enumerate(self.emissions):
            rows_v = (which_B == v).nonzero()[:, 0]
            rows.append(rows_v)
            values.append(emission.draw(len(rows_v), generator))
        return self.emitted(rows, values)

    def emitted(self, rows: Sequence[Tensor], values: Sequence[Values]) -> Sources:
        """Photon fluxes and labels of sources, of which each variant has some rows."""
        n = sum(map(len, rows))
        flux_BE = torch.empty(n, len(self.edges_E1) - 1)
        class_B, label_B3 = torch.empty(n, dtype=torch.long), torch.empty(n, 3)
        pairs = zip(self.variants, self.emissions, rows, values, strict=True)
        for (k, _), emission, rows_v, values_v in pairs:
            if len(rows_v) == 0:
                continue
            flux_BE[rows_v], norms = emission(values_v)
            class_B[rows_v] = k
            label_B3[rows_v] = torch.stack(quantities.labels(emission, values_v, norms), 1)
        return Sources(flux_BE, class_B, label_B3)

    def _record(
        self, sources: Sources, seen: Observations, generator: torch.Generator
    ) -> SpectraBatch:
        config, unit_BC = self.config, seen.expected(sources.flux_BE)
        total_B = unit_BC.sum(1)

        def factors(rows: Tensor) -> Tensor:
            counts = steep_counts(*config.counts, config.counts_slope, len(rows), generator)
            return counts / total_B[rows]

        found = detect(
            unit_BC, seen.background_BC, seen.scale_B, config.significance, factors, generator
        )
        batch = self.batch_of(sources, seen, found, unit_BC * found.factor_B[:, None])
        batch.parameters_BP = self.labels_of(sources, found.factor_B)
        batch.catalogue_BX = self._catalogue(batch, sources.class_B, seen, generator)
        return batch

    def batch_of(
        self, sources: Sources, seen: Observations, found: Detections, expected_BC: Tensor
    ) -> SpectraBatch:
        """Records of detected sources, without labels and catalogue features."""
        n, filled_C = len(expected_BC), seen.detector.filled_C
        return SpectraBatch(
            counts_BC=found.counts_BC,
            background_BC=found.background_BC,
            background_scale_B=seen.scale_B,
            exposure_B=seen.exposure_B,
            expected_BKC=expected_BC[:, None],
            expected_background_BC=seen.background_BC,
            area_BA=seen.area_BA(),
            redistribution_BQA=seen.detector.redistribution_QA.expand(n, -1, -1).clone(),
            folding_area_BF=seen.folding_area_BF(),
            folding_offsets_BTA=seen.detector.offset_TA.expand(n, -1, -1).clone(),
            filled_BC=None if bool(filled_C.isnan().all()) else filled_C.expand(n, -1).clone(),
            class_B=sources.class_B.float(),
        )

    def labels_of(self, sources: Sources, factor_B: Tensor) -> Tensor:
        """Labels (B, P) of sources whose photon fluxes are multiplied by a factor."""
        flux_B4 = quantities.fluxes(sources.flux_BE, self.edges_E1) * factor_B[:, None]
        flux_B4 = flux_B4.clamp(min=quantities.FAINTEST)
        return torch.cat([sources.label_B3, quantities.hardness(flux_B4), flux_B4], 1)

    def _catalogue(
        self,
        batch: SpectraBatch,
        class_B: Tensor,
        seen: Observations,
        generator: torch.Generator,
    ) -> Tensor:
        area_BC = seen.area_BC(self.config.energy_edges)
        flux_B3, error_B3 = quantities.measured_fluxes(
            batch.counts_BC,
            batch.background_BC,
            batch.background_scale_B,
            batch.exposure_B,
            area_BC,
            self.config.energy_edges,
        )
        background_BC = batch.background_BC * batch.background_scale_B[:, None]
        gamma_B, sigma_B = quantities.measured_slopes(
            batch.counts_BC,
            background_BC,
            area_BC,
            seen.detector.power_law_TC,
            seen.detector.area_YC[0],
        )
        net_B = (batch.counts_BC - background_BC).sum(1)
        intra_B, inter_B = quantities.variability(class_B, net_B, generator)
        rest_B4 = torch.stack([gamma_B, sigma_B, intra_B, inter_B], 1)
        return torch.cat([flux_B3.log10(), error_B3.log10(), rest_B4], 1)
