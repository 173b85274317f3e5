"""Transformer over energy-ordered tokens of a spectrum.

A token is a few neighbouring channels: their counts, background, energies, and how they were seen:
effective area, exposure, gain and width of lines. A last token holds what concerns the whole
spectrum.

Shapes: A photon energy, B batch, C channel, D width, F narrow band of the effective area, G channel
of a token, H attention head, Q share of a photon's counts, T token, X feature.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from wolter.models._anomaly import anscombe
from wolter.models._spectra import Standardise
from wolter.spectra.folding import EDGES_KEV, SHARES, bands_kev
from wolter.spectra.grid import PHOTONS_KEV
from wolter.spectra.schema import SpectraBatch, SpectraSpec

PER_TOKEN = 6  # channels a token
WAVES = 4  # sines and cosines of the logarithm of energy
FEWEST = 3.0  # counts of a shortened exposure
OFFSETS = [SHARES.index(share) for share in (0.16, 0.5, 0.84)]
DEVIATION_KEV = 0.05  # of the energies that a CCD records
LEAST_WIDTH_KEV = 1e-3
LEAST_AREA = 1e-2  # cm^2: less is none
PIVOT_KEV = 2.0
SEEN = 6  # features of a token beside its counts: four of rates, gain and width


class Tokens(nn.Module):
    """Features of the tokens (B, T, X) and of the whole spectrum (B, X)."""

    to_token_FT: Tensor
    to_token_AT: Tensor
    mean_offset_QA: Tensor
    energy_TX: Tensor
    log_width_T: Tensor
    mean_area_F: Tensor

    def __init__(self, spec: SpectraSpec) -> None:
        super().__init__()
        edges_C1 = torch.tensor(spec.energy_edges)
        self.n_tokens = -(-spec.n_channels // PER_TOKEN)
        self.padding = self.n_tokens * PER_TOKEN - spec.n_channels
        edges_T1 = torch.cat([edges_C1[:-1:PER_TOKEN], edges_C1[-1:]])
        middle_T = (edges_T1[1:] * edges_T1[:-1]).sqrt()
        self.register_buffer("to_token_FT", _means(edges_T1), persistent=False)
        self.register_buffer("log_width_T", edges_T1.diff().log(), persistent=False)
        angle_TW = (middle_T / PIVOT_KEV).log()[:, None] * 2.0 ** torch.arange(WAVES)
        energy_TX = torch.cat([angle_TW[:, :1], angle_TW.sin(), angle_TW.cos()], 1)
        self.register_buffer("energy_TX", energy_TX, persistent=False)
        self.register_buffer("mean_area_F", torch.ones(len(EDGES_KEV) - 1))
        self.register_buffer("to_token_AT", _interpolation(middle_T), persistent=False)
        offset_QA = torch.tensor([-DEVIATION_KEV, 0.0, DEVIATION_KEV])[:, None]
        self.register_buffer("mean_offset_QA", offset_QA.repeat(1, len(PHOTONS_KEV)))
        self.token = Standardise(self.n_tokens, PER_TOKEN + SEEN)
        self.whole = Standardise(5)

    @property
    def n_token_features(self) -> int:
        """Number of features of a token."""
        return PER_TOKEN + SEEN + self.energy_TX.shape[1]

    @property
    def n_whole_features(self) -> int:
        """Number of features of the whole spectrum."""
        return 5

    def learn(self, batch: SpectraBatch) -> None:
        """Set mean area and scales from a sample of the training set."""
        if batch.folding_area_BF is not None:
            self.mean_area_F.copy_(batch.folding_area_BF.nanmean(0).nan_to_num(nan=1.0))
        if batch.folding_offsets_BTA is not None:
            mean_QA = batch.folding_offsets_BTA[:, OFFSETS].nanmean(0)
            self.mean_offset_QA.copy_(torch.where(mean_QA.isnan(), self.mean_offset_QA, mean_QA))
        token_BTX, whole_BX = self.raw(batch)
        self.token.learn(token_BTX)
        self.whole.learn(whole_BX)

    def area(self, batch: SpectraBatch) -> Tensor:
        """Effective area (B, F), cm^2; the training set's mean where it is unknown."""
        if batch.folding_area_BF is None:
            return self.mean_area_F.expand(len(batch), -1)
        unknown_BF = batch.folding_area_BF.isnan()
        return torch.where(unknown_BF, self.mean_area_F, batch.folding_area_BF)

    def recorded(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """Offset of recorded energies (B, T), keV, and logarithm of the half-width of a line.

        The training set's mean where they are unknown.
        """
        offset_BQA = self.mean_offset_QA.expand(len(batch), -1, -1)
        if batch.folding_offsets_BTA is not None:
            own_BQA = batch.folding_offsets_BTA[:, OFFSETS]
            offset_BQA = torch.where(own_BQA.isnan(), offset_BQA, own_BQA)
        low_BT, middle_BT, high_BT = (offset_BQA @ self.to_token_AT).unbind(1)
        return middle_BT, ((high_BT - low_BT) / 2).clamp_min(LEAST_WIDTH_KEV).log()

    def crude_log_flux(self, batch: SpectraBatch) -> Tensor:
        """Logarithm of net counts over exposure and mean area (B): within a factor the flux."""
        net_B = batch.counts_BC.sum(1) - batch.background_scale_B * batch.background_BC.sum(1)
        sees_B = self.area(batch).mean(1).clamp_min(LEAST_AREA) * batch.exposure_B.clamp_min(1.0)
        return net_B.clamp_min(1.0).log() - sees_B.log()

    def raw(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """Features before they are standardised, without those of energy."""
        counts_BTG = self._grouped(batch.counts_BC)
        scale_B1 = batch.background_scale_B[:, None]
        background_BT = self._grouped(batch.background_BC).sum(2)
        counts_BT, expected_BT = counts_BTG.sum(2), background_BT * scale_B1
        area_BT = (self.area(batch) @ self.to_token_FT).clamp_min(LEAST_AREA)
        exposure_B1 = batch.exposure_B.clamp_min(1.0)[:, None]
        sees_BT = area_BT.log() + exposure_B1.log() + self.log_width_T
        net_BT = (counts_BT - expected_BT).clamp_min(0) + 0.5
        features = [counts_BT.log1p(), expected_BT.log1p(), sees_BT, net_BT.log() - sees_BT]
        offset_BT, log_width_BT = self.recorded(batch)
        features += [offset_BT / DEVIATION_KEV, log_width_BT]  # keV are below a Standardise's least
        token_BTX = torch.cat([anscombe(counts_BTG), torch.stack(features, 2)], 2)
        whole = (
            batch.counts_BC.sum(1).log1p(),
            batch.background_BC.sum(1).log1p(),
            scale_B1[:, 0].clamp_min(1e-4).log(),
            exposure_B1[:, 0].log(),
            self.crude_log_flux(batch),
        )
        return token_BTX, torch.stack(whole, 1)

    def forward(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """Standardised features of tokens, with energies, and of the whole spectrum."""
        token_BTX, whole_BX = self.raw(batch)
        energy_BTX = self.energy_TX.expand(len(batch), -1, -1)
        return torch.cat([self.token(token_BTX), energy_BTX], 2), self.whole(whole_BX)

    def _grouped(self, counts_BC: Tensor) -> Tensor:
        padded_BC = nn.functional.pad(counts_BC, (0, self.padding))
        return padded_BC.reshape(len(counts_BC), self.n_tokens, PER_TOKEN)


class Block(nn.Module):
    """Pre-norm transformer block: attention among tokens, then two dense layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_qkv, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Tokens of the same shape."""
        qkv = self.to_qkv(self.norm(x_BTD)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed_BHTD = nn.functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        x_BTD = x_BTD + self.merge(mixed_BHTD.transpose(1, 2).flatten(2))
        return x_BTD + cast("Tensor", self.dense(self.norm_2(x_BTD)))


class SpectrumEncoder(nn.Module):
    """Encoder of spectra: one vector (B, 2D) each.

    Args of the constructor: `masked` is the share of tokens that are hidden while it trains.
    """

    def __init__(
        self, spec: SpectraSpec, width: int, layers: int, heads: int, masked: float = 0.0
    ) -> None:
        super().__init__()
        self.masked = masked
        self.tokens = Tokens(spec)
        self.embed = nn.Linear(self.tokens.n_token_features, width)
        self.embed_whole = nn.Linear(self.tokens.n_whole_features, width)
        self.hidden = nn.Parameter(torch.zeros(width)) if masked > 0 else None
        self.position = nn.Parameter(0.02 * torch.randn(self.tokens.n_tokens, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(2 * width)

    def forward(self, batch: SpectraBatch) -> Tensor:
        """Vectors of spectra: the last token, and the mean of the others (B, 2D)."""
        token_BTX, whole_BX = self.tokens(batch)
        x_BTD = self.embed(token_BTX)
        if self.training and self.hidden is not None and self.hidden.requires_grad:
            hide_BT1 = torch.rand(*x_BTD.shape[:2], 1, device=x_BTD.device) < self.masked
            x_BTD = torch.where(hide_BT1, self.hidden, x_BTD)
        whole_B1D = self.embed_whole(whole_BX)[:, None]
        x_BTD = torch.cat([x_BTD + self.position, whole_B1D], 1)
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return cast("Tensor", self.norm(torch.cat([x_BTD[:, -1], x_BTD[:, :-1].mean(1)], 1)))


def shortened(batch: SpectraBatch, share: float) -> SpectraBatch:
    """Read some records as of a shorter exposure: each count is kept with the same probability.

    Args:
        batch: what it says of noise-free counts stays as it is.
        share: of the records; they keep `FEWEST` to all of their counts, evenly in the logarithm.
    """
    total_B = batch.counts_BC.sum(1)
    chosen_B = (torch.rand_like(total_B) < share) & (total_B > FEWEST)
    rows = chosen_B.nonzero()[:, 0]
    if not len(rows):
        return batch
    kept_B1 = ((FEWEST / total_B[rows]) ** torch.rand_like(total_B[rows]))[:, None]

    def thinned(counts_BC: Tensor) -> Tensor:
        few_BC = torch.binomial(counts_BC[rows].round(), kept_B1.expand(-1, counts_BC.shape[1]))
        return counts_BC.index_copy(0, rows, few_BC)

    exposure_B = batch.exposure_B.index_copy(0, rows, batch.exposure_B[rows] * kept_B1[:, 0])
    return replace(
        batch,
        counts_BC=thinned(batch.counts_BC),
        background_BC=thinned(batch.background_BC),
        exposure_B=exposure_B,
    )


def _means(edges_T1: Tensor) -> Tensor:
    """Weights (F, T) of the mean over the narrow bands within a token, or of the nearest band."""
    middle_F = bands_kev()
    inside_FT = (middle_F[:, None] >= edges_T1[:-1]) & (middle_F[:, None] < edges_T1[1:])
    distance_FT = (middle_F[:, None] - (edges_T1[1:] + edges_T1[:-1]) / 2).abs()
    nearest_FT = distance_FT == distance_FT.min(0).values
    weight_FT = torch.where(inside_FT.any(0), inside_FT, nearest_FT).float()
    return weight_FT / weight_FT.sum(0)


def _interpolation(middle_T: Tensor) -> Tensor:
    """Weights (A, T) of the photon energies of records, linear in the logarithm of energy."""
    knots_A, at_T = torch.tensor(PHOTONS_KEV).log(), middle_T.log()
    upper_T = torch.searchsorted(knots_A, at_T).clamp(1, len(knots_A) - 1)
    share_T = ((at_T - knots_A[upper_T - 1]) / knots_A.diff()[upper_T - 1]).clamp(0, 1)
    weight_AT = torch.zeros(len(knots_A), len(at_T))
    weight_AT.scatter_(0, upper_T[None], share_T[None])
    return weight_AT.scatter_(0, upper_T[None] - 1, 1 - share_T[None])
