"""Translation of observed spectra to the simulated domain."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from wolter.errors import InputError
from wolter.family import Family
from wolter.spectra.schema import SpectraBatch


@dataclass(frozen=True)
class Translation:
    """Ability of families that translate observed spectra to the simulated domain.

    The family's own `predict` translates first.

    Attributes:
        translate: `(module, batch) -> batch`.
    """

    translate: Callable[[nn.Module, SpectraBatch], SpectraBatch]


@torch.inference_mode()
def translated(family: Family, module: nn.Module, batch: SpectraBatch) -> SpectraBatch:
    """Translate observed spectra to the simulated domain, on their device.

    Raises:
        InputError: the family does not translate.
    """
    translation = family.ability(Translation)
    if translation is None:
        raise InputError(f"{family.name} does not translate spectra; choose a translator")
    device = next(module.parameters()).device
    found = translation.translate(module.eval(), batch.to(device))
    return found.to(batch.counts_BC.device)
