#!/usr/bin/env python
"""Make the pretrained weights (models/weights): `ray job submit jobs/publish_weights.py`.

An hour with a GPU, days on two cores. `python jobs/publish_weights.py mlp superres` makes those
alone.
"""

import sys

from _published import Dataset, Recipe, Step, command, how, observed_response, standard

from wolter.home import home
from wolter.images.simulator import ImageSimulateConfig
from wolter.spectra.population.config import PopulationConfig
from wolter.spectra.response_variation import ResponseVariation
from wolter.spectra.simulator import SimulateConfig

JUDGED = 10_000  # sources that the evaluation of latents reads
EXACT = 1000  # spectra whose exact posterior the evaluation samples
SCENES = ("agn", "bright", "pairs", "cluster", "remnant", "galaxy", "web")
ENHANCER = {"blocks": 4, "filters": 24, "growth": 24}


def varied(name: str, n: int, seed: int) -> Dataset:
    """Spectra of any exposure, filter, region and background."""
    variety = ResponseVariation(("thin", "medium", "thick"), (0.5, 1.1), 0.05, backgrounds=True)
    config = SimulateConfig(exposure_s=(4e3, 125e3), variety=variety, **observed_response())
    return Dataset(name, config, n, seed)


def point_estimates(family: str, epochs: int) -> Recipe:
    """A family of point estimates, on the standard test set."""
    return Recipe(family, family, (Step(standard(), how(family, seed=1, epochs=epochs)),))


def mlp() -> Recipe:
    """Multi-layer perceptron."""
    return point_estimates("mlp", 14)


def cnn() -> Recipe:
    """Convolutional network."""
    return point_estimates("cnn", 14)


def deepspectra() -> Recipe:
    """DeepSpectra."""
    return point_estimates("deepspectra", 24)


def posterior() -> Recipe:
    """Normalising flow, on three sets of a million varied spectra."""
    sizes = {"batch_size": 4096}
    first = how("posterior", seed=1, epochs=20, learning_rate=3e-3, **sizes)
    then = how("posterior", seed=2, epochs=11, learning_rate=8e-4, **sizes)
    last = how("posterior", seed=3, epochs=30, learning_rate=1.5e-3, precision="float32", **sizes)
    steps = (
        Step(varied("varied", 1_000_000, seed=2), first),
        Step(varied("varied7", 1_000_000, seed=7), then),
        Step(varied("varied8", 1_228_800, seed=8), last),
    )
    return Recipe("posterior", "posterior", steps)


def superres() -> Recipe:
    """Super-resolution of EPIC-pn images."""
    fields = Dataset("images", ImageSimulateConfig(scenes=SCENES), n=900, seed=4)
    first = how("superres", seed=1, epochs=6, batch_size=32, learning_rate=1.5e-3)
    then = how("superres", seed=2, epochs=3, batch_size=32, learning_rate=6e-4)
    return Recipe("superres", "superres", (Step(fields, first, ENHANCER), Step(fields, then)))


def superres_denoise() -> Recipe:
    """Denoising of EPIC-pn images."""
    config = ImageSimulateConfig(scenes=SCENES, scale=1, target_background=True)
    how_to = how("superres", seed=1, epochs=10, batch_size=32, learning_rate=1.5e-3)
    step = Step(Dataset("images1", config, n=450, seed=5), how_to, ENHANCER)
    return Recipe("superres-denoise", "superres", (step,))


def autoencoder() -> Recipe:
    """Autoencoder of Chandra spectra, on a population of eight classes."""
    sources = Dataset("population", PopulationConfig(), n=393_216, seed=11)
    how_to = how("autoencoder", seed=1, epochs=9, batch_size=256)
    return Recipe("autoencoder", "autoencoder", (Step(sources, how_to),))


RECIPES = {
    "mlp": mlp,
    "cnn": cnn,
    "deepspectra": deepspectra,
    "posterior": posterior,
    "superres": superres,
    "superres-denoise": superres_denoise,
    "autoencoder": autoencoder,
}


def publish(recipe: Recipe) -> None:
    """Make a model, judge one of spectra on its test set, and write the weights."""
    model, dataset = recipe.make(), recipe.steps[-1].dataset
    words: tuple[object, ...] = ("--data", dataset.folder)
    options: tuple[object, ...] = ("--version", "champion", "--json", home() / f"{model}.json")
    if isinstance(dataset.config, SimulateConfig):
        command("evaluate", model, "--data", standard().simulate(), "--exact", EXACT, *options)
        words = (*words, "--evaluation", options[-1])
    elif isinstance(dataset.config, PopulationConfig):
        command("evaluate", model, "--data", dataset.folder, "--n", JUDGED, *options)
        words = (*words, "--evaluation", options[-1])
    command("export", model, *words)


if __name__ == "__main__":
    for name in sys.argv[1:] or RECIPES:
        publish(RECIPES[name]())
