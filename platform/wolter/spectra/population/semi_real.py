"""Semi-real sources: simulated spectra whose class, band fluxes and counts follow real rows.

For each row many templates of its class are weighted by how well their band fluxes, of any norm,
fit the row's. One is drawn by these weights, and observed for as long as the row's errors say.
Catalogue features are the real row's; counts, and what the spectrum holds beyond three bands, are
simulated.

Shapes: B records, C channel, K class, N rows, T templates, X catalogue feature, 3 bands s, m, h.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wolter.data.seeds import seed_of
from wolter.data.split import name_keys
from wolter.errors import InputError
from wolter.spectra.catalogue_rows.columns import CatalogueRows
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.population.observing import Observations, observe
from wolter.spectra.population.quantities import fluxes
from wolter.spectra.population.rows import counts, features, fit_errors
from wolter.spectra.population.selection import detect
from wolter.spectra.population.simulator import PopulationSimulator, Sources
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import BLOCK

TEMPLATES = 4096  # of each class
EXPOSURE_S = (500.0, 5e6)
"""Exposures that a row's errors are believed to come from, with those of several stacked."""
_WORST_CHI2 = 16.0  # of the best template: all three bands together 4 sigma away
_MARGIN = 0.5  # of the signal-to-noise ratio that noise makes up for
_MOST_BACKGROUND = 0.25  # of the source's counts: the row's errors hold its background already


class SemiRealSimulator:
    """Simulator of spectra that follow the rows of a catalogue, some for each row.

    Attributes:
        rows: the rows that are followed.
        rejects: name of the others, and the reason why they cannot be.
    """

    def __init__(
        self, config: PopulationConfig, rows: CatalogueRows, templates: int = TEMPLATES
    ) -> None:
        """Make templates, and reject the rows that cannot be followed.

        Args:
            config: mix and counts do not matter.
            rows: each of a known class.
            templates: number of templates of each class.

        Raises:
            InputError: plasma is wanted and its package is missing, or no row is left.
        """
        self.population = PopulationSimulator(config)
        self.config = config
        self.rows = rows
        self.rejects: tuple[tuple[str, str], ...] = ()
        self._reject_faint()
        self._make_templates(templates, torch.Generator().manual_seed(seed_of(0, 0, "templates")))
        self._reject_strange()
        self.spec = replace(self.population.spec, exposure_s=EXPOSURE_S)
        self.response_sha256 = self.population.response_sha256

    def _make_templates(self, n: int, generator: torch.Generator) -> None:
        """Draw templates of every class: their variants, quantities and band fluxes."""
        population = self.population
        n_classes = len(population.spec.classes)
        self.flux_KT3 = torch.zeros(n_classes, n, 3)
        self.variant_KT = torch.zeros(n_classes, n, dtype=torch.long)
        self.place_KT = torch.zeros(n_classes, n, dtype=torch.long)
        self.values: list[dict[str, Tensor]] = [{} for _ in population.variants]
        for k in range(n_classes):
            own = [v for v, (of, _) in enumerate(population.variants) if of == k]
            share = torch.tensor([population.variants[v][1].share for v in own])
            pick_T = torch.multinomial(share, n, replacement=True, generator=generator)
            for v, emission in ((v, population.emissions[v]) for v in own):
                at = (pick_T == own.index(v)).nonzero()[:, 0]
                self.values[v] = emission.draw(len(at), generator)
                if len(at):
                    flux_BE, _ = emission(self.values[v])
                    self.flux_KT3[k, at] = fluxes(flux_BE, population.edges_E1)[:, :3]
                self.variant_KT[k, at] = v
                self.place_KT[k, at] = torch.arange(len(at))

    def _reject_faint(self) -> None:
        """Reject rows whose errors leave too few counts."""
        significance = self.config.significance
        least = max(significance - _MARGIN, 0) ** 2
        self._keep(
            counts(self.rows) >= least,
            f"its errors leave fewer than {least:.0f} counts, too few for a signal-to-noise ratio "
            f"of {significance:g}",
        )

    def _reject_strange(self) -> None:
        """Reject rows that no template fits."""
        pieces = np.array_split(np.arange(len(self.rows)), -(-len(self.rows) // BLOCK))
        best_N = np.concatenate([self._fit(piece)[0].min(1).values for piece in pieces])
        self._keep(
            best_N < _WORST_CHI2,
            f"no template of its class has its band fluxes: chi^2 is {_WORST_CHI2:g} or more",
        )

    def _keep(self, good_N: NDArray[np.bool_], reason: str) -> None:
        self.rejects += tuple((str(name), reason) for name in self.rows.name_N[~good_N])
        self.rows = self.rows[good_N]
        if len(self.rows) == 0:
            raise InputError(f"none of the rows can be followed; the last one: {reason}")

    def _fit(self, at_B: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Chi^2 (B, T) of templates of best norm for some rows, and the norms."""
        rows = self.rows[at_B]
        flux_B3, weight_B3 = (
            torch.from_numpy(each) for each in (rows.flux_NB, fit_errors(rows) ** -2)
        )
        chi2_BT = torch.empty(len(rows), self.flux_KT3.shape[1], dtype=torch.float64)
        norm_BT = torch.empty_like(chi2_BT)
        for k in np.unique(rows.class_N):
            own = torch.from_numpy(np.flatnonzero(rows.class_N == k))
            template_T3 = self.flux_KT3[k].double()
            f_B3, w_B3 = flux_B3[own], weight_B3[own]
            square_BT = w_B3 @ (template_T3**2).T
            norm = (f_B3 * w_B3) @ template_T3.T / square_BT
            # The sum of w (f - norm t)^2 at the best norm.
            chi2_BT[own] = (f_B3**2 * w_B3).sum(1, keepdim=True) - norm**2 * square_BT
            norm_BT[own] = norm
        return chi2_BT.clamp(min=0), norm_BT

    def rows_of(self, index_B: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row of each record: all rows in turn, again and again."""
        rows: NDArray[np.int64] = index_B % len(self.rows)
        return rows

    def sources(self, seed: int, index_B: NDArray[np.int64]) -> Mapping[str, Any]:
        """Columns of the source that each record follows, so that splits are by real source."""
        del seed  # real sources are in the same split at every seed
        names = self.rows.name_N[self.rows_of(index_B)]
        return {"source_id": names, "split_key": name_keys(names.tolist())}

    def draw(self, seed: int, block: int) -> SpectraBatch:
        """Draw one block of records; it depends on (config, rows, seed, block) alone."""
        generator = torch.Generator().manual_seed(seed_of(seed, block, "semi-real"))
        at_B = self.rows_of(block * BLOCK + np.arange(BLOCK))
        chi2_BT, norm_BT = self._fit(at_B)
        weight_BT = torch.exp(-(chi2_BT - chi2_BT.min(1, keepdim=True).values) / 2)
        # A template by the inverse of the distribution: quicker than torch.multinomial.
        below_BT = weight_BT.cumsum(1)
        wanted_B1 = torch.rand(BLOCK, 1, generator=generator) * below_BT[:, -1:]
        pick_B1 = torch.searchsorted(below_BT, wanted_B1).clamp(max=weight_BT.shape[1] - 1)
        class_B = torch.from_numpy(self.rows.class_N[at_B])
        sources = self._emitted(class_B, pick_B1[:, 0])
        norm_B1 = norm_BT.gather(1, pick_B1).float()
        sources = replace(sources, flux_BE=sources.flux_BE * norm_B1)
        detectors = self.population.detectors
        detector = detectors[int(torch.randint(len(detectors), (), generator=generator))]
        seen = observe(self.config.observing, detector, BLOCK, generator)
        seen = self._as_long(seen, sources, at_B)
        return self._record(sources, seen, at_B, generator)

    def _emitted(self, class_B: Tensor, pick_B: Tensor) -> Sources:
        """What the picked templates of the classes emit."""
        variant_B, place_B = self.variant_KT[class_B, pick_B], self.place_KT[class_B, pick_B]
        rows, values = [], []
        for v, own in enumerate(self.values):
            rows.append((variant_B == v).nonzero()[:, 0])
            values.append({name: value[place_B[rows[-1]]] for name, value in own.items()})
        return self.population.emitted(rows, values)

    def _as_long(
        self, seen: Observations, sources: Sources, at_B: NDArray[np.int64]
    ) -> Observations:
        """Observations as long as the errors of the rows say."""
        wanted_B = torch.from_numpy(counts(self.rows[at_B])).float()
        per_second = replace(seen, exposure_B=torch.ones(len(at_B)))
        rate_B = per_second.expected(sources.flux_BE).sum(1)
        exposure_B = (wanted_B / rate_B).clamp(*EXPOSURE_S)
        background_BC = seen.background_BC * (exposure_B / seen.exposure_B)[:, None]
        most_B = _MOST_BACKGROUND * rate_B * exposure_B
        factor_B = (most_B / background_BC.sum(1).clamp(min=1e-6)).clamp(max=1.0)
        return replace(seen, exposure_B=exposure_B, background_BC=background_BC * factor_B[:, None])

    def _record(
        self,
        sources: Sources,
        seen: Observations,
        at_B: NDArray[np.int64],
        generator: torch.Generator,
    ) -> SpectraBatch:
        population, unit_BC = self.population, seen.expected(sources.flux_BE)
        found = detect(
            unit_BC,
            seen.background_BC,
            seen.scale_B,
            self.config.significance,
            lambda rows: torch.ones(len(rows)),
            generator,
            longer=True,
        )
        factor_B1 = found.factor_B[:, None]
        seen = replace(
            seen,
            exposure_B=seen.exposure_B * found.factor_B,
            background_BC=seen.background_BC * factor_B1,
        )
        batch = population.batch_of(sources, seen, found, unit_BC * factor_B1)
        batch.parameters_BP = population.labels_of(sources, torch.ones(len(at_B)))
        batch.catalogue_BX = torch.from_numpy(features(self.rows[at_B])).float()
        return batch
