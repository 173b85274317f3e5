"""How unusual a spectrum is among those of a training set, learnt after its network is trained.

Four scores. *Improbable*: minus the logarithm of a mixture's density of the latents, their widths,
the background's rate, the numbers of counts and what the counts differ by from the reconstruction.
*Far*: the same of a single normal distribution, which no far component of a few odd training
spectra fools. *Like its background*: the background, as bright as the spectrum, tells the counts
better than the reconstruction does. *Of another instrument*: the features are denser among what
another instrument would record of the training spectra, told with their responses (of EPIC-MOS;
those of EPIC-pn are found as well). Each has a rank among training spectra that are as bright, in
sigmas; the root of the sum of their squares is ranked once more, so that the share of training
spectra beyond so many sigmas is a normal distribution's.

Shapes: B batch, C channel, L latent, Q score, X feature.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wolter.models._misfits import TEMPLATES, like_background, misfits, smooth_misfits
from wolter.models._mixture import Mixture
from wolter.models._ranks import Ranks
from wolter.models._spectra import Standardise
from wolter.models._spectrum_decoder import BACKGROUND_COUNTS
from wolter.spectra.schema import SpectraBatch
from wolter.spectra.told_as import recorded_by
from wolter.xray.instruments.instrument import load

MOST_ROWS = 65_536  # that the density is learnt from
MOST_OTHERS = 32_768  # and that of other instruments
SEED = 0  # of the noise of these
HELD_OUT = 4  # each fourth of them tells the ranks
FEWEST = 64  # rows that tell anything of a training set
SCORES = 4


@dataclass(frozen=True)
class Seen:
    """What a network makes of a batch of spectra.

    Attributes:
        mean_BL: latents.
        sigma_BL: their widths.
        expected_BC: counts of the reconstruction, with background.
        shape_BC: shape of the background.
    """

    mean_BL: Tensor
    sigma_BL: Tensor
    expected_BC: Tensor
    shape_BC: Tensor


class Unusual(nn.Module):
    """Anomaly in sigmas; NaN until learnt."""

    def __init__(self, latents: int, components: int, others: Sequence[str]) -> None:
        super().__init__()
        n = 2 * latents + 8 + TEMPLATES
        self.names = tuple(others)
        self.features = Standardise(n)
        self.mixture, self.normal = Mixture(components, n), Mixture(1, n)
        self.others = Mixture(components, n)
        self.each, self.together = Ranks(SCORES), Ranks(1)

    def check(self) -> None:
        """Look for the other instruments.

        Raises:
            InputError: one is unknown.
        """
        for name in self.names:
            load(name)

    def learn(
        self,
        batches: Iterator[SpectraBatch],
        see: Callable[[SpectraBatch], Seen],
        edges_C1: Tensor,
    ) -> None:
        """Learn the densities and the ranks from training spectra; of few of them nothing.

        Args:
            batches: of the spectra.
            see: what the trained network makes of a batch.
            edges_C1: edges of the channels, keV.
        """
        generator = torch.Generator(edges_C1.device).manual_seed(SEED)
        raws, likes, counts, others, n = [], [], [], [], 0
        for batch in batches:
            made = see(batch)
            raws.append(_features(batch, made, edges_C1))
            likes.append(like_background(batch.counts_BC, made.expected_BC, made.shape_BC))
            counts.append(batch.counts_BC.sum(1))
            if n < MOST_OTHERS:
                seen = self._by_others(batch, edges_C1, generator)
                others += [_features(other, see(other), edges_C1) for other in seen]
            n += len(batch)
            if n >= MOST_ROWS:
                break
        if n < FEWEST:
            return
        raw_BX, like_B, count_B = torch.cat(raws), torch.cat(likes), torch.cat(counts)
        judged_B = torch.arange(len(raw_BX), device=raw_BX.device) % HELD_OUT == 0
        fitted_BX = raw_BX[~judged_B]
        mean_X = fitted_BX.nanmean(0).nan_to_num(nan=0.0)
        fitted_BX = torch.where(fitted_BX.isnan(), mean_X, fitted_BX)
        self.features.learn(fitted_BX)
        for density in (self.mixture, self.normal):
            density.learn(self.features(fitted_BX))
        if others:
            self.others.learn(self._standard(torch.cat(others)))
        score_BQ = self._scores(raw_BX[judged_B], like_B[judged_B])
        self.each.learn(count_B[judged_B], score_BQ)
        self.together.learn(count_B[judged_B], self._all(count_B[judged_B], score_BQ))

    def _by_others(
        self, batch: SpectraBatch, edges_C1: Tensor, generator: torch.Generator
    ) -> Iterator[SpectraBatch]:
        """What other instruments record of those sources whose spectra are known without noise."""
        if batch.expected_BKC is None or batch.folding_area_BF is None:
            return
        known_B = batch.expected_BKC.isfinite().flatten(1).all(1)
        known_B &= ~batch.folding_area_BF.isnan().all(1)
        if known_B.any():
            known = batch[known_B.nonzero()[:, 0]]
            for name in self.names:
                yield recorded_by(name, known, edges_C1, generator)

    def _standard(self, raw_BX: Tensor) -> Tensor:
        """Standardised features; what is not known is the mean."""
        return torch.where(raw_BX.isnan(), 0.0, self.features(raw_BX))

    def _scores(self, raw_BX: Tensor, like_B: Tensor) -> Tensor:
        value_BX = self._standard(raw_BX)
        log_density_B = self.mixture(value_BX)
        ratio_B = self.others(value_BX) - log_density_B
        ratio_B = torch.where(self.others.log_weight_K.isnan().all(), 0.0, ratio_B)
        return torch.stack([-log_density_B, -self.normal(value_BX), like_B, ratio_B], 1)

    def _all(self, count_B: Tensor, score_BQ: Tensor) -> Tensor:
        """All scores as one (B, 1); a score below its median is as good as at it."""
        sigmas_BQ: Tensor = self.each(count_B, score_BQ)
        length_B1: Tensor = sigmas_BQ.clamp_min(0).square().sum(1, keepdim=True).sqrt()
        return length_B1

    def forward(self, batch: SpectraBatch, made: Seen, edges_C1: Tensor) -> Tensor:
        """Anomaly (B) in sigmas of training spectra that are as bright."""
        count_B = batch.counts_BC.sum(1)
        like_B = like_background(batch.counts_BC, made.expected_BC, made.shape_BC)
        score_BQ = self._scores(_features(batch, made, edges_C1), like_B)
        anomaly_B: Tensor = self.together(count_B, self._all(count_B, score_BQ))[:, 0]
        return anomaly_B


def _features(batch: SpectraBatch, made: Seen, edges_C1: Tensor) -> Tensor:
    """Features (B, X) whose joint density tells what is improbable.

    NaN where a spectrum has no background to tell them.
    """
    counts_B, region_B = batch.counts_BC.sum(1), batch.background_BC.sum(1)
    scale_B = batch.background_scale_B
    rate_B = (region_B + BACKGROUND_COUNTS) * scale_B / batch.exposure_B.clamp_min(1.0)
    noise_B = (counts_B + scale_B.square() * region_B).sqrt().clamp_min(1.0)
    shape_BC, background_BC = made.shape_BC, batch.background_BC
    own_B2 = misfits(batch.counts_BC, made.expected_BC)
    background_B2 = misfits(background_BC, shape_BC * background_BC.sum(1, keepdim=True))
    like_B = like_background(batch.counts_BC, made.expected_BC, shape_BC)
    plain = (
        counts_B.clamp_min(1.0).log(),
        ((counts_B - scale_B * region_B) / noise_B).asinh(),
        _squeezed(like_B, 10.0),
    )
    of_background = (
        rate_B.clamp_min(1e-9).log(),
        scale_B.clamp_min(1e-9).log(),
        _squeezed(background_B2[:, 0], 3.0),
    )
    of_background_B3 = torch.stack(of_background, 1)
    smooth_BX = smooth_misfits(batch.counts_BC, made.expected_BC, edges_C1)
    return torch.cat(
        [
            made.mean_BL,
            made.sigma_BL.log(),
            torch.stack(plain, 1),
            torch.where(scale_B[:, None] > 0, of_background_B3, torch.nan),
            _squeezed(torch.cat([own_B2, smooth_BX], 1), 3.0),
        ],
        1,
    )


def _squeezed(value: Tensor, scale: float) -> Tensor:
    """Linear below the scale, logarithmic above, so that tails are near normal."""
    return value.sign() * (value.abs() / scale).log1p()
