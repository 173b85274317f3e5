"""Exact likelihood of simulated spectra, under their own or another model.

Shapes: C channel, M likelihoods computed at once, N parameter vector, P parameter.
"""

from dataclasses import replace

import torch
from torch import Tensor

from wolter import config as configs
from wolter.data.shards import ShardDataset
from wolter.errors import InputError
from wolter.spectra.augment import Augmentation
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.simulator import SimulateConfig, Simulator
from wolter.xray.spectral.emulator import Emulator

_ROWS = 4096  # likelihoods computed at once: their counts stay in the cache


class TrueLikelihood:
    """Exact likelihood of simulated spectra with known background.

    Under an assumed config it is the one of somebody who takes that for the truth: of a response
    without the spectra's gain, or a model without one of their components. The background is then
    what the background spectrum tells, without the counts of `unmodelled_BC`.
    """

    def __init__(
        self, dataset: ShardDataset, batch: SpectraBatch, assumed: SimulateConfig | None = None
    ) -> None:
        """Rebuild the simulator of a dataset.

        Args:
            dataset: that the spectra are of.
            batch: the spectra.
            assumed: take its model and response for the spectra's; what it draws for each
                spectrum (variety, augmentation) is left out.

        Raises:
            InputError: the dataset was not simulated with one response and its components, or the
                assumed config has other parameters or another grid.
        """
        if not dataset.manifest.config.get("prior") or batch.expected_background_BC is None:
            raise InputError(
                f"{dataset.path}: the exact posterior needs a dataset that was simulated with its "
                "components; make one with `wolter simulate spectra`"
            )
        if assumed is None:
            config = configs.from_dict(SimulateConfig, dataset.manifest.config)
            _check_single(dataset, config)
        else:
            _check_same(dataset, assumed)
            config = replace(assumed, variety=ResponseVariation(), augment=Augmentation())
        simulator = Simulator(config)
        self.prior = dataset.spec.prior
        longest = max(float(batch.exposure_B.max()), 1.0)
        self.expected = Emulator(simulator.forward, self.prior, longest)
        self.batch, self.background_BC = batch, batch.expected_background_BC

    def __call__(self, row_N: Tensor, parameters_NP: Tensor) -> Tensor:
        """Log likelihood, less what depends on the counts alone."""
        found = []
        pieces = zip(torch.split(row_N, _ROWS), torch.split(parameters_NP, _ROWS), strict=True)
        for row_M, parameters_MP in pieces:
            expected_MC = self.expected(parameters_MP, self.batch.exposure_B[row_M])
            expected_MC = expected_MC.add_(self.background_BC[row_M]).clamp_min_(1e-20)
            logs_MC = self.batch.counts_BC[row_M] * expected_MC.log()
            found.append((logs_MC - expected_MC).sum(1))
        return torch.cat(found)


def _check_single(dataset: ShardDataset, config: SimulateConfig) -> None:
    if config.variety != ResponseVariation(backgrounds=config.variety.backgrounds):
        raise InputError(
            f"{dataset.path}: its effective areas vary, so that each spectrum would need an "
            "exact posterior of its own response; simulate without --variety"
        )
    if config.augment != Augmentation():
        raise InputError(
            f"{dataset.path}: its spectra are augmented, each in its own way that no record tells; "
            "simulate without --augment, or assume a model"
        )


def _check_same(dataset: ShardDataset, assumed: SimulateConfig) -> None:
    spec = dataset.spec
    if assumed.prior != spec.parameters or assumed.energy_edges != spec.energy_edges:
        raise InputError(
            f"{dataset.path}: its parameters, prior or grid are not those of the assumed model; "
            "simulate both alike"
        )
