"""A family of images goes through the same runs as families of spectra."""

from dataclasses import replace

import pytest
import torch
from tests.synthetic import IMAGES, make_image_dataset, make_images

from wolter import config as configs
from wolter import family as families
from wolter.commands import train as command
from wolter.errors import InputError
from wolter.models.sweere2022 import PRESETS
from wolter.registry.checkpoint import load_model
from wolter.train.job import make_job
from wolter.train.loop import TrainConfig, default_config
from wolter.train.runner import train_local

SMALL = {"blocks": 1, "filters": 8, "growth": 8}
CONFIG = TrainConfig(epochs=3, batch_size=8, device="cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_image_dataset(tmp_path_factory.mktemp("images"), 60)


@pytest.fixture(scope="module")
def run(images, home):
    epochs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WOLTER_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        result = train_local(
            "superres",
            images.path,
            config=SMALL,
            train=CONFIG,
            experiment="images",
            on_epoch=epochs.append,
        )
    return result, epochs


def test_a_run_lowers_the_deviance_of_held_out_images(run):
    result, epochs = run
    assert epochs[-1].train["poisson"] < epochs[0].train["poisson"]
    assert epochs[-1].validation["deviance"] < epochs[0].validation["deviance"]
    model = load_model(result.checkpoint)
    assert model.card.spec == IMAGES
    with torch.no_grad():
        found = model.family.predict(model.module, make_images(2))
    assert found["rate"].shape == (2, 32, 32)


def test_fine_tuning_goes_on_from_weights_on_real_pairs(run, store, tmp_path):
    """Real pairs have no noise-free images, another number of pixels and another instrument."""
    spec = replace(IMAGES, shape=(20, 12), instrument="XMM/EPN/Medium", target_background=True)
    pairs = make_image_dataset(tmp_path, 40, spec=spec)
    tuned = train_local("superres", pairs.path, train=CONFIG, start=run[0].checkpoint)
    card = load_model(tuned.checkpoint).card
    assert {key: card.config[key] for key in SMALL} == SMALL
    other = make_image_dataset(tmp_path / "other", 40, spec=replace(IMAGES, scale=1))
    with pytest.raises(InputError, match=r"makes 2x images of 4\.0. pixels"):
        make_job("superres", other, start=run[0].checkpoint)


def test_intervals_alone_go_on_learning(run, images, store):
    """As after fine-tuning on real pairs, where no truth teaches them: rates stay the same."""
    config = replace(CONFIG, epochs=1, trainable=("intervals",), seed=7)
    start = load_model(run[0].checkpoint)
    tuned = load_model(
        train_local("superres", images.path, train=config, start=run[0].checkpoint).checkpoint
    )
    with torch.no_grad():
        first, then = (m.family.predict(m.module, make_images(2)) for m in (start, tuned))
    assert torch.equal(first["rate"], then["rate"])
    assert not torch.equal(first["upper"], then["upper"])
    assert tuned.card.trainable == ("intervals",)
    assert tuned.card.dataset["rows"] == 60
    (earlier,) = tuned.card.lineage
    assert (earlier["seed"], earlier["trainable"]) == (CONFIG.seed, [])
    assert earlier["dataset_sha256"] == start.card.dataset_sha256


def test_observed_images_are_not_mixed_in(images):
    with pytest.raises(InputError, match="then with --from on observed ones"):
        make_job("superres", images, SMALL, observed=images.path)


def test_spectra_are_refused(dataset):
    with pytest.raises(InputError, match="holds spectra and superres reads images"):
        make_job("superres", dataset)


def test_a_family_has_its_own_way_to_train(images):
    family = families.load("superres")
    assert default_config(family) == replace(TrainConfig(), batch_size=16)
    assert make_job("superres", images, SMALL).train.batch_size == 16
    made = command.command(["superres"])("superres")
    assert (made.train.batch_size, made.experiment) == (16, "images")
    spectra = command.command(["mlp"])("mlp")
    assert (spectra.train, spectra.experiment) == (TrainConfig(), "spectra")


@pytest.mark.parametrize("arguments", [["--preset", "slides"], ["--preset=slides"]])
def test_presets_are_configs_to_start_from(arguments):
    made = command.command(["sweere2022", *arguments])("sweere2022")
    assert made.model == PRESETS["slides"]
    given = made._config()
    assert given["adversarial"] == 0.01
    assert configs.from_dict(type(made.model), given) == PRESETS["slides"]


def test_an_unknown_preset_is_an_error_that_lists_the_known():
    with pytest.raises(InputError, match=r"--preset large: not one of sweere2022's \(slides, publ"):
        command.command(["sweere2022", "--preset", "large"])("sweere2022")
    with pytest.raises(InputError, match="it has none"):
        command.command(["mlp", "--preset", "large"])("mlp")
