"""Photon spectra of the models of source classes, on one grid of energies.

Shapes: B sources, E photon energy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.spectra.population.class_model import Variant
from wolter.spectra.population.draws import Draw
from wolter.xray.emission.components import parse
from wolter.xray.emission.expression import Expression, PreparedModel

WIDE_KEV = (0.5, 7.0)
"""Band of the unabsorbed fluxes that components are compared in."""
_BLOCK = 256  # sources evaluated together: their fluxes stay in a processor's cache

Values = Mapping[str, Tensor]
"""Value (B) of each drawn quantity, by the name of its parameter."""


@dataclass(frozen=True, eq=False)
class Emission:
    """One model of a class of sources, prepared on photon energies.

    Attributes:
        variant: its priors.
        prepared: the model on the energies.
    """

    variant: Variant
    prepared: PreparedModel

    @classmethod
    def of(
        cls, variant: Variant, energy_edges_E1: Tensor, model: Expression | None = None
    ) -> "Emission":
        """Prepare a model.

        Args:
            variant: which one.
            energy_edges_E1: keV.
            model: what is evaluated in its place, with the same parameters.
        """
        return cls(variant, (model or parse(variant.model)).on(energy_edges_E1, torch.float32))

    @property
    def first_norm(self) -> str:
        """Norm of the first component, to which the others are relative."""
        names, model = self.prepared.model.names, self.prepared.model
        return names[min(i for _, additive in model.groups for i in additive)][-1]

    def draw(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw all quantities of `n` sources."""
        return {name: each.sample(n, generator) for name, each in self.variant.draws.items()}

    def __call__(self, values: Values) -> tuple[Tensor, dict[str, Tensor]]:
        """Photon flux (B, E) where the first component has norm 1, and the norms (B).

        Args:
            values: see `draw`.
        """
        n = len(next(iter(values.values())))
        pieces = [
            self._block({name: value[start : start + _BLOCK] for name, value in values.items()})
            for start in range(0, n, _BLOCK)
        ]
        norms = {name: torch.cat([norm[name] for _, norm in pieces]) for name in pieces[0][1]}
        return torch.cat([flux_BE for flux_BE, _ in pieces]), norms

    def _block(self, values: Values) -> tuple[Tensor, dict[str, Tensor]]:
        model, evaluate = self.prepared.model, self.prepared.evaluate
        edges_E1 = self.prepared.grid.edges_E1
        n = len(next(iter(values.values())))
        known = {**model.defaults, **self.variant.fixed}
        plain = {name: torch.full((n, 1), float(value)) for name, value in known.items()}
        plain |= {name: value[:, None] for name, value in values.items()}
        for name in model.parameters:  # of the second plasma: those of the first
            if name not in plain and name not in model.norms:
                plain[name] = plain[name.rpartition("_")[0]]
        one_B1 = torch.ones(n, 1)
        first_BE: Tensor | None = None
        total_BE: Tensor | None = None
        norms = {}
        for factors, terms in model.groups:
            sum_BE: Tensor | None = None
            for i in terms:
                *shape, norm = model.names[i]
                flux_BE = evaluate[i](*(plain[name] for name in shape), one_B1)
                if first_BE is None:
                    first_BE, norm_B1 = flux_BE, one_B1
                else:
                    draw, drawn_B1 = self.variant.draws[norm], plain[norm]
                    line_B1 = plain[shape[0]]
                    norm_B1 = _norm(draw, drawn_B1, flux_BE, first_BE, edges_E1, line_B1)
                norms[norm] = norm_B1[:, 0]
                term_BE = flux_BE * norm_B1
                sum_BE = term_BE if sum_BE is None else sum_BE + term_BE
            assert sum_BE is not None
            for i in factors:
                sum_BE = sum_BE * evaluate[i](*(plain[name] for name in model.names[i]))
            total_BE = sum_BE if total_BE is None else total_BE + sum_BE
        assert total_BE is not None
        return total_BE, norms


def _norm(
    draw: Draw,
    drawn_B1: Tensor,
    flux_BE: Tensor,
    first_BE: Tensor,
    edges_E1: Tensor,
    line_B1: Tensor,
) -> Tensor:
    """Norm of a component, from what was drawn relative to the first component."""
    if draw.of == "flux":
        wide_2 = (WIDE_KEV,)
        own_B1, other_B1 = (energy_fluxes(each, edges_E1, wide_2) for each in (flux_BE, first_BE))
        return drawn_B1 * other_B1 / own_B1.clamp(min=1e-30)
    if draw.of == "width":
        bin_B1 = torch.searchsorted(edges_E1, line_B1.double()).clamp(1, len(edges_E1) - 1) - 1
        return drawn_B1 * first_BE.gather(1, bin_B1) / edges_E1.diff()[bin_B1].float()
    assert draw.of == "ratio", f"a norm is drawn as '{draw.of}'"
    return drawn_B1


def energy_fluxes(
    flux_BE: Tensor, edges_E1: Tensor, bands_kev: tuple[tuple[float, float], ...]
) -> Tensor:
    """Energy flux in each band (B, bands), keV cm^-2 s^-1; a bin counts where its middle lies."""
    middle_E = (edges_E1[1:] + edges_E1[:-1]) / 2
    weight = [middle_E * ((middle_E >= low) & (middle_E < high)) for low, high in bands_kev]
    return flux_BE @ torch.stack(weight, 1).to(flux_BE)
