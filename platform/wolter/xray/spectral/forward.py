"""Forward folding: from model parameters to expected counts.

Shapes: B batch, C channel, E energy, K component, P parameter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.errors import InputError
from wolter.xray.emission.expression import Expression, PreparedModel
from wolter.xray.spectral.response import Response

FOLDED = 128  # spectra folded together: their fluxes stay in a processor's cache


@dataclass(frozen=True, eq=False)
class Forward:
    """Expected counts of an emission model, as a function of its free parameters.

    Attributes:
        model: prepared on the energies of the response.
        response: float32, or float64 for exact work.
        names: names of the free parameters, the columns of `parameters_BP`.
        fixed: values of the other parameters.
    """

    model: PreparedModel
    response: Response
    names: tuple[str, ...]
    fixed: Mapping[str, float]

    @classmethod
    def of(
        cls,
        model: Expression,
        response: Response,
        names: Sequence[str],
        fixed: Mapping[str, float] | None = None,
    ) -> "Forward":
        """Prepare a model on a response, whose precision and device are used throughout.

        Raises:
            InputError: free and fixed parameters do not make up the model.
        """
        fixed = dict(fixed or {})
        _check(model, names, fixed)
        seen = response.seen()
        prepared = model.on(seen.energy_edges_E1, seen.matrix_EC.dtype, seen.matrix_EC.device)
        return cls(prepared, seen, tuple(names), fixed)

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the K additive components."""
        return self.model.model.term_names

    def __call__(
        self,
        parameters_BP: Tensor,
        exposure_B: Tensor | float = 1.0,
        throughput_BE: Tensor | None = None,
    ) -> Tensor:
        """Expected counts of the source; differentiable.

        Args:
            parameters_BP: in the order of `names`.
            exposure_B: s, one number or one a spectrum.
            throughput_BE: factor on the effective area at the energies of `response`.

        Returns:
            Counts (B, C).
        """
        return self._pieces(parameters_BP, exposure_B, throughput_BE, False)[:, 0]

    def terms(
        self,
        parameters_BP: Tensor,
        exposure_B: Tensor | float = 1.0,
        throughput_BE: Tensor | None = None,
    ) -> Tensor:
        """Expected counts of every component (B, K, C); see `__call__`."""
        return self._pieces(parameters_BP, exposure_B, throughput_BE, True)

    def _pieces(
        self,
        parameters_BP: Tensor,
        exposure_B: Tensor | float,
        throughput_BE: Tensor | None,
        terms: bool,
    ) -> Tensor:
        exposure_B = torch.as_tensor(exposure_B, device=parameters_BP.device)
        exposure_B = exposure_B.expand(len(parameters_BP))
        counts = []
        for start in range(0, len(parameters_BP), FOLDED):
            piece = slice(start, start + FOLDED)
            flux_BKE = self._flux(parameters_BP[piece], terms)
            if throughput_BE is not None:
                flux_BKE = flux_BKE * throughput_BE[piece, None]
            counts.append(self.response.fold(flux_BKE, exposure_B[piece, None]))
        return torch.cat(counts)

    def _flux(self, parameters_BP: Tensor, terms: bool) -> Tensor:
        values: dict[str, Tensor | float] = {
            name: parameters_BP[:, i] for i, name in enumerate(self.names)
        }
        values |= self.fixed
        if terms:
            return torch.stack(list(self.model.terms(values).values()), 1)
        return self.model(values)[:, None]


def _check(model: Expression, free: Sequence[str], fixed: Mapping[str, float]) -> None:
    given = {*free, *fixed}
    missing = set(model.parameters) - set(model.defaults) - given
    unknown = given - set(model.parameters)
    twice = set(free) & set(fixed)
    for names, problem in ((missing, "have no value"), (unknown, "are not its"), (twice, "twice")):
        if names:
            raise InputError(
                f"model '{model}': parameters {', '.join(sorted(names))} {problem}; give "
                f"each of {', '.join(model.parameters)} once, free or fixed"
            )
