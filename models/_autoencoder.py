"""Network of the autoencoder of X-ray spectra: encoder, decoder, classifier, what is unusual.

Shapes: A tied latent, B batch, C channel, F narrow band, K class, L latent, P parameter.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from wolter.models._spectrum_decoder import BackgroundDecoder, FluxDecoder, expected_counts
from wolter.models._spectrum_encoder import SpectrumEncoder
from wolter.models._unusual import Seen, Unusual
from wolter.spectra.schema import SpectraBatch, SpectraSpec

LATENTS = 8
FLUX = "flux_b"
LOG_FLUX = (-32.0, 3.5)  # mean and deviation of the first latent where nothing is known of fluxes
LEAST_SIGMA = 3e-3


@dataclass(frozen=True)
class Config:
    """Sizes of the networks, and weights of the parts of the loss.

    Attributes:
        width: width of the transformer.
        layers: blocks of the transformer.
        heads: attention heads of a block.
        decoder: width of the decoder's layers.
        mixture: components of the densities by which spectra are unusual.
        others: instruments; spectra are unusual that look like theirs, told with the response of
            the training records.
        tied: quantities that the first latents are tied to; none leaves all latents free, but for
            the first, which is the logarithm of the flux.
        tied_weight: weight of the density of these quantities.
        class_weight: weight of the cross-entropy of the classes.
        free_weight: weight of the information of the free latents (beta of a VAE).
        bright: counts from which a brighter spectrum weighs no more in the likelihood.
        masked: share of tokens that are hidden while it trains.
        shortened: share of records that are read as of a shorter exposure while it trains, down to
            three counts: of fainter sources than were selected it then knows little.
        clusters: centres that latents are drawn to (k-means learnt with the encoder); 0: none.
        cluster_weight: weight of the squared distance to the nearest centre.
    """

    width: int = 64
    layers: int = 3
    heads: int = 4
    decoder: int = 256
    mixture: int = 24
    others: tuple[str, ...] = ("epic_mos1",)
    tied: tuple[str, ...] = ("flux_b", "hard_hs", "hard_hm", "nh", "kt", "slope")
    tied_weight: float = 2.0
    class_weight: float = 4.0
    free_weight: float = 0.25
    bright: float = 6000.0
    masked: float = 0.05
    shortened: float = 0.15
    clusters: int = 0
    cluster_weight: float = 0.1


class Autoencoder(nn.Module):
    """Encoder to latents, decoder to fluxes, classifier, and a judge of what is unusual."""

    edges_C1: Tensor
    tied_mean_A: Tensor
    tied_scale_A: Tensor
    log_flux_2: Tensor
    rates_K: Tensor

    def __init__(self, config: Config, spec: SpectraSpec) -> None:
        super().__init__()
        self.config, self.classes = config, spec.classes
        names = [p.name for p in spec.parameters]
        self.tied = sorted((n for n in config.tied if n in names), key=FLUX.__ne__)
        self.tied = self.tied[: LATENTS - 1]
        self.first = 0 if self.tied[:1] == [FLUX] else 1  # the first latent is the flux
        self.columns = [names.index(name) for name in self.tied]
        self.logarithmic = [spec.parameters[i].prior == "log" for i in self.columns]
        n_tied, n_classes = len(self.tied), max(1, len(spec.classes))
        self.register_buffer("edges_C1", torch.tensor(spec.energy_edges), persistent=False)
        self.register_buffer("tied_mean_A", torch.zeros(n_tied))
        self.register_buffer("tied_scale_A", torch.ones(n_tied))
        self.register_buffer("log_flux_2", torch.tensor(LOG_FLUX))
        self.register_buffer("rates_K", torch.full((n_classes,), 1 / n_classes))
        self.encoder = SpectrumEncoder(
            spec, config.width, config.layers, config.heads, config.masked
        )
        self.to_latent = nn.Sequential(
            nn.Linear(2 * config.width, 2 * config.width),
            nn.GELU(),
            nn.Linear(2 * config.width, 2 * LATENTS),
        )
        self.decoder = FluxDecoder(LATENTS, config.decoder)
        self.background = BackgroundDecoder(spec, config.width)
        self.classifier = None
        if spec.classes:
            self.classifier = nn.Sequential(
                nn.Linear(2 * LATENTS, config.width), nn.GELU(), nn.Linear(config.width, n_classes)
            )
        self.unusual = Unusual(LATENTS, config.mixture, config.others)
        self.centres = None
        if config.clusters:
            self.centres = nn.Parameter(torch.randn(config.clusters, LATENTS))

    def learn(self, batch: SpectraBatch) -> None:
        """Set all data-derived state from a sample of the training set.

        Raises:
            InputError: an instrument of `Config.others` is unknown.
        """
        self.unusual.check()
        self.encoder.tokens.learn(batch)
        self.background.learn(batch)
        if batch.parameters_BP is not None and self.tied:
            value_BA = self.quantities(batch)
            mean_A = value_BA.nanmean(0)
            deviation_A = (value_BA - mean_A).square().nanmean(0).sqrt()
            self.tied_mean_A.copy_(mean_A.nan_to_num(nan=0.0))
            self.tied_scale_A.copy_(deviation_A.nan_to_num(nan=1.0).clamp_min(1e-3))
        crude_B = self.encoder.tokens.crude_log_flux(batch)
        if self.first == 0:
            self.log_flux_2.copy_(torch.stack([self.tied_mean_A[0], self.tied_scale_A[0]]))
        else:  # a photon of the bands has some 3e-9 erg
            self.log_flux_2.copy_(torch.stack([crude_B.mean() + math.log(3e-9), crude_B.std()]))
        if batch.class_B is not None:
            known_B = batch.class_B[~batch.class_B.isnan()].long()
            counts_K = torch.bincount(known_B, minlength=len(self.rates_K)) + 1.0
            self.rates_K.copy_(counts_K / counts_K.sum())

    def quantities(self, batch: SpectraBatch) -> Tensor:
        """Physical quantities (B, A) of the tied latents, in logarithms where their prior is."""
        assert batch.parameters_BP is not None
        columns = [
            batch.parameters_BP[:, i].clamp_min(1e-37).log() if log else batch.parameters_BP[:, i]
            for i, log in zip(self.columns, self.logarithmic, strict=True)
        ]
        return torch.stack(columns, 1)

    def encode(self, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each latent (B, L)."""
        mean_BL, raw_BL = self.to_latent(self.encoder(batch)).float().chunk(2, 1)
        crude_B = self.encoder.tokens.crude_log_flux(batch) + math.log(3e-9)
        start_B = ((crude_B - self.log_flux_2[0]) / self.log_flux_2[1]).clamp(-6, 6)
        mean_BL = torch.cat([(mean_BL[:, 0] + start_B)[:, None], mean_BL[:, 1:]], 1)
        return mean_BL, nn.functional.softplus(raw_BL - 1.0) + LEAST_SIGMA

    def log_flux(self, latent_BL: Tensor) -> Tensor:
        """Natural logarithm of the energy flux in 0.5-7 keV (B), of erg cm^-2 s^-1."""
        return self.log_flux_2[0] + self.log_flux_2[1] * latent_BL[:, 0].clamp(-8, 8)

    def reconstruct(self, latent_BL: Tensor, batch: SpectraBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Expected counts (B, C) of source and background, and the background's shape."""
        flux_BF = self.decoder(latent_BL, self.log_flux(latent_BL))
        area_BF = self.encoder.tokens.area(batch)
        source_BC = expected_counts(flux_BF, area_BF, batch, self.edges_C1)
        shape_BC, background_BC = self.background(batch)
        return source_BC, background_BC, shape_BC

    def see(self, batch: SpectraBatch) -> Seen:
        """Latents and reconstruction of spectra, as they are judged to be unusual by."""
        mean_BL, sigma_BL = self.encode(batch)
        source_BC, background_BC, shape_BC = self.reconstruct(mean_BL, batch)
        return Seen(mean_BL, sigma_BL, source_BC + background_BC, shape_BC)

    def logits(self, mean_BL: Tensor, sigma_BL: Tensor) -> Tensor:
        """Logits of the classes (B, K), from the density of the latents."""
        assert self.classifier is not None
        inputs = torch.cat([mean_BL, sigma_BL.log()], 1)
        return cast("Tensor", self.classifier(inputs)).float()
