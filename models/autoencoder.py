"""Autoencoder of X-ray spectra of any source: eight latents, its class, and how unusual it is.

A transformer reads a spectrum with its background, response and exposure, and gives a normal
density of each latent. A decoder makes a photon flux of the latents, which is folded through the
spectrum's own response, and trained with the Poisson likelihood of the raw counts; the background
is modelled, not subtracted. The first latents are tied to physical quantities where the training
records know them (a density of the quantity, so that their widths are calibrated); the others are
free, as in a variational autoencoder (Kingma & Welling 2014). Class probabilities follow from the
latents alone.

Shapes: A tied latent, B batch, C channel, F narrow band, K class, L latent, P parameter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family, Range
from wolter.models._latent_density import LatentDensity, Standing, misfits
from wolter.models._spectra import Standardise
from wolter.models._spectrum_decoder import (
    BACKGROUND_COUNTS,
    BackgroundDecoder,
    FluxDecoder,
    deviance,
    expected_counts,
)
from wolter.models._spectrum_encoder import SpectrumEncoder, shortened
from wolter.outputs import Metric, Output
from wolter.spectra.schema import SpectraBatch, SpectraSpec

LATENTS = 8
FLUX = "flux_b"
LOG_FLUX = (-32.0, 3.5)  # mean and deviation of the first latent where nothing is known of fluxes
LEAST_SIGMA = 3e-3
TAIL = 3.0  # sigmas: beyond, a quantity pulls no harder


@dataclass(frozen=True)
class Config:
    """Sizes of the networks, and weights of the parts of the loss.

    Attributes:
        width: width of the transformer.
        layers: blocks of the transformer.
        heads: attention heads of a block.
        decoder: width of the decoder's layers.
        mixture: components of the density of latents, by which spectra are unusual.
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
    mixture: int = 48
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
    """Encoder to latents, decoder to fluxes, classifier and density of latents."""

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
        self.density = LatentDensity(config.mixture, LATENTS + 1)
        self.standing = Standing(4)
        self.background_rate = Standardise()
        self.centres = None
        if config.clusters:
            self.centres = nn.Parameter(torch.randn(config.clusters, LATENTS))

    def learn(self, batch: SpectraBatch) -> None:
        """Set all data-derived state from a sample of the training set."""
        self.encoder.tokens.learn(batch)
        self.background.learn(batch)
        self.background_rate.learn(_background_rate(batch))
        self.standing.learn(batch.counts_BC.sum(1))
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

    def log_density(self, mean_BL: Tensor, batch: SpectraBatch) -> Tensor:
        """Logarithm of the density of latents and background rate in the training set (B)."""
        rate_B1 = self.background_rate(_background_rate(batch))[:, None]
        return cast("Tensor", self.density(torch.cat([mean_BL, rate_B1], 1)))

    def logits(self, mean_BL: Tensor, sigma_BL: Tensor) -> Tensor:
        """Logits of the classes (B, K), from the density of the latents."""
        assert self.classifier is not None
        inputs = torch.cat([mean_BL, sigma_BL.log()], 1)
        return cast("Tensor", self.classifier(inputs)).float()


def normalise(module: nn.Module, batch: SpectraBatch) -> None:
    """Learn the module's data-derived state from a sample of the training set."""
    cast("Autoencoder", module).learn(batch)


def _known(network: Autoencoder, batch: SpectraBatch) -> tuple[Tensor, Tensor]:
    """Standardised quantities of tied latents (B, L), 0 where unknown, and where they are known."""
    n_after = LATENTS - network.first - len(network.tied)
    if not network.tied or batch.parameters_BP is None:
        nothing_BL = batch.counts_BC.new_zeros(len(batch), LATENTS)
        return nothing_BL, nothing_BL.bool()
    value_BA = (network.quantities(batch) - network.tied_mean_A) / network.tied_scale_A
    value_BL = nn.functional.pad(value_BA, (network.first, n_after), value=torch.nan)
    return value_BL.nan_to_num(nan=0.0), ~value_BL.isnan()


def _density(value_BL: Tensor, mean_BL: Tensor, sigma_BL: Tensor) -> Tensor:
    """Negative log density of quantities (B, L): normal, with exponential tails beyond 3 sigmas."""
    z_BL = ((value_BL - mean_BL) / sigma_BL).abs()
    tail_BL = TAIL * z_BL - 0.5 * TAIL**2
    return torch.where(z_BL < TAIL, 0.5 * z_BL.square(), tail_BL) + sigma_BL.log()


def loss(module: nn.Module, batch: SpectraBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the reconstruction's deviance, the latents' terms and the cross-entropy.

    Nats a record. The deviance of records brighter than `Config.bright` counts is scaled down.
    Latents are drawn from their densities where nothing ties them; a tied one is its mean, for its
    density is that of the quantity.
    """
    network = cast("Autoencoder", module)
    config = network.config
    if module.training and config.shortened > 0:
        batch = shortened(batch, config.shortened)
    mean_BL, sigma_BL = network.encode(batch)
    value_BL, known_BL = _known(network, batch)
    latent_BL = mean_BL
    if module.training:
        latent_BL = mean_BL + sigma_BL * torch.randn_like(sigma_BL) * ~known_BL
    source_BC, background_BC, shape_BC = network.reconstruct(latent_BL, batch)
    total_B = batch.counts_BC.sum(1)
    deviance_B = deviance(batch.counts_BC, source_BC + background_BC)
    weight_B = config.bright / total_B.clamp_min(config.bright)
    entropy_B = -(batch.background_BC * shape_BC.clamp_min(1e-9).log()).sum(1)
    entropy_B = entropy_B / batch.background_BC.sum(1).clamp_min(1)
    tied_BL = _density(value_BL, mean_BL, sigma_BL).where(known_BL, 0)
    information_BL = 0.5 * (mean_BL.square() + sigma_BL.square() - 1) - sigma_BL.log()
    information_B = information_BL.where(~known_BL, 0).sum(1)
    class_loss, right = _classes(network, mean_BL, sigma_BL, batch)
    log_density_B = network.log_density(mean_BL.detach(), batch)
    parts = {
        "deviance": (0.5 * weight_B * deviance_B).mean(),
        "background": entropy_B.mean(),
        "tied": tied_BL.sum(1).mean(),
        "information": (weight_B * information_B).mean(),
        "entropy": class_loss,
        "density": -log_density_B.mean(),
    }
    total = (
        parts["deviance"]
        + parts["background"]
        + config.tied_weight * parts["tied"]
        + config.free_weight * parts["information"]
        + config.class_weight * parts["entropy"]
        + parts["density"]
    )
    if network.centres is not None:
        distance_BK = torch.cdist(mean_BL, network.centres).square()
        parts["clusters"] = distance_BK.amin(1).mean()
        total = total + config.cluster_weight * parts["clusters"]
    if module.training:
        with torch.no_grad():
            expected = (source_BC + background_BC, shape_BC)
            network.standing.follow(total_B, _scores(batch, *expected, log_density_B))
    parts = {name: value.detach() for name, value in parts.items()}
    return total, parts | {"accuracy": right.detach()}


def _classes(
    network: Autoencoder, mean_BL: Tensor, sigma_BL: Tensor, batch: SpectraBatch
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the classes, nats, and the share of records in the right one.

    Records of rare classes weigh more, by the root of their rarity, and the logits are shifted by
    the same weights (logit adjustment, Menon et al. 2021), so that the probabilities stay those of
    the training set's mix.
    """
    if batch.class_B is None or network.classifier is None:
        zero = mean_BL.sum() * 0
        return zero, zero
    known_B = ~batch.class_B.isnan()
    true_B = batch.class_B.nan_to_num(nan=0.0).long()
    logits_BK = network.logits(mean_BL, sigma_BL)
    weight_K = network.rates_K.rsqrt()
    shifted_BK = logits_BK + weight_K.log()
    entropy_B = nn.functional.cross_entropy(shifted_BK, true_B, reduction="none")
    weight_B = weight_K[true_B] * known_B
    right_B = (logits_BK.argmax(1) == true_B) & known_B
    share = right_B.sum() / known_B.sum().clamp_min(1)
    return (entropy_B * weight_B).sum() / weight_B.sum().clamp_min(1e-9), share


def _background_rate(batch: SpectraBatch) -> Tensor:
    """Logarithm of the background's rate in the source region (B), counts/s."""
    counts_B = batch.background_BC.sum(1) + BACKGROUND_COUNTS
    rate_B = counts_B * batch.background_scale_B / batch.exposure_B.clamp_min(1.0)
    return rate_B.clamp_min(1e-9).log()


def _scores(
    batch: SpectraBatch, expected_BC: Tensor, shape_BC: Tensor, log_density_B: Tensor
) -> Tensor:
    """Scores of being unusual (B, 4).

    Two of the reconstruction's misfit, one of the background's, and the emptiness of the place of
    latents and background rate.
    """
    region_BC = batch.background_BC
    background_B2 = misfits(region_BC, shape_BC * region_BC.sum(1, keepdim=True))
    own_B2 = misfits(batch.counts_BC, expected_BC)
    return torch.cat([own_B2, background_B2[:, :1], -log_density_B[:, None]], 1)


def measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Deviance a channel, and errors of class and tied quantities, on held-out records."""
    network = cast("Autoencoder", module)
    mean_BL, sigma_BL = network.encode(batch)
    source_BC, background_BC, _ = network.reconstruct(mean_BL, batch)
    deviance_B = deviance(batch.counts_BC, source_BC + background_BC)
    entropy, right = _classes(network, mean_BL, sigma_BL, batch)
    value_BL, known_BL = _known(network, batch)
    tied_BL = _density(value_BL, mean_BL, sigma_BL).where(known_BL, 0)
    return {
        "deviance": (deviance_B / batch.counts_BC.shape[1]).mean(),
        "entropy": entropy,
        "accuracy": 100 * right,
        "tied": tied_BL.sum(1).mean(),
    }


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Latents with widths, class probabilities, flux, anomaly and expected counts.

    A spectrum without counts gets what is known before any: latents 0 +- 1, the classes'
    frequencies, and an anomaly of 0.
    """
    network = cast("Autoencoder", module)
    mean_BL, sigma_BL = network.encode(batch)
    source_BC, background_BC, shape_BC = network.reconstruct(mean_BL, batch)
    expected_BC = source_BC + background_BC
    total_B = batch.counts_BC.sum(1)
    deviance_B = deviance(batch.counts_BC, expected_BC)
    log_density_B = network.log_density(mean_BL, batch)
    anomaly_B = network.standing(total_B, _scores(batch, expected_BC, shape_BC, log_density_B))
    none_B = total_B == 0
    none_B1 = none_B[:, None]
    values = {
        "latent": torch.where(none_B1, 0.0, mean_BL),
        "latent_sigma": torch.where(none_B1, 1.0, sigma_BL),
        "flux": network.log_flux(mean_BL).exp().where(~none_B, 0.0),
        "anomaly": anomaly_B.where(~none_B, 0.0),
        "deviance": deviance_B,
        "reconstruction": torch.where(none_B1, background_BC, expected_BC),
    }
    if network.classifier is not None:
        p_BK = network.logits(mean_BL, sigma_BL).softmax(1)
        p_BK = torch.where(none_B1, network.rates_K, p_BK)
        columns = map(column, network.classes)
        values |= dict(zip(columns, p_BK.unbind(1), strict=True))
    return values


def column(name: str) -> str:
    """Name of the column of a class's probability: `p_lm_star` of LM-STAR."""
    return f"p_{name.lower().replace('-', '_')}"


def outputs(_config: Config, spec: SpectraSpec) -> tuple[Output, ...]:
    """Declared outputs of `predict`."""
    classes = [
        Output(column(name), f"probability of the class {name}", ucd="stat.probability")
        for name in spec.classes
    ]
    return (
        Output("latent", "coordinate of the latent space", axes="L"),
        Output("latent_sigma", "standard deviation of the latent", axes="L", ucd="stat.error"),
        *classes,
        Output(
            "flux",
            "energy flux in 0.5-7 keV, as observed",
            "erg cm^-2 s^-1",
            ucd="phot.flux;em.X-ray",
        ),
        Output("anomaly", "distance from the training spectra, in sigmas"),
        Output("deviance", "Poisson deviance of the reconstruction", ucd="stat.fit.chi2"),
        Output("reconstruction", "expected counts of source and background", "count", "C"),
    )


PRESETS: Mapping[str, Config] = {
    "free": Config(tied=(), class_weight=0.0),
    "clustered": Config(tied=(), class_weight=0.0, clusters=16),
}

FAMILY = Family(
    name="autoencoder",
    task="spectra/embedding",
    config=Config,
    build=Autoencoder,
    normalise=normalise,
    loss=loss,
    predict=predict,
    outputs=outputs,
    measure=measure,
    metrics=(
        Metric("deviance", "lower", "Poisson deviance a channel", headline=True),
        Metric("entropy", "lower", "cross-entropy of the classes", "nat"),
        Metric("accuracy", "higher", "spectra in the right class", "%", headline=True),
        Metric("tied", "lower", "negative log density of physical quantities", "nat"),
    ),
    search_space={
        "width": Choice((48, 64, 96)),
        "layers": Choice((2, 3, 4)),
        "decoder": Choice((128, 256, 384)),
        "tied_weight": Range(0.5, 4.0, log=True),
        "class_weight": Range(1.0, 8.0, log=True),
        "masked": Choice((0.0, 0.05, 0.15, 0.3)),
    },
    defaults={"batch_size": 256, "learning_rate": 2e-3, "epochs": 20},
    presets=PRESETS,
)
