"""Refinement of latents: fitted to the counts of each spectrum, in place of the encoder's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wolter.errors import InputError
from wolter.family import Family
from wolter.spectra.schema import SpectraBatch

REFINED, NOT_CONVERGED = "refined", "not_converged"  # flags


@dataclass(frozen=True)
class Refined:
    """Answers for spectra whose latents were fitted to their counts.

    Attributes:
        values: outputs of `Family.predict` that are others than before.
        fitted_B: false for spectra that were not fitted, for they have no counts.
        converged_B: true where a further step would not change the deviance.
    """

    values: dict[str, Tensor]
    fitted_B: Tensor
    converged_B: Tensor

    def flags(self) -> list[list[str]]:
        """Flags of each spectrum: `refined`, and `not_converged` of a fit that has not."""
        pairs = zip(self.fitted_B.tolist(), self.converged_B.tolist(), strict=True)
        return [[REFINED, *([] if done else [NOT_CONVERGED])] if fit else [] for fit, done in pairs]


@dataclass(frozen=True)
class Refinement:
    """Ability of families whose latents can be fitted to the counts of a spectrum.

    Attributes:
        refine: `(module, batch, values) -> refined`, from what `Family.predict` gave.
    """

    refine: Callable[[nn.Module, SpectraBatch, Mapping[str, Tensor]], Refined]


def check_refines(family: Family) -> None:
    """Check that the latents of a family can be refined.

    Raises:
        InputError: they cannot.
    """
    if family.ability(Refinement) is None:
        raise InputError(f"{family.name} has no latents to refine; leave out --refine")


@torch.inference_mode()
def refined(family: Family, module: nn.Module, batch: SpectraBatch) -> Refined:
    """All outputs of a family for spectra, with their latents fitted, on the batch's device.

    Raises:
        InputError: the family's latents cannot be refined.
    """
    check_refines(family)
    ability = family.ability(Refinement)
    assert ability is not None
    device = next(module.parameters()).device
    on_device = batch.to(device)
    values = family.predict(module.eval(), on_device)
    found = ability.refine(module, on_device, values)
    to = batch.counts_BC.device
    every = {name: value.to(to) for name, value in (values | found.values).items()}
    return Refined(every, found.fitted_B.to(to), found.converged_B.to(to))
