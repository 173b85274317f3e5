"""What the likelihood of an observed spectrum needs, on a model's grid; kept in one file.

Shapes: B batch, C channel.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from wolter.data.records import Record, to_record
from wolter.data.schema import SpectraSpec
from wolter.xray.background import smooth_background
from wolter.xray.forward import Forward
from wolter.xray.response import Response, rebin_channels
from wolter.xray.spectrum import Observation


@dataclass(frozen=True, eq=False)
class Evidence:
    """A spectrum as a model reads it, with the response and background that it was taken with.

    Attributes:
        record: what the model reads.
        response: on the model's grid, float32.
        areascale: AREASCAL, one number or one a channel (C).
        background_C: expected in the source region.
    """

    record: Record
    response: Response
    areascale: Tensor
    background_C: Tensor

    @classmethod
    def of(cls, observation: Observation, spec: SpectraSpec, name: str = "") -> "Evidence":
        """An observation on a model's grid.

        Raises:
            InputError: it has no good channel there.
        """
        record = to_record(observation, spec, name)
        binned = observation.rebin(spec.energy_edges)
        return cls(
            record=record,
            response=binned.response.to(dtype=torch.float32),
            areascale=torch.as_tensor(binned.spectrum.areascale).float(),
            background_C=known_background(observation, binned)[0],
        )

    def save(self, path: Path) -> None:
        """Write all but the record."""
        response = self.response
        tensors = {
            "energy_edges": response.energy_edges_E1,
            "matrix": response.matrix_EC,
            "channel_edges": response.channel_edges_C1,
            "areascale": self.areascale,
            "background": self.background_C,
        }
        save_file({name: value.contiguous() for name, value in tensors.items()}, path)

    @classmethod
    def load(cls, path: Path, record: Record) -> "Evidence":
        """The evidence of a record, as `save` wrote it."""
        kept = load_file(path)
        response = Response(kept["energy_edges"], kept["matrix"], kept["channel_edges"], 0)
        return cls(record, response, kept["areascale"], kept["background"])


@dataclass(frozen=True, eq=False)
class Seen:
    """A forward model whose channels are scaled by the spectrum's AREASCAL."""

    forward: Forward
    areascale: float | Tensor

    def __call__(self, parameters_BP: Tensor, exposure_B: Tensor) -> Tensor:
        """Expected source counts (B, C)."""
        counts_BC = self.forward(parameters_BP, exposure_B)
        return counts_BC * torch.as_tensor(self.areascale).to(counts_BC)

    def terms(self, parameters_BP: Tensor, exposure_B: Tensor) -> Tensor:
        """Expected counts of every component (B, K, C)."""
        counts_BKC = self.forward.terms(parameters_BP, exposure_B)
        return counts_BKC * torch.as_tensor(self.areascale).to(counts_BKC)


def known_background(observation: Observation, binned: Observation) -> Tensor:
    """Background expected in the source region (1, C): the measured one, smoothed."""
    if observation.background is None:
        return torch.zeros(1, binned.response.n_channels)
    smooth_C = smooth_background(observation.background.counts_C) * observation.good_C
    edges_C1, edges_G1 = observation.response.channel_edges_C1, binned.response.channel_edges_C1
    smooth_BG = rebin_channels(smooth_C[None], edges_C1, edges_G1)
    return (smooth_BG * torch.as_tensor(binned.background_scale)).float()
