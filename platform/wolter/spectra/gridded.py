"""Observed spectrum on a model's grid, with the inputs of its likelihood.

Shapes: B batch, C channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from wolter.spectra.gridding import without_areascale
from wolter.spectra.reading import Record, to_record
from wolter.spectra.schema import SpectraSpec
from wolter.xray.spectral.observation import Observation
from wolter.xray.spectral.response import Response, rebin_channels
from wolter.xray.spectral.smoothing import smooth_background


@dataclass(frozen=True, eq=False)
class GriddedObservation:
    """Spectrum on a model's grid, with its response and background.

    Attributes:
        record: what the model reads.
        response: on the model's grid, float32; AREASCAL is in it, and in the record's exposure.
        background_C: expected in the source region.
    """

    record: Record
    response: Response
    background_C: Tensor

    @classmethod
    def of(
        cls, observation: Observation, spec: SpectraSpec, name: str = ""
    ) -> "GriddedObservation":
        """Grid an observation for a model.

        Raises:
            InputError: it has no good channel there.
        """
        record = to_record(observation, spec, name)
        plain = without_areascale(observation)
        return cls(
            record=record,
            response=plain.rebin(spec.energy_edges).response.to(dtype=torch.float32),
            background_C=known_background(plain, spec.energy_edges)[0],
        )

    def save(self, path: Path) -> None:
        """Write all but the record."""
        response = self.response
        tensors = {
            "energy_edges": response.energy_edges_E1,
            "matrix": response.matrix_EC,
            "channel_edges": response.channel_edges_C1,
            "background": self.background_C,
        }
        save_file({name: value.contiguous() for name, value in tensors.items()}, path)

    @classmethod
    def load(cls, path: Path, record: Record) -> "GriddedObservation":
        """Load the observation of a record from the file of `save`."""
        kept = load_file(path)
        response = Response(kept["energy_edges"], kept["matrix"], kept["channel_edges"], 0)
        return cls(record, response, kept["background"])


def known_background(observation: Observation, energy_edges: Sequence[float]) -> Tensor:
    """Background expected in the source region (1, G): the measured one, smoothed."""
    if observation.background is None:
        return torch.zeros(1, len(energy_edges) - 1)
    smooth_C = smooth_background(observation.background.counts_C) * observation.good_C
    scale = observation.background_scale
    if isinstance(scale, Tensor):
        smooth_C, scale = smooth_C * scale, 1.0
    edges_C1 = observation.response.channel_edges_C1
    return (rebin_channels(smooth_C[None], edges_C1, energy_edges) * scale).float()
