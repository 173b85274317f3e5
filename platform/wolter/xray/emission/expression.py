"""Sums and products of spectral components.

Shape suffixes: B batch, E energy bin, E1 its edges (E + 1).

An expression is kept in one canonical form, a sum of groups, each `product of multiplicative
components x sum of additive components`; so every component is evaluated once, and the flux of
each additive term on its own comes at no extra cost.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from wolter.errors import InputError

Evaluate = Callable[..., Tensor]
"""Parameter columns (B, 1) in the component's order -> values (B, E)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The energy bins that a model is evaluated on.

    Attributes:
        edges_E1: bin edges, keV, ascending, float64.
        dtype: the floating type of the computation.
    """

    edges_E1: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, energy_edges_E1: Tensor, dtype: torch.dtype, device: torch.device | None) -> Self:
        """Check the edges and move them to the device of the computation."""
        edges_E1 = torch.as_tensor(energy_edges_E1).to(device=device, dtype=torch.float64)
        if edges_E1.ndim != 1 or len(edges_E1) < 2 or not bool((edges_E1.diff() > 0).all()):
            raise InputError(
                "energy edges must be one ascending list of at least two energies, keV"
            )
        if not bool(edges_E1[0] > 0):
            raise InputError(
                f"lowest energy edge is {float(edges_E1[0])} keV: models need energies above 0"
            )
        return cls(edges_E1, dtype)

    def cast(self, values: Tensor) -> Tensor:
        """Float64 values of the grid in the type of the computation."""
        return values.to(self.dtype)


@dataclass(frozen=True)
class Quantity:
    """Physical quantity of a component's parameter.

    Attributes:
        unit: unit of the parameter; empty where it has none.
        typical: lower and upper bound of a range that suits most sources; None where none does.
        logarithmic: the range spans orders of magnitude.
    """

    unit: str = ""
    typical: tuple[float, float] | None = None
    logarithmic: bool = False


@dataclass(frozen=True, eq=False)
class Component:
    """One spectral component.

    Attributes:
        name: its name in expressions, XSPEC's where XSPEC has it.
        parameters: default parameter names, in order.
        additive: photons cm^-2 s^-1 per bin if true, else a dimensionless factor.
        prepare: computes all that depends on the energy grid alone, once, and returns the
            function of the parameters.
        defaults: values of parameters that need not be given.
        quantities: units and typical ranges of the parameters, by name.
    """

    name: str
    parameters: tuple[str, ...]
    additive: bool
    prepare: Callable[[Grid], Evaluate]
    defaults: Mapping[str, float] = field(default_factory=dict)
    quantities: Mapping[str, Quantity] = field(default_factory=dict)


_BLOCK = 128
"""Spectra evaluated together on a processor: fewer waste time in small steps."""

Group = tuple[tuple[int, ...], tuple[int, ...]]
"""Indices of (multiplicative, additive) components; the latter are absent from a pure factor."""


@dataclass(frozen=True, eq=False)
class Expression:
    """A model of the emitted spectrum: components joined by `*` and `+`.

    Attributes:
        components: in the order of writing.
        groups: the canonical form, as indices into `components`.
    """

    components: tuple[Component, ...]
    groups: tuple[Group, ...]

    @classmethod
    def single(cls, component: Component) -> Self:
        """The expression that is one component."""
        return cls((component,), (((), (0,)) if component.additive else ((0,), ()),))

    @property
    def additive(self) -> bool:
        """True for models of photon fluxes, False for factors."""
        return bool(self.groups[0][1])

    def __mul__(self, other: "Expression") -> "Expression":
        """Absorb (or otherwise multiply); at most one side may be additive."""
        if self.additive and other.additive:
            raise InputError(
                f"cannot multiply the additive models '{self}' and '{other}'; use '+' between them"
            )
        right = [_shift(group, len(self.components)) for group in other.groups]
        groups = tuple((m1 + m2, a1 + a2) for m1, a1 in self.groups for m2, a2 in right)
        return Expression(self.components + other.components, groups)

    def __add__(self, other: "Expression") -> "Expression":
        """Sum of two additive models."""
        for side in (self, other):
            if not side.additive:
                raise InputError(f"cannot add the multiplicative model '{side}'; use '*' with it")
        groups = list(self.groups)
        for multiplicative, additive in (_shift(g, len(self.components)) for g in other.groups):
            if groups[-1][0] == multiplicative == ():
                groups[-1] = ((), groups[-1][1] + additive)
            else:
                groups.append((multiplicative, additive))
        return Expression(self.components + other.components, tuple(groups))

    @cached_property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Parameter names of each component; a repeated name gets the suffix _2, _3, ..."""
        seen: Counter[str] = Counter()
        return tuple(
            tuple(_numbered(name, seen) for name in component.parameters)
            for component in self.components
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """All parameter names, in order."""
        return tuple(name for names in self.names for name in names)

    @cached_property
    def term_names(self) -> tuple[str, ...]:
        """Name of each additive component, numbered like the parameters."""
        seen: Counter[str] = Counter()
        return tuple(_numbered(self.components[i].name, seen) for _, a in self.groups for i in a)

    @cached_property
    def defaults(self) -> dict[str, float]:
        """Values of the parameters that need not be given."""
        return {
            name: component.defaults[plain]
            for component, names in zip(self.components, self.names, strict=True)
            for plain, name in zip(component.parameters, names, strict=True)
            if plain in component.defaults
        }

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Physical quantity of each parameter."""
        return {
            name: component.quantities.get(plain, Quantity())
            for component, names in zip(self.components, self.names, strict=True)
            for plain, name in zip(component.parameters, names, strict=True)
        }

    @cached_property
    def norms(self) -> frozenset[str]:
        """Parameters that the flux of their component is proportional to: XSPEC's last ones."""
        pairs = zip(self.components, self.names, strict=True)
        return frozenset(names[-1] for component, names in pairs if component.additive)

    def __str__(self) -> str:
        """The model in the language of `parse`."""
        parts = []
        for multiplicative, additive in self.groups:
            factors = " * ".join(self.components[i].name for i in multiplicative)
            terms = " + ".join(self.components[i].name for i in additive)
            if factors and terms:
                terms = f"({terms})" if len(additive) > 1 else terms
                parts.append(f"{factors} * {terms}")
            else:
                parts.append(factors or terms)
        return " + ".join(parts)

    def on(
        self,
        energy_edges_E1: Tensor,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> "PreparedModel":
        """Prepare the model on an energy grid; keep the result to evaluate it many times.

        Args:
            energy_edges_E1: bin edges, keV, ascending and positive.
            dtype: floating type of the computation.
            device: where to compute; default: where the edges are.
        """
        grid = Grid.of(energy_edges_E1, dtype, device)
        return PreparedModel(self, grid, tuple(c.prepare(grid) for c in self.components))

    def __call__(self, energy_edges_E1: Tensor, params: Mapping[str, Tensor | float]) -> Tensor:
        """Photon flux in every bin.

        Args:
            energy_edges_E1: bin edges, keV.
            params: each parameter as one value or one per spectrum (B). Their floating type is
                that of the computation; plain numbers alone are computed in that of the edges.

        Returns:
            flux_BE, photons cm^-2 s^-1 in each bin (B = 1 where all parameters are numbers);
            dimensionless factors for a multiplicative model.
        """
        return self._prepared(energy_edges_E1, params)(params)

    def terms(
        self, energy_edges_E1: Tensor, params: Mapping[str, Tensor | float]
    ) -> dict[str, Tensor]:
        """Photon flux of each additive component times its factors; they sum to the model."""
        return self._prepared(energy_edges_E1, params).terms(params)

    def _prepared(
        self, energy_edges_E1: Tensor, params: Mapping[str, Tensor | float]
    ) -> "PreparedModel":
        given = [p for p in params.values() if isinstance(p, Tensor) and p.is_floating_point()]
        if not given:
            return self.on(energy_edges_E1, energy_edges_E1.dtype)
        dtype = given[0].dtype
        for tensor in given[1:]:
            dtype = torch.promote_types(dtype, tensor.dtype)
        return self.on(energy_edges_E1, dtype, given[0].device)


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A model on one energy grid; made by `Expression.on`."""

    model: Expression
    grid: Grid
    evaluate: tuple[Evaluate, ...]

    def __call__(self, params: Mapping[str, Tensor | float]) -> Tensor:
        """Photon flux in every bin (B, E), photons cm^-2 s^-1; see `Expression.__call__`."""
        columns = self._columns(params)
        n = len(columns[0][0])
        wants_grad = torch.is_grad_enabled() and any(p.requires_grad for c in columns for p in c)
        if n <= _BLOCK or wants_grad:
            return self._total(columns)
        # In blocks of rows, so that the intermediate results stay in the processor's cache.
        flux_BE = columns[0][0].new_empty(n, len(self.grid.edges_E1) - 1)
        for start in range(0, n, _BLOCK):
            rows = slice(start, start + _BLOCK)
            flux_BE[rows] = self._total([[p[rows] for p in c] for c in columns])
        return flux_BE

    def _total(self, columns: Sequence[Sequence[Tensor]]) -> Tensor:
        total_BE: Tensor | None = None
        for multiplicative, additive in self.model.groups:
            group_BE = self._product([columns[i] for i in multiplicative], multiplicative)
            if additive:
                sum_BE = self.evaluate[additive[0]](*columns[additive[0]])
                for i in additive[1:]:
                    sum_BE = sum_BE + self.evaluate[i](*columns[i])
                group_BE = sum_BE if group_BE is None else group_BE * sum_BE
            assert group_BE is not None
            total_BE = group_BE if total_BE is None else total_BE + group_BE
        assert total_BE is not None
        return total_BE

    def terms(self, params: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """Photon flux of each additive component times its factors (B, E)."""
        columns = self._columns(params)
        names = iter(self.model.term_names)
        flux: dict[str, Tensor] = {}
        for multiplicative, additive in self.model.groups:
            factor_BE = self._product([columns[i] for i in multiplicative], multiplicative)
            for i in additive:
                term_BE = self.evaluate[i](*columns[i])
                flux[next(names)] = term_BE if factor_BE is None else term_BE * factor_BE
        return flux

    def _product(
        self, columns: Sequence[Sequence[Tensor]], components: Sequence[int]
    ) -> Tensor | None:
        product_BE: Tensor | None = None
        for i, column in zip(components, columns, strict=True):
            factor_BE = self.evaluate[i](*column)
            product_BE = factor_BE if product_BE is None else product_BE * factor_BE
        return product_BE

    def _columns(self, params: Mapping[str, Tensor | float]) -> list[list[Tensor]]:
        """Parameters of each component as (B, 1) columns of the same B."""
        model = self.model
        values = {**model.defaults, **params}
        unknown = set(values) - set(model.parameters)
        missing = set(model.parameters) - set(values)
        if unknown or missing:
            what = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
            raise InputError(
                f"{what} parameters for '{model}'; it takes {', '.join(model.parameters)}"
            )
        device = self.grid.edges_E1.device
        flat = {
            name: torch.as_tensor(value, dtype=self.grid.dtype, device=device).reshape(-1)
            for name, value in values.items()
        }
        sizes = {name: len(value) for name, value in flat.items() if len(value) != 1}
        if len(set(sizes.values())) > 1:
            raise InputError(f"parameters have different numbers of values: {sizes}")
        n = next(iter(sizes.values()), 1)
        return [[flat[name].expand(n)[:, None] for name in names] for names in model.names]


def _shift(group: Group, by: int) -> Group:
    return tuple(i + by for i in group[0]), tuple(i + by for i in group[1])


def _numbered(name: str, seen: Counter[str]) -> str:
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}_{seen[name]}"
