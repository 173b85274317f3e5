"""Translator: a CycleGAN between observed and simulated spectra, and an estimator behind it.

Two generators carry counts from one domain to the other, two critics tell what they made from what
belongs there, and a spectrum that goes there and back must stay as it was (Zhu et al. 2017). No
pairs of spectra are needed, only that both domains hold like sources. A generator does what a
response and a background do: it multiplies counts by a smooth function of energy, hands shares of
them to the neighbouring channels, and adds some. It does nearly the same to all spectra, since a
critic cannot tell a response from a population. For the same reason there is no loss that leaves a
spectrum of a generator's own target as it is: no single spectrum tells its domain.

The estimator learns from simulated spectra, and from those that went to the observed domain and
back; it answers for observed ones once they are translated, and so can any other family.

Shapes: B batch, C channel, K knot, P parameter.
"""

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family, Range
from wolter.models import _spectra
from wolter.models._anomaly import anscombe
from wolter.models._critics import fixed_score, scored_with_slope
from wolter.models._spectra import Estimator, loss_and_extra, measure, normalise
from wolter.spectra.outputs import ESTIMATE_METRICS, estimate_outputs
from wolter.spectra.schema import SpectraBatch, SpectraSpec
from wolter.spectra.translation import Translation


@dataclass(frozen=True)
class Config:
    """Network sizes and the weights of the losses.

    Attributes:
        width: width of the hidden layers of generators and critics.
        knots: knots of a generator's smooth correction functions, at most one a channel.
        estimator: width of the estimator's three hidden layers.
        adversarial: weight of the generators' adversarial loss.
        cycle: weight of the cycle-consistency loss: change of a spectrum there and back, in
            squared standard deviations of Poisson noise.
        own: weight of the mean square of spectrum-specific corrections. A response is the same for
            all spectra, and sources of different parameters must stay different.
        penalty: weight of the critics' squared gradient at real spectra (Mescheder et al. 2018),
            without which they and the generators chase each other.
        blur: noise added to the critics' input, in standard deviations of Poisson noise: translated
            counts are fractional, which would give them away.
    """

    width: int = 128
    knots: int = 64
    estimator: int = 256
    adversarial: float = 1.0
    cycle: float = 1.0
    own: float = 100.0
    penalty: float = 5.0
    blur: float = 0.5


class Generator(nn.Module):
    """Generator of counts in the other domain, initially near the identity."""

    hats_KC: Tensor

    def __init__(self, n_channels: int, width: int, knots: int) -> None:
        super().__init__()
        self.common_3K = nn.Parameter(torch.zeros(3, knots))
        self.own = nn.Sequential(
            nn.Linear(n_channels, width), nn.GELU(), nn.Linear(width, 3 * knots)
        )
        with torch.no_grad():
            for weights in self.own[-1].parameters():
                weights.mul_(0.01)
        position_C = torch.linspace(0, knots - 1, n_channels)
        hats_KC = (1 - (position_C - torch.arange(knots)[:, None]).abs()).clamp_min(0)
        self.register_buffer("hats_KC", hats_KC, persistent=False)

    def forward(
        self, view_BC: Tensor, counts_BC: Tensor, usual_BC: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Translate.

        Args:
            view_BC: what the network sees of the spectra.
            counts_BC: their counts.
            usual_BC: mean counts of the simulated domain at their exposures.

        Returns:
            Counts (B, C) in the other domain, and the mean square of the spectra's own part of the
            correction (scalar).
        """
        own_B3K = self.own(view_BC).float().unflatten(1, (3, -1))
        curves_B3C = (self.common_3K + own_B3K).tanh() @ self.hats_KC
        factor_BC, moved_BC, added_BC = curves_B3C.unbind(1)
        counts_BC = counts_BC * factor_BC.exp()
        # No channel gives away more than half of its counts, and the outermost give none outwards.
        up_BC = 0.5 * moved_BC.clamp_min(0) * counts_BC
        down_BC = -0.5 * moved_BC.clamp_max(0) * counts_BC
        net_BC = up_BC[:, :-1] - down_BC[:, 1:]  # through the edges between channels
        pad = nn.functional.pad
        counts_BC = counts_BC + pad(net_BC, (1, 0)) - pad(net_BC, (0, 1))
        return (counts_BC + added_BC * usual_BC).clamp_min(0), own_B3K.square().mean()


class Critic(nn.Sequential):
    """Scores spectra: 1 for those that belong to its domain."""

    def __init__(self, n_channels: int, width: int) -> None:
        super().__init__(
            nn.Linear(n_channels, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, 1),
        )


class Translator(Estimator):
    """Generators, critics and estimator."""

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__(spec)
        c, n = config, spec.n_channels
        self.config = config
        knots = min(c.knots, n)
        self.to_observed, self.to_simulated = (Generator(n, c.width, knots) for _ in range(2))
        self.observed_critic, self.simulated_critic = Critic(n, c.width), Critic(n, c.width)
        self.estimator = nn.Sequential(
            nn.Linear(2 * n + self.features.n_context, c.estimator),
            nn.GELU(),
            nn.Linear(c.estimator, c.estimator),
            nn.GELU(),
            nn.Linear(c.estimator, c.estimator),
            nn.GELU(),
            nn.Linear(c.estimator, 2 * len(spec.names)),
        )

    def raw(self, batch: SpectraBatch) -> tuple[Tensor, None]:
        """See `Estimator`; for spectra of the simulated domain."""
        channels, context = self.features(batch)
        output = self.estimator(torch.cat([channels.flatten(1), context], 1))
        return output.unflatten(1, (2, -1)), None

    def view(self, batch: SpectraBatch) -> Tensor:
        """Standardised roots of the counts (B, C) of a trained exposure."""
        view_BC: Tensor = self.features.root(anscombe(batch.counts_BC * self.share(batch)))
        return view_BC

    def share(self, batch: SpectraBatch) -> Tensor:
        """Exposure ratio (B, 1): trained over real."""
        exposure_B = batch.exposure_B
        return (self.features.known_exposure(exposure_B) / exposure_B)[:, None]

    def carry(self, batch: SpectraBatch, generator: Generator) -> tuple[SpectraBatch, Tensor]:
        """Apply a generator; returns spectra, and the mean square of their own corrections."""
        usual_C = (self.features.root.mean / 2).square()
        counts_BC, own = generator(self.view(batch), batch.counts_BC, usual_C / self.share(batch))
        return replace(batch, counts_BC=counts_BC), own

    def blurred(self, batch: SpectraBatch) -> Tensor:
        """Critic input: blurred spectra (B, C)."""
        view_BC = self.view(batch)
        return view_BC + self.config.blur * self.features.root.inverse * torch.randn_like(view_BC)


def translate(module: nn.Module, batch: SpectraBatch) -> SpectraBatch:
    """Translate observed spectra to the simulated domain; counts become fractional."""
    translator = cast("Translator", module)
    return translator.carry(batch, translator.to_simulated)[0]


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of the losses of estimator, generators and critics.

    Each is detached from what it must not move: generators see critics of fixed weights, critics
    and estimator see spectra that are given. Without observed rows, every other row is taken for
    one.
    """
    translator = cast("Translator", module)
    config = translator.config
    simulated, observed = _domains(batch)
    to_observed, to_simulated = translator.to_observed, translator.to_simulated
    there, own_there = translator.carry(simulated, to_observed)
    here, own_here = translator.carry(observed, to_simulated)
    back, _ = translator.carry(there, to_simulated)
    again, _ = translator.carry(here, to_observed)
    cycle, own = _change(back, simulated) + _change(again, observed), own_there + own_here
    adversarial, critical = translator.view(batch).new_zeros(2).unbind()
    pairs = (
        (translator.observed_critic, observed, there),
        (translator.simulated_critic, simulated, here),
    )
    for critic, real, made in pairs:
        made_BC = translator.blurred(made)
        score_B1 = fixed_score(critic, made_BC)
        adversarial = adversarial + (score_B1 - 1).square().mean()
        critical = critical + _critic_loss(
            critic, translator.blurred(real), made_BC.detach(), config.penalty
        )
    given = replace(back, counts_BC=back.counts_BC.detach())
    task, parts, _ = loss_and_extra(translator, SpectraBatch.concatenate([simulated, given]))
    total = task + critical + config.adversarial * adversarial
    total = total + config.cycle * cycle + config.own * own
    named = {"cycle": cycle, "own": own, "adversarial": adversarial, "critics": critical}
    return total, parts | {name: value.detach() for name, value in named.items()}


def _domains(batch: SpectraBatch) -> tuple[SpectraBatch, SpectraBatch]:
    """Simulated and observed rows."""
    if batch.observed_B is None or not batch.observed_B.any():
        even_B = torch.arange(len(batch), device=batch.exposure_B.device) % 2 == 0
        return batch[even_B], batch[~even_B] if len(batch) > 1 else batch
    return batch[~batch.observed_B], batch[batch.observed_B]


def _change(after: SpectraBatch, before: SpectraBatch) -> Tensor:
    """Mean squared difference in deviations of Poisson noise."""
    return (anscombe(after.counts_BC) - anscombe(before.counts_BC)).square().mean()


def _critic_loss(critic: Critic, real_BC: Tensor, made_BC: Tensor, penalty: float) -> Tensor:
    """Least-squares loss (Mao et al. 2017) with a penalty on the gradient at real spectra."""
    score_B1, slope = scored_with_slope(critic, real_BC)
    least = (score_B1 - 1).square().mean() + critic(made_BC).square().mean()
    total: Tensor = least + penalty * slope
    return total


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Parameter estimates of translated observed spectra."""
    return _spectra.predict(module, translate(module, batch))


FAMILY = Family(
    name="translator",
    task="spectra/parameters",
    config=Config,
    build=Translator,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=lambda _config, spec: estimate_outputs(spec),
    measure=measure,
    metrics=ESTIMATE_METRICS,
    search_space={
        "width": Choice((64, 128, 256)),
        "knots": Choice((24, 64, 128)),
        "cycle": Range(0.1, 10.0, log=True),
        "own": Range(10.0, 1000.0, log=True),
        "penalty": Range(1.0, 20.0, log=True),
    },
    needs_observed=True,
    abilities=(Translation(translate),),
)
