"""Training ranges of a model: response, background, exposure and counts.

A network answers reliably within them and not beyond. Shapes: A band of the effective area or
photon energy, B batch, Q share of a photon's counts.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wolter.spectra.reading import Record
from wolter.spectra.schema import SpectraBatch

Range = tuple[float, float]

MARGIN = 0.02  # of areas and scales: files round them, and grids average them otherwise
STEP = 0.03  # of the ratio of areas in neighbouring bands
BLUR = 0.015  # root mean square over photons and shares, in half-widths of the redistribution
SIGMAS = 5.0  # of the Poisson noise of a background's counts
LEAST_AREA = 1e-3  # cm^2
SEEN = 0.01  # of the largest trained area: bands of less see no photons to judge by
EQUAL = 1e-4  # relative: areas that are the same but for rounding


@dataclass(frozen=True)
class TrainingRanges:
    """Lowest and highest values of training spectra; None, or empty, where unknown.

    Attributes:
        exposure_s: exposure, s.
        net_counts: counts less the background's.
        background_scale: expected background counts per count of the background spectrum.
        background_rate: background expected in the source region, counts/s.
        area_cm2: effective area in the bands of `wolter.spectra.grid.AREA_EDGES`.
        area_step: logarithm of the ratio of each band's area to the one before.
        redistribution_kev: recorded less true energy of photons of `PHOTONS_KEV`, at each of
            `RECORDED_SHARES` of their counts.
    """

    exposure_s: Range | None = None
    net_counts: Range | None = None
    background_scale: Range | None = None
    background_rate: Range | None = None
    area_cm2: tuple[Range, ...] = ()
    area_step: tuple[Range, ...] = ()
    redistribution_kev: tuple[tuple[Range, ...], ...] = ()
    kind: str = "spectra"

    @classmethod
    def of(cls, batch: SpectraBatch) -> Self:
        """The ranges of a sample of training spectra."""
        background_BC = batch.expected_background_BC
        if background_BC is None:
            background_BC = batch.background_BC * batch.background_scale_B[:, None]
        area_BA, offset_BQA = batch.area_BA, batch.redistribution_BQA
        return cls(
            exposure_s=_range(batch.exposure_B),
            net_counts=_range(net_counts(batch)),
            background_scale=_range(batch.background_scale_B),
            background_rate=_range(background_BC.sum(1) / batch.exposure_B),
            area_cm2=() if area_BA is None else _ranges(area_BA),
            area_step=() if area_BA is None else _ranges(_steps(area_BA)),
            redistribution_kev=()
            if offset_BQA is None
            else tuple(_ranges(offset_BA) for offset_BA in offset_BQA.unbind(1)),
        )

    def effective_exposure(self, batch: SpectraBatch) -> Tensor:
        """Effective exposures (B): exposure scaled by effective area over the trained area.

        A network that learnt one area alone reads none: its norms are right by this exposure. What
        remains is how the area's shape differs. Where areas vary in training, it is the exposure.
        """
        area_BA = batch.area_BA
        if area_BA is None or not self.area_cm2 or self.area_varies:
            return batch.exposure_B
        own_A, _ = _bounds(self.area_cm2)
        ratio_B = area_BA.sum(1) / own_A.to(area_BA).sum()
        ratio_B = torch.where((ratio_B - 1).abs() < EQUAL, 1.0, ratio_B)
        return batch.exposure_B * torch.where(ratio_B > 0, ratio_B, 1.0)

    @property
    def area_varies(self) -> bool:
        """True if the training spectra have different effective areas."""
        low_A, high_A = _bounds(self.area_cm2)
        return bool((high_A > low_A * (1 + EQUAL)).any())

    def few_counts(self, batch: SpectraBatch) -> Tensor:
        """Mask of spectra (B) with fewer counts than any training spectrum."""
        if self.net_counts is None:
            return torch.zeros(len(batch), dtype=torch.bool)
        return net_counts(batch) < self.net_counts[0]

    def other_response(self, batch: SpectraBatch) -> Tensor:
        """Mask of spectra (B) with an effective area or redistribution outside the training range.

        What a spectrum's record does not tell is not judged.
        """
        outside_B = torch.zeros(len(batch), dtype=torch.bool)
        area_BA, offset_BQA = batch.area_BA, batch.redistribution_BQA
        if area_BA is not None and self.area_cm2:
            low_A, high_A = _bounds(self.area_cm2)
            least = SEEN * float(high_A.max())
            seen_BA = (area_BA > least) | (high_A > least)
            beyond_BA = (area_BA < low_A * (1 - MARGIN)) | (area_BA > high_A * (1 + MARGIN))
            beyond_BA = beyond_BA & seen_BA
            step_BA, (down_A, up_A) = _steps(area_BA), _bounds(self.area_step)
            uneven_BA = (step_BA < down_A - STEP) | (step_BA > up_A + STEP)
            uneven_BA = uneven_BA & seen_BA[:, 1:] & seen_BA[:, :-1]
            outside_B = outside_B | beyond_BA.any(1) | uneven_BA.any(1)
        if offset_BQA is not None and self.redistribution_kev:
            outside_B = outside_B | (self._blur(offset_BQA) > BLUR)
        return outside_B

    def other_background(self, batch: SpectraBatch) -> Tensor:
        """Mask of spectra (B) with a background scale or level outside the training range.

        A spectrum without a background is one where training spectra had theirs.
        """
        outside_B = torch.zeros(len(batch), dtype=torch.bool)
        scale_B = batch.background_scale_B
        if self.background_scale is not None:
            low, high = self.background_scale
            outside_B = (scale_B < low * (1 - MARGIN)) | (scale_B > high * (1 + MARGIN))
        if self.background_rate is not None:
            counts_B = batch.background_BC.sum(1)
            per_rate_B = batch.exposure_B / scale_B.clamp_min(1e-30)
            least_B, most_B = (rate * per_rate_B for rate in self.background_rate)
            few_B = counts_B < least_B - SIGMAS * least_B.sqrt()
            many_B = counts_B > most_B + SIGMAS * (most_B.sqrt() + 1)
            outside_B = outside_B | ((scale_B > 0) & (few_B | many_B))
        return outside_B

    def _blur(self, offset_BQA: Tensor) -> Tensor:
        """Excess of redistribution offsets (B) over the training range, in half-widths."""
        bounds_QA2 = torch.tensor(self.redistribution_kev)
        low_QA, high_QA = bounds_QA2.unbind(-1)
        half_A = (high_QA[-1] - low_QA[0]) / 2
        beyond_BQA = (low_QA - offset_BQA).clamp_min(0) + (offset_BQA - high_QA).clamp_min(0)
        share_BQA = (beyond_BQA / half_A).clamp_max(1)  # far tails count once
        return share_BQA.square().nanmean((1, 2)).sqrt().nan_to_num(nan=0.0)


def beyond_training(trained: TrainingRanges, record: Record) -> bool:
    """True for a spectrum outside the network's training range, which needs refinement.

    Its response, background or band are none of the training spectra's; of a spectrum without
    counts the prior is the answer.
    """
    batch = record.batch
    other_B = trained.other_response(batch) | trained.other_background(batch)
    beyond = bool(other_B.any()) or "band_not_covered" in record.flags
    return beyond and bool(batch.counts_BC.any())


def net_counts(batch: SpectraBatch) -> Tensor:
    """Counts less those expected of the background (B)."""
    return batch.counts_BC.sum(1) - batch.background_scale_B * batch.background_BC.sum(1)


def _steps(area_BA: Tensor) -> Tensor:
    return area_BA.clamp_min(LEAST_AREA).log().diff(dim=1)


def _range(values_B: Tensor) -> Range | None:
    known_B = values_B[~values_B.isnan()]
    return (_short(known_B.min()), _short(known_B.max())) if len(known_B) else None


def _ranges(values_BA: Tensor) -> tuple[Range, ...]:
    found = [_range(values_B) for values_B in values_BA.unbind(1)]
    return tuple(each for each in found if each is not None) if None not in found else ()


def _bounds(ranges: tuple[Range, ...]) -> tuple[Tensor, Tensor]:
    low_A, high_A = torch.tensor(ranges).unbind(1)
    return low_A, high_A


def _short(value: Tensor) -> float:
    """Six digits: cards are read by people."""
    return float(f"{float(value):.6g}")
