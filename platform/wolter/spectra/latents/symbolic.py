"""Symbolic regression of latents: short formulas of band fluxes with a linear link.

A small search: single terms and sums of two, of logarithms of fluxes, of their ratios and sums, and
hardness ratios. Shapes: N source, T term.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from wolter.spectra.latents.dependence import pearson, spearman
from wolter.spectra.latents.sources import Array

FEW = 10  # sources, of which fewer define no formula
BETTER = 0.02  # of |rho|, by which a second term must raise it
_LEAST = 1e-20  # erg/cm^2/s: fainter than any band of a source


@dataclass(frozen=True)
class Term:
    """One term of a formula: its text and its values (N)."""

    text: str
    value_N: Array


@dataclass(frozen=True)
class Formula:
    """A formula a + b t1 (+ c t2) of terms.

    Attributes:
        terms: texts of the terms.
        weights: b (and c).
        constant: a.
    """

    terms: tuple[str, ...]
    weights: tuple[float, ...]
    constant: float

    def __str__(self) -> str:
        """The formula with its numbers."""
        parts = [f"{self.constant:.2f}"]
        for weight, text in zip(self.weights, self.terms, strict=True):
            parts.append(f"{'-' if weight < 0 else '+'} {abs(weight):.2f} {text}")
        return " ".join(parts)

    def of(self, fluxes: Mapping[str, Array]) -> Array:
        """Values (N) of the formula."""
        known = {term.text: term.value_N for term in terms(fluxes)}
        value_N = np.full(len(next(iter(fluxes.values()))), self.constant)
        for weight, text in zip(self.weights, self.terms, strict=True):
            value_N = value_N + weight * known[text]
        return value_N


def terms(fluxes: Mapping[str, Array]) -> tuple[Term, ...]:
    """Terms of band fluxes (N) by band, erg cm^-2 s^-1.

    Args:
        fluxes: of s, m, h (and b, all of them).
    """
    flux = {name: np.maximum(value_N, _LEAST) for name, value_N in fluxes.items()}
    log = {name: np.log10(value_N) for name, value_N in flux.items()}
    found = [Term(f"log F_{name}", value_N) for name, value_N in log.items()]
    for x, y in combinations(reversed(list(flux)), 2):
        found.append(Term(f"log(F_{x}/F_{y})", log[x] - log[y]))
        if "b" not in (x, y):
            ratio = (flux[x] - flux[y]) / (flux[x] + flux[y])
            found.append(Term(f"(F_{x}-F_{y})/(F_{x}+F_{y})", ratio))
    bands = [name for name in flux if name != "b"]
    for z in bands:
        x, y = (name for name in bands if name != z)
        found.append(Term(f"log(F_{x} F_{y}/F_{z}^2)", log[x] + log[y] - 2 * log[z]))
        found.append(Term(f"log((F_{x}+F_{y})/F_{z})", np.log10(flux[x] + flux[y]) - log[z]))
    return tuple(found)


def search(latent_N: Array, fluxes: Mapping[str, Array]) -> Formula | None:
    """The formula of the highest |Pearson| with a latent; None where none is defined.

    A sum of two terms is taken only where it raises |rho| by `BETTER`.

    Args:
        latent_N: of sources to learn from.
        fluxes: band fluxes of these.
    """
    known_N = np.isfinite(latent_N) & np.all([np.isfinite(v) for v in fluxes.values()], axis=0)
    if known_N.sum() < FEW:
        return None
    candidates = terms({name: value_N[known_N] for name, value_N in fluxes.items()})
    target_N = latent_N[known_N]
    usable = [each for each in candidates if np.std(each.value_N) > 0]
    if np.std(target_N) == 0 or not usable:
        return None
    value_TN = np.stack([each.value_N for each in usable])
    corr = np.corrcoef(np.vstack([value_TN, target_N]))
    own_T, between_TT = corr[:-1, -1], corr[:-1, :-1]
    best = int(np.abs(own_T).argmax())
    chosen: tuple[int, ...] = (best,)
    rho = abs(own_T[best])
    for i, j in combinations(range(len(usable)), 2):
        shared = between_TT[i, j]
        if abs(shared) > 0.999:
            continue
        squared = (own_T[i] ** 2 + own_T[j] ** 2 - 2 * own_T[i] * own_T[j] * shared) / (
            1 - shared**2
        )
        pair = float(np.sqrt(np.clip(squared, 0, 1)))
        if pair > rho + (BETTER if len(chosen) == 1 else 0):
            chosen, rho = (i, j), pair
    design = np.column_stack([np.ones(len(target_N)), *(value_TN[i] for i in chosen)])
    weights = np.linalg.lstsq(design, target_N, rcond=None)[0]
    return Formula(
        tuple(usable[i].text for i in chosen),
        tuple(float(weight) for weight in weights[1:]),
        float(weights[0]),
    )


def agreement(
    formula: Formula, latent_N: Array, fluxes: Mapping[str, Array]
) -> tuple[float, float]:
    """|Spearman| and |Pearson| of a formula with a latent, of sources that it has not seen."""
    value_N = formula.of(fluxes)
    return abs(spearman(latent_N, value_N)), abs(pearson(latent_N, value_N))
