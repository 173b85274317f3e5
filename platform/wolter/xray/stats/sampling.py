"""Exact posteriors of many spectra at once: tempered ensembles, and importance weights.

Both work in normal quantiles of the prior, where every prior is a unit normal and has no walls. The
likelihood is a function of the spectrum's row and of its walkers' parameters.

Shapes: B spectrum, P parameter, S sample, W walker.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wolter.xray.stats.prior import Prior

LOST = 0.01  # effective share below which samples say nothing of where the posterior is
LEAST_WIDTH = 1e-4  # of the prior's: no spectrum tells a parameter more precisely

LogLikelihood = Callable[[Tensor, Tensor], Tensor]
"""`(row_N, parameters_NP) -> log likelihood (N)`: N walkers, each of the spectrum `row_N`."""


@dataclass(frozen=True)
class Samples:
    """Posterior samples of B spectra.

    Attributes:
        parameters_BSP: the samples.
        r_hat_BP: Gelman & Rubin's ratio of the parameters' normal quantiles over groups of
            walkers and halves of the chain; near 1 when they agree.
        acceptance_B: acceptance of the final steps.
    """

    parameters_BSP: Tensor
    r_hat_BP: Tensor
    acceptance_B: Tensor


@dataclass
class _Ensemble:
    """Walkers and their log likelihoods."""

    normal_BWP: Tensor
    likelihood_BW: Tensor

    def take(self, index_BW: Tensor) -> "_Ensemble":
        wide_BWP = index_BW[..., None].expand(-1, -1, self.normal_BWP.shape[2])
        return _Ensemble(
            self.normal_BWP.gather(1, wide_BWP), self.likelihood_BW.gather(1, index_BW)
        )


class Sampler:
    """Differential-evolution ensembles (ter Braak 2006), one for each spectrum, moved together."""

    def __init__(
        self, likelihood: LogLikelihood, prior: Prior, walkers: int = 128, seed: int = 0
    ) -> None:
        """Prepare; `walkers` (even) for each spectrum."""
        assert walkers % 2 == 0
        self.likelihood, self.prior, self.walkers = likelihood, prior, walkers
        self.generator = torch.Generator().manual_seed(seed)

    def run(self, rows_B: Tensor, steps: int = 160, thin: int = 8, moves: int = 4) -> Samples:
        """Sample the posteriors of spectra, from the prior through ever less tempered ensembles.

        Args:
            rows_B: the spectra, as the likelihood numbers them.
            steps: steps of every walker at full likelihood; the first quarter is not kept.
            thin: every so many steps are kept.
            moves: steps at each temperature.
        """
        n, size = len(rows_B), len(self.prior.low_P)
        normal_BWP = torch.randn(n, 4 * self.walkers, size, generator=self.generator)
        ensemble = _Ensemble(normal_BWP, self._evaluate(rows_B, normal_BWP))
        power_B = torch.zeros(n)
        while bool((power_B < 1).any()):
            power_B, ensemble = self._cool(power_B, ensemble)
            for _ in range(moves):
                ensemble, _ = self._step(rows_B, ensemble, power_B)
        return self._chain(rows_B, ensemble, steps, thin)

    def start(self, rows_B: Tensor, normal_BWP: Tensor, steps: int = 40, thin: int = 4) -> Samples:
        """Sample from walkers that already resemble the posteriors."""
        ensemble = _Ensemble(normal_BWP, self._evaluate(rows_B, normal_BWP))
        return self._chain(rows_B, ensemble, steps, thin)

    def _chain(self, rows_B: Tensor, ensemble: _Ensemble, steps: int, thin: int) -> Samples:
        power_B = torch.ones(len(rows_B))
        kept, accepted = [], []
        for step in range(steps):
            ensemble, accepted_B = self._step(rows_B, ensemble, power_B)
            if step >= steps // 4:
                accepted.append(accepted_B)
                if step % thin == thin - 1:
                    kept.append(ensemble.normal_BWP)
        chain_BTWP = torch.stack(kept, 1)
        return Samples(
            parameters_BSP=self.prior.physical(chain_BTWP.flatten(1, 2)),
            r_hat_BP=_r_hat(chain_BTWP),
            acceptance_B=torch.stack(accepted).mean(0),
        )

    def _evaluate(self, rows_B: Tensor, normal_BWP: Tensor) -> Tensor:
        n, walkers, size = normal_BWP.shape
        parameters = self.prior.physical(normal_BWP).reshape(-1, size)
        return self.likelihood(rows_B.repeat_interleave(walkers), parameters).view(n, walkers)

    def _cool(self, power_B: Tensor, ensemble: _Ensemble) -> tuple[Tensor, _Ensemble]:
        """Raise each spectrum's power until half of its walkers' weight is lost; resample."""
        likelihood_BW = ensemble.likelihood_BW.double()
        relative_BW = likelihood_BW - likelihood_BW.amax(1, keepdim=True)
        low_B, high_B = torch.zeros(len(power_B)).double(), (1 - power_B).double()
        target = 0.5 * self.walkers

        def effective(step_B: Tensor) -> Tensor:
            weight_BW = (step_B[:, None] * relative_BW).exp()
            return weight_BW.sum(1).square() / weight_BW.square().sum(1)

        step_B = high_B.clone()
        enough_B = effective(step_B) >= target
        for _ in range(50):
            middle_B = (low_B + high_B) / 2
            good_B = effective(middle_B) >= target
            low_B = torch.where(good_B, middle_B, low_B)
            high_B = torch.where(good_B, high_B, middle_B)
        step_B = torch.where(enough_B, step_B, low_B)
        weight_BW = (step_B[:, None] * relative_BW).exp()
        # Systematic resampling: fewer duplicates are lost by chance.
        edges_BW = (weight_BW / weight_BW.sum(1, keepdim=True)).cumsum(1)
        offset_B1 = torch.rand(len(power_B), 1, generator=self.generator).double()
        at_BW = (torch.arange(self.walkers) + offset_B1) / self.walkers
        index_BW = torch.searchsorted(edges_BW, at_BW).clamp(max=edges_BW.shape[1] - 1)
        # The halves of an ensemble move each other: they must not be two stretches of one order.
        shuffle_W = torch.randperm(self.walkers, generator=self.generator)
        power_B = torch.where(enough_B, torch.ones_like(power_B), power_B + step_B.float())
        return power_B, ensemble.take(index_BW[:, shuffle_W])

    def _step(
        self, rows_B: Tensor, ensemble: _Ensemble, power_B: Tensor
    ) -> tuple[_Ensemble, Tensor]:
        """Move each half by differences within the other; gives the acceptance."""
        half = self.walkers // 2
        normal_BWP, likelihood_BW = ensemble.normal_BWP.clone(), ensemble.likelihood_BW.clone()
        n, _, size = normal_BWP.shape
        accepted_B = torch.zeros(n)
        for mine, other in (
            (slice(0, half), slice(half, None)),
            (slice(half, None), slice(0, half)),
        ):
            first_W = torch.randperm(half, generator=self.generator)
            shift = int(torch.randint(1, half, (1,), generator=self.generator))
            partners_BWP = normal_BWP[:, other]
            difference_BWP = partners_BWP[:, first_W] - partners_BWP[:, first_W.roll(shift)]
            # Now and then a whole difference, which leaps between modes; and steps of all sizes.
            scale_BW1 = torch.empty(n, half, 1).uniform_(0.3, 1.5, generator=self.generator)
            scale_BW1 = scale_BW1 * (2.38 / math.sqrt(2 * size))
            leap_BW1 = torch.rand(n, half, 1, generator=self.generator) < 0.1
            scale_BW1 = torch.where(leap_BW1, 1.0, scale_BW1)
            jitter_BWP = 1e-4 * torch.randn(n, half, size, generator=self.generator)
            old_BWP = normal_BWP[:, mine]
            new_BWP = old_BWP + scale_BW1 * difference_BWP + jitter_BWP
            new_BW = self._evaluate(rows_B, new_BWP)
            gain_BW = power_B[:, None] * (new_BW - likelihood_BW[:, mine])
            gain_BW = gain_BW + 0.5 * (old_BWP.square() - new_BWP.square()).sum(2)
            taken_BW = torch.rand(n, half, generator=self.generator).log() < gain_BW
            normal_BWP[:, mine] = torch.where(taken_BW[..., None], new_BWP, old_BWP)
            likelihood_BW[:, mine] = torch.where(taken_BW, new_BW, likelihood_BW[:, mine])
            accepted_B += taken_BW.float().mean(1) / 2
        return _Ensemble(normal_BWP, likelihood_BW), accepted_B


def _r_hat(chain_BTWP: Tensor) -> Tensor:
    """Between groups of walkers, each in the first and second half of the chain."""
    n, times, walkers, size = chain_BTWP.shape
    groups = 4
    kept = chain_BTWP[:, : times // 2 * 2, : walkers // groups * groups]
    pieces = kept.reshape(n, 2, times // 2, groups, walkers // groups, size)
    pieces = pieces.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * groups, -1, size)
    within_BP = pieces.var(2).mean(1)
    between_BP = pieces.mean(2).var(1)
    return (1 + between_BP / within_BP.clamp_min(1e-30)).sqrt()


def even_normals(n: int, size: int) -> Tensor:
    """Normal numbers (n, size) that fill space evenly: scrambled Sobol points.

    A posterior's mean and quantiles need fewer of them than of random ones.
    """
    engine = torch.quasirandom.SobolEngine(size, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    normal_SP: Tensor = torch.special.ndtri(engine.draw(n).clamp(1e-6, 1 - 1e-6))
    return normal_SP


def at_least_wide(parameters_BSP: Tensor, width_BP: Tensor, prior: Prior) -> Tensor:
    """Samples whose distribution has no width below `LEAST_WIDTH` of the prior's.

    Narrower ones, as a network gives them of spectra unlike all that it was trained on, are
    scattered by that much, within the prior.

    Args:
        parameters_BSP: samples.
        width_BP: widths of the samples' 68 % intervals.
        prior: of all spectra (P) or of each (B, P).
    """
    least_BP = LEAST_WIDTH * prior.slope(parameters_BSP.mean(1))
    narrow_BP = width_BP < least_BP
    if not bool(narrow_BP.any()):
        return parameters_BSP
    each = Prior(prior.low_P.unsqueeze(-2), prior.high_P.unsqueeze(-2), prior.kinds)
    scatter_SP = even_normals(*parameters_BSP.shape[1:]).to(parameters_BSP)
    wide_BSP = each.position(parameters_BSP) + scatter_SP * LEAST_WIDTH
    wide_BSP = each.at(1 - (1 - wide_BSP.abs()).abs())  # reflected at the bounds
    return torch.where(narrow_BP[:, None], wide_BSP, parameters_BSP)


def importance(
    likelihood_BS: Tensor, normal_BSP: Tensor, log_density_BS: Tensor
) -> tuple[Tensor, Tensor]:
    """Importance weights of samples of an approximate posterior.

    Args:
        likelihood_BS: log likelihoods of the samples.
        normal_BSP: the samples as normal quantiles of the prior.
        log_density_BS: log density of the approximation there.

    Returns:
        Weights (B, S) that add up to 1, and the effective share of the samples (B),
        1 / (S sum of squared weights).
    """
    log_prior_BS = -0.5 * normal_BSP.double().square().sum(2)
    log_weight_BS = likelihood_BS.double() + log_prior_BS - log_density_BS.double()
    weights_BS = torch.softmax(log_weight_BS, 1)
    share_B = 1 / (weights_BS.square().sum(1) * weights_BS.shape[1])
    return weights_BS.to(normal_BSP.dtype), share_B.to(normal_BSP.dtype)


@dataclass(frozen=True)
class Refined:
    """Posterior samples with weights.

    Attributes:
        parameters_BSP: the samples.
        weights_BS: weights of the samples, adding up to 1.
        share_B: effective share of the approximate samples that were weighted.
        moved_B: True where weights did not suffice and the samples come from an ensemble.
    """

    parameters_BSP: Tensor
    weights_BS: Tensor
    share_B: Tensor
    moved_B: Tensor

    @classmethod
    def joined(cls, parts: "list[Refined]") -> "Refined":
        """Parts of one kind, one after the other."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(torch.cat(column) for column in columns))


def refine(
    sampler: Sampler,
    rows_B: Tensor,
    parameters_BSP: Tensor,
    log_density_BS: Tensor,
    least: float = 0.1,
) -> Refined:
    """Refine samples of an approximate posterior to the exact one.

    They are weighted; where few of them then count, an ensemble starts from them instead; where
    hardly any do, from the prior.

    Args:
        sampler: sampler of the exact posterior.
        rows_B: the spectra, as the sampler's likelihood numbers them.
        parameters_BSP: approximate samples.
        log_density_BS: log density of the samples in normal quantiles.
        least: effective share of the samples below which an ensemble is run.
    """
    n, s, size = parameters_BSP.shape
    normal_BSP = sampler.prior.normal(parameters_BSP)
    likelihood_BS = sampler.likelihood(
        rows_B.repeat_interleave(s), parameters_BSP.reshape(-1, size)
    ).view(n, s)
    weights_BS, share_B = importance(likelihood_BS, normal_BSP, log_density_BS)
    moved_B = share_B < least
    lost_B = share_B < LOST
    parameters_BSP = parameters_BSP.clone()
    even = torch.linspace(0, 1, s)
    for few_B, from_samples in ((moved_B & ~lost_B, True), (lost_B, False)):
        if not bool(few_B.any()):
            continue
        few = few_B.nonzero()[:, 0]
        if from_samples:
            start_BWP = _spread(sampler, normal_BSP[few], weights_BS[few])
            found = sampler.start(rows_B[few], start_BWP)
        else:
            found = sampler.run(rows_B[few])
        last = found.parameters_BSP.shape[1] - 1
        parameters_BSP[few] = found.parameters_BSP[:, (even * last).long()]
        weights_BS[few] = 1 / s
    return Refined(parameters_BSP, weights_BS, share_B, moved_B)


def _spread(sampler: Sampler, normal_BSP: Tensor, weights_BS: Tensor) -> Tensor:
    """Walkers (B, W, P) from weighted samples; flattened weights keep them wide enough to move."""
    n_samples, size = normal_BSP.shape[1:]
    index_BW = torch.multinomial(
        weights_BS.sqrt().clamp_min(1e-9),
        sampler.walkers,
        replacement=sampler.walkers > n_samples,
        generator=sampler.generator,
    )
    return normal_BSP.gather(1, index_BW[..., None].expand(-1, -1, size))
