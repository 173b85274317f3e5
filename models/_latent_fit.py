"""Latents fitted to the counts of each spectrum, through the decoder and the spectrum's response.

The encoder's latents are its estimate, in one pass. From there the Poisson deviance of the counts
falls by damped Gauss-Newton steps with the Fisher information (Fisher scoring;
Levenberg-Marquardt), and no step that raises it is taken: a fit ends in the minimum near the
encoder's latents, which need not be the lowest. A normal prior of deviation `PRIOR`, ten times
that of the latents of training spectra, keeps latents that the counts say nothing of from running
away.

Shapes: B batch, C channel, F narrow band, L latent.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wolter.models._autoencoder import Autoencoder
from wolter.models._spectrum_decoder import LEAST, deviance, redistributions
from wolter.spectra.folding import Redistributions
from wolter.spectra.schema import SpectraBatch

PRIOR = 10.0
STEPS = 40
LONGEST = 1.0  # change of a latent in a step
TOLERANCE = 0.01  # expected fall of the deviance, below which a fit has converged
DAMPING, LEAST_DAMPING = 0.1, 1e-5  # first and least, in units of the information
EASED, RAISED = 0.3, 4.0  # factors of the damping after a good step, and after one not taken
GOOD = 0.75  # of the expected fall: the parabola holds, and damping may ease
POOR = 0.25  # of the expected fall: it does not


@dataclass(frozen=True)
class Fit:
    """Latents fitted to spectra.

    Attributes:
        latent_BL: where the deviance with the prior is least.
        sigma_BL: their standard deviations by the Fisher information, with the prior.
        expected_BC: expected counts of source and background there.
        converged_B: false where a further step would still lower the deviance.
    """

    latent_BL: Tensor
    sigma_BL: Tensor
    expected_BC: Tensor
    converged_B: Tensor


@dataclass(frozen=True)
class _Spectra:
    """Counts, and what turns latents into expected counts, of spectra."""

    network: Autoencoder
    counts_BC: Tensor
    background_BC: Tensor
    sees_BF: Tensor
    redistributions: Redistributions

    @classmethod
    def of(cls, network: Autoencoder, batch: SpectraBatch) -> Self:
        sees_BF = network.encoder.tokens.area(batch) * batch.exposure_B[:, None]
        _, background_BC = network.background(batch)
        through = redistributions(batch, network.edges_C1)
        return cls(network, batch.counts_BC, background_BC, sees_BF, through)

    def __getitem__(self, rows: Tensor) -> Self:
        return type(self)(
            self.network,
            self.counts_BC[rows],
            self.background_BC[rows],
            self.sees_BF[rows],
            self.redistributions[rows],
        )

    def at(self, latent_BL: Tensor) -> "_Point":
        """Expected counts at some latents, with their derivatives."""
        decoder, log_flux_B = self.network.decoder, self.network.log_flux(latent_BL)
        flux_BF = decoder(latent_BL, log_flux_B)
        log_slope_BLF = decoder.log_slopes(latent_BL)
        log_slope_BLF[:, 0] += self.network.log_flux_2[1]
        slope_LBF = flux_BF * log_slope_BLF.transpose(0, 1)
        both = self.redistributions(torch.cat([flux_BF[None], slope_LBF]) * self.sees_BF)
        expected_BC = (both[0] + self.background_BC).clamp_min(LEAST)
        objective_B = deviance(self.counts_BC.double(), expected_BC.double())
        objective_B = objective_B + (latent_BL.double() / PRIOR).square().sum(1)
        return _Point(latent_BL, expected_BC, both[1:].transpose(0, 1), objective_B)

    def slopes(self, point: "_Point") -> tuple[Tensor, Tensor]:
        """Half the objective's gradient (B, L), and the Fisher information with the prior."""
        excess_BC = 1 - self.counts_BC / point.expected_BC
        gradient_BL = (point.slope_BLC @ excess_BC[..., None])[..., 0]
        gradient_BL = gradient_BL + point.latent_BL / PRIOR**2
        scaled_BLC = point.slope_BLC / point.expected_BC.sqrt()[:, None]
        information_BLL = scaled_BLC @ scaled_BLC.mT
        units_LL = torch.eye(gradient_BL.shape[1]).to(gradient_BL)
        return gradient_BL, information_BLL + units_LL / PRIOR**2


@dataclass
class _Point:
    """Latents of spectra, their expected counts, the derivatives of these, and the objective."""

    latent_BL: Tensor
    expected_BC: Tensor
    slope_BLC: Tensor
    objective_B: Tensor

    def __getitem__(self, rows: Tensor) -> "_Point":
        return _Point(
            self.latent_BL[rows],
            self.expected_BC[rows],
            self.slope_BLC[rows],
            self.objective_B[rows],
        )

    def put(self, rows: Tensor, other: "_Point") -> None:
        """Set some of the spectra."""
        for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[rows] = theirs


def fit_latents(network: Autoencoder, batch: SpectraBatch, start_BL: Tensor) -> Fit:
    """Fit the latents of spectra to their counts.

    Args:
        network: trained.
        batch: the spectra.
        start_BL: latents to begin with; the deviance with the prior is nowhere above theirs.
    """
    spectra = _Spectra.of(network, batch)
    point = spectra.at(start_BL.clone())
    damping_B = start_BL.new_full((len(batch),), DAMPING)
    left = torch.arange(len(batch), device=start_BL.device)
    for _ in range(STEPS):
        gradient_BL, information_BLL = spectra[left].slopes(point[left])
        newton_BL = torch.linalg.solve(information_BLL, gradient_BL)
        open_B = (gradient_BL * newton_BL).sum(1) > TOLERANCE
        left = left[open_B]
        if not len(left):
            break
        step_BL, hoped_B = _step(gradient_BL[open_B], information_BLL[open_B], damping_B[left])
        then = spectra[left].at(point.latent_BL[left] + step_BL)
        fall_B = point.objective_B[left] - then.objective_B
        better_B = fall_B >= 0
        point.put(left[better_B], then[better_B])
        share_B = fall_B / hoped_B.clamp_min(1e-9)
        factor_B = torch.where(share_B > GOOD, EASED, torch.where(share_B < POOR, RAISED, 1.0))
        damping_B[left] = (damping_B[left] * factor_B).clamp_min(LEAST_DAMPING).to(damping_B)
    _, information_BLL = spectra.slopes(point)
    sigma_BL = torch.linalg.inv(information_BLL).diagonal(dim1=1, dim2=2).sqrt()
    converged_B = torch.ones(len(batch), dtype=torch.bool, device=start_BL.device)
    converged_B[left] = False
    return Fit(point.latent_BL, sigma_BL, point.expected_BC, converged_B)


def _step(gradient_BL: Tensor, information_BLL: Tensor, damping_B: Tensor) -> tuple[Tensor, Tensor]:
    """Step of the latents (B, L), and the fall of the objective that it should bring (B)."""
    metric_BL = information_BLL.diagonal(dim1=1, dim2=2)
    damped_BLL = information_BLL + torch.diag_embed(damping_B[:, None] * metric_BL)
    step_BL = -torch.linalg.solve(damped_BLL, gradient_BL)
    step_BL = step_BL * (LONGEST / step_BL.abs().amax(1, keepdim=True).clamp_min(LONGEST))
    bend_B = ((information_BLL @ step_BL[..., None])[..., 0] * step_BL).sum(1)
    return step_BL, -2 * (gradient_BL * step_BL).sum(1) - bend_B
