"""Emulator of forward folding: polynomial interpolation of expected counts within bounds.

Each component's counts are a norm times a smooth function of its few other parameters, which is
expanded in Chebyshev polynomials, as it is or as a logarithm, until it is exact enough.

Shapes: B batch, C channel, J polynomial, K component, N node, P parameter.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.spectral.forward import Forward
from wolter.xray.stats.prior import Prior

_FIRST, _LARGEST = 4, 64  # polynomials of one parameter
_TESTED = 512  # random points that the error is measured at
_FLOOR = 1e-3  # counts below which a logarithm is flattened


@dataclass(frozen=True)
class _Term:
    """One component: its parameters (columns), its norm's column, and its expansion.

    Attributes:
        columns: columns of the expanded parameters.
        norm: column of the norm; None where it is fixed.
        orders: number of polynomials of each parameter.
        coefficient_JC: coefficients of the products of polynomials.
        floor: what a logarithmic expansion was flattened by; None for a linear one.
    """

    columns: tuple[int, ...]
    norm: int | None
    orders: tuple[int, ...]
    coefficient_JC: Tensor
    floor: float | None


class Emulator:
    """Fast approximation of a `Forward` within bounds: `emulator(parameters_BP, exposure_B)`."""

    def __init__(
        self,
        forward: Forward,
        prior: Prior,
        exposure_s: float,
        tolerance: float = 0.02,
    ) -> None:
        """Expand until no channel is wrong by more than a small part of its Poisson noise.

        Args:
            forward: what to stand in for.
            prior: of its parameters: bounds, and which ones are expanded in their logarithm.
            exposure_s: longest exposure that it will be used for.
            tolerance: largest error of a component in a channel, in units of the square root of
                its counts plus 1, at this exposure and the upper bound of its norm.

        Raises:
            InputError: a component is not smooth enough to be expanded.
        """
        self.names, self.components = forward.names, forward.components
        self.prior = prior.to(torch.float64)
        dtype = forward.response.matrix_EC.dtype
        exact = Forward.of(
            forward.model.model,
            forward.response.to(dtype=torch.float64),
            forward.names,
            forward.fixed,
        )
        self.error = 0.0  # the largest that was found, in units of the noise
        self.terms_K: list[_Term] = []
        for k in range(len(self.components)):
            term, error = self._expand(exact, k, exposure_s, tolerance)
            self.error = max(self.error, error)
            self.terms_K.append(
                _Term(
                    term.columns, term.norm, term.orders, term.coefficient_JC.to(dtype), term.floor
                )
            )
        self.dtype = dtype
        self.prior = self.prior.to(dtype)

    def __call__(self, parameters_BP: Tensor, exposure_B: Tensor | float = 1.0) -> Tensor:
        """Expected counts (B, C) of the source; see `Forward.__call__`."""
        total_BC: Tensor | None = None
        for term in self.terms_K:
            counts_BC = self._counts(term, parameters_BP)
            total_BC = counts_BC if total_BC is None else total_BC.add_(counts_BC)
        assert total_BC is not None
        return total_BC.mul_(_column(exposure_B, total_BC))

    def terms(self, parameters_BP: Tensor, exposure_B: Tensor | float = 1.0) -> Tensor:
        """Expected counts of every component (B, K, C)."""
        counts = torch.stack([self._counts(term, parameters_BP) for term in self.terms_K], 1)
        return counts * _column(exposure_B, counts[:, 0])[..., None]

    def _counts(self, term: _Term, parameters_BP: Tensor) -> Tensor:
        basis_BJ = self._basis(term.columns, term.orders, parameters_BP)
        counts_BC = basis_BJ @ term.coefficient_JC
        if term.floor is not None:
            counts_BC = counts_BC.exp_().sub_(term.floor)
        counts_BC = counts_BC.clamp_min_(0)
        return counts_BC if term.norm is None else counts_BC.mul_(parameters_BP[:, term.norm, None])

    def _basis(
        self, columns: Sequence[int], orders: Sequence[int], parameters_BP: Tensor
    ) -> Tensor:
        """Products of the polynomials of each parameter (B, J)."""
        product_BJ = parameters_BP.new_ones(len(parameters_BP), 1)
        position_BP = self.prior.position(parameters_BP)
        for column, order in zip(columns, orders, strict=True):
            x_B = (2 * position_BP[:, column] - 1).clamp(-1, 1)
            angle_B1 = torch.arccos(x_B)[:, None]
            degree_J = torch.arange(order, dtype=x_B.dtype, device=x_B.device)
            polynomial_BJ = torch.cos(angle_B1 * degree_J)
            product_BJ = (product_BJ[:, :, None] * polynomial_BJ[:, None]).flatten(1)
        return product_BJ

    def _expand(
        self, exact: Forward, k: int, exposure_s: float, tolerance: float
    ) -> tuple[_Term, float]:
        columns, norm = _parameters(exact, k)
        scale = exposure_s * (float(self.prior.high_P[norm]) if norm is not None else 1.0)

        def unit(values_NP: Tensor) -> Tensor:
            values_NP = values_NP.clone()
            if norm is not None:
                values_NP[:, norm] = 1.0
            return exact.terms(values_NP)[:, k]

        generator = torch.Generator().manual_seed(k)
        share_NP = torch.rand(_TESTED, len(self.names), generator=generator, dtype=torch.float64)
        tested_NP = self.prior.at(share_NP)
        truth_NC = unit(tested_NP)
        noise_NC = (truth_NC * scale + 1).sqrt()

        def fit(orders: tuple[int, ...], floor: float | None) -> tuple[_Term, float]:
            nodes = [[math.cos(math.pi * (i + 0.5) / n) for i in range(n)] for n in orders]
            product_ND = torch.tensor(list(itertools.product(*nodes)), dtype=torch.float64)
            position_NP = product_ND.new_full((len(product_ND), len(self.names)), 0.5)
            position_NP[:, list(columns)] += product_ND / 2
            at_NP = self.prior.at(position_NP)
            values_NC = unit(at_NP)
            if floor is not None:
                values_NC = (values_NC + floor).log()
            # The polynomials are orthogonal on their nodes.
            basis_NJ = self._basis(columns, orders, at_NP)
            coefficient_JC = basis_NJ.T @ values_NC / (basis_NJ**2).sum(0)[:, None]
            term = _Term(columns, norm, orders, coefficient_JC, floor)
            plain = _Term(columns, None, orders, coefficient_JC, floor)
            error_NC = (self._counts(plain, tested_NP) - truth_NC) * scale / noise_NC
            return term, float(error_NC.abs().max())

        found = []
        for floor in (None, _FLOOR / scale):
            orders = (_FIRST,) * len(columns)
            term, error = fit(orders, floor)
            while error > tolerance and columns:
                # Refine the parameter that gains most.
                tries = [
                    fit(tuple(n + n // 2 if i == d else n for i, n in enumerate(orders)), floor)
                    for d in range(len(columns))
                    if orders[d] <= _LARGEST
                ]
                if not tries:
                    break
                term, error = min(tries, key=lambda pair: pair[1])
                orders = term.orders
            found.append((len(term.coefficient_JC), term, error))
        good = [each for each in found if each[2] <= tolerance]
        if not good:
            names = ", ".join(self.names[c] for c in columns)
            raise InputError(
                f"component {self.components[k]} cannot be interpolated in {names} to "
                f"{tolerance} of the noise; narrow the bounds or use the model itself"
            )
        _, term, error = min(good, key=lambda each: each[0])
        return term, error


def _parameters(forward: Forward, k: int) -> tuple[tuple[int, ...], int | None]:
    """Columns of the free parameters of a component with its factors, and of its norm."""
    model = forward.model.model
    pairs = [(group[0], i) for group in model.groups for i in group[1]]
    factors, own = pairs[k]
    names = list(itertools.chain(*(model.names[i] for i in (*factors, own))))
    # XSPEC's additive models have their norm last.
    norm = model.names[own][-1]
    columns = tuple(forward.names.index(n) for n in names if n in forward.names and n != norm)
    return columns, forward.names.index(norm) if norm in forward.names else None


def _column(exposure_B: Tensor | float, like_BC: Tensor) -> Tensor:
    exposure = torch.as_tensor(exposure_B, dtype=like_BC.dtype, device=like_BC.device)
    return exposure.expand(len(like_BC))[:, None]
