"""Autoencoder of X-ray spectra of any source: eight latents, its class, and how unusual it is.

A transformer reads a spectrum with its background, response and exposure, and gives a normal
density of each latent. A decoder makes a photon flux of the latents, which is folded through the
spectrum's own response, and trained with the Poisson likelihood of the raw counts; the background
is modelled, not subtracted. The first latents are tied to physical quantities where the training
records know them (a density of the quantity, so that their widths are calibrated); the others are
free, as in a variational autoencoder (Kingma & Welling 2014). Class probabilities follow from the
latents alone.

Shapes: B batch, C channel, K class, L latent.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from wolter.family import Choice, Family, Range
from wolter.models._autoencoder import LATENTS, Autoencoder, Config
from wolter.models._latent_fit import fit_latents
from wolter.models._spectrum_decoder import deviance
from wolter.models._spectrum_encoder import shortened
from wolter.models._unusual import Seen
from wolter.outputs import Metric, Output
from wolter.spectra.outputs import ANOMALY, class_column
from wolter.spectra.refinement import Refined, Refinement
from wolter.spectra.schema import SpectraBatch, SpectraSpec

TAIL = 3.0  # sigmas: beyond, a quantity pulls no harder


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
    parts = {
        "deviance": (0.5 * weight_B * deviance_B).mean(),
        "background": entropy_B.mean(),
        "tied": tied_BL.sum(1).mean(),
        "information": (weight_B * information_B).mean(),
        "entropy": class_loss,
    }
    total = (
        parts["deviance"]
        + parts["background"]
        + config.tied_weight * parts["tied"]
        + config.free_weight * parts["information"]
        + config.class_weight * parts["entropy"]
    )
    if network.centres is not None:
        distance_BK = torch.cdist(mean_BL, network.centres).square()
        parts["clusters"] = distance_BK.amin(1).mean()
        total = total + config.cluster_weight * parts["clusters"]
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


def settle(module: nn.Module, batches: Iterator[SpectraBatch]) -> None:
    """Learn what is unusual from training spectra, as the trained network sees them."""
    network = cast("Autoencoder", module)
    network.unusual.learn(batches, network.see, network.edges_C1)


def measure(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Deviance a channel, and errors of class and tied quantities, on held-out records.

    Those of what no record of the batch knows are left out.
    """
    network = cast("Autoencoder", module)
    mean_BL, sigma_BL = network.encode(batch)
    source_BC, background_BC, _ = network.reconstruct(mean_BL, batch)
    deviance_B = deviance(batch.counts_BC, source_BC + background_BC)
    entropy, right = _classes(network, mean_BL, sigma_BL, batch)
    values = {"deviance": (deviance_B / batch.counts_BC.shape[1]).mean()}
    class_B = batch.class_B if network.classifier is not None else None
    if class_B is not None and not class_B.isnan().all():
        values |= {"entropy": entropy, "accuracy": 100 * right}
    value_BL, known_BL = _known(network, batch)
    if known_BL.any():
        tied_BL = _density(value_BL, mean_BL, sigma_BL).where(known_BL, 0)
        values["tied"] = tied_BL.sum(1).mean()
    return values


def predict(module: nn.Module, batch: SpectraBatch) -> dict[str, Tensor]:
    """Latents with widths, class probabilities, flux, anomaly and expected counts.

    A spectrum without counts gets what is known before any: latents 0 +- 1, the classes'
    frequencies, an anomaly of 0, and the background alone as its reconstruction.
    """
    network = cast("Autoencoder", module)
    mean_BL, sigma_BL = network.encode(batch)
    source_BC, background_BC, shape_BC = network.reconstruct(mean_BL, batch)
    none_B = batch.counts_BC.sum(1) == 0
    none_B1 = none_B[:, None]
    expected_BC = torch.where(none_B1, background_BC, source_BC + background_BC)
    deviance_B = deviance(batch.counts_BC, expected_BC)
    seen = Seen(mean_BL, sigma_BL, expected_BC, shape_BC)
    anomaly_B = network.unusual(batch, seen, network.edges_C1)
    values = {
        "latent": torch.where(none_B1, 0.0, mean_BL),
        "latent_sigma": torch.where(none_B1, 1.0, sigma_BL),
        "flux": network.log_flux(mean_BL).exp().where(~none_B, 0.0),
        "anomaly": anomaly_B.where(~none_B, 0.0),
        "deviance": deviance_B,
        "reconstruction": expected_BC,
    }
    if network.classifier is not None:
        p_BK = network.logits(mean_BL, sigma_BL).softmax(1)
        p_BK = torch.where(none_B1, network.rates_K, p_BK)
        columns = map(class_column, network.classes)
        values |= dict(zip(columns, p_BK.unbind(1), strict=True))
    return values


def refine(module: nn.Module, batch: SpectraBatch, values: Mapping[str, Tensor]) -> Refined:
    """Latents fitted to the counts, with their widths, flux, deviance and expected counts.

    Classes and anomaly stay those of the encoder's latents, which they were learnt from.
    """
    network = cast("Autoencoder", module)
    fitted_B = batch.counts_BC.sum(1) > 0
    fit = fit_latents(network, batch, values["latent"])
    found = {
        "latent": fit.latent_BL,
        "latent_sigma": fit.sigma_BL,
        "flux": network.log_flux(fit.latent_BL).exp(),
        "deviance": deviance(batch.counts_BC, fit.expected_BC),
        "reconstruction": fit.expected_BC,
    }
    for name, value in found.items():
        mask = fitted_B.reshape(-1, *[1] * (value.ndim - 1))
        found[name] = torch.where(mask, value, values[name])
    return Refined(found, fitted_B, fit.converged_B)


def outputs(_config: Config, spec: SpectraSpec) -> tuple[Output, ...]:
    """Declared outputs of `predict`."""
    classes = [
        Output(class_column(name), f"probability of the class {name}", ucd="stat.probability")
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
        ANOMALY,
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
    settle=settle,
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
    abilities=(Refinement(refine),),
)
