"""The network of Sweere et al. (2022): its size, its clamp, its reach."""

from dataclasses import replace

import pytest
import torch
from tests.synthetic import IMAGES, make_images

from wolter import config as configs
from wolter import family as families
from wolter.models.sweere2022 import PRESETS, Config
from wolter.train.loop import build

pytestmark = pytest.mark.usefixtures("one_thread")
FAMILY = families.load("sweere2022")
SMALL = Config(blocks=1, filters=8, growth=8)
DENOISE = replace(IMAGES, scale=1)


def made(config=SMALL, spec=IMAGES, seed=0):
    return build(FAMILY, config, spec, seed)


@pytest.mark.parametrize(
    ("preset", "scale", "parameters"),
    [("slides", 2, 326_129), ("published", 2, 1_717_185), ("published", 1, 1_670_945)],
)
def test_it_has_the_published_number_of_parameters(preset, scale, parameters):
    module = build(FAMILY, PRESETS[preset], replace(IMAGES, scale=scale), 0)
    assert sum(p.numel() for p in module.generator.parameters()) == parameters


@pytest.mark.parametrize("spec", [IMAGES, DENOISE])
def test_it_reaches_as_far_as_it_says_and_no_further(spec):
    """By gradients: from one pixel of the answer to all of the input."""
    size = 91
    module = made(SMALL, spec).double().eval()
    with torch.no_grad():  # no gradient is cut off below zero
        for name, value in module.generator.named_parameters():
            if name.endswith("weight"):
                value.abs_()
    batch = make_images(1, spec=replace(spec, shape=(size, size)))
    batch = batch._map(lambda value: value.double())
    batch.counts_BHW = (batch.counts_BHW + 1).requires_grad_()
    output = module.generator(module.features(batch))
    middle = spec.scale * (size // 2)
    piece = slice(middle, middle + spec.scale)
    output[0, 0, piece, piece].sum().backward()
    rows, columns = batch.counts_BHW.grad[0].nonzero().T
    furthest = max((rows - size // 2).abs().max(), (columns - size // 2).abs().max())
    assert furthest == module.receptive_field


@pytest.mark.parametrize("scaling", ["linear", "sqrt", "asinh", "log"])
def test_the_answer_is_never_brighter_than_the_clamp(scaling):
    module = made(replace(SMALL, scaling=scaling)).eval()
    batch = make_images(4, spec=replace(IMAGES, exposure_s=(2e4, 2e4)))
    with torch.no_grad():
        module.generator.last.bias.fill_(10.0)
        rate_BHW = FAMILY.predict(module, batch)["rate"]
        features_BFHW = module.features(replace(batch, counts_BHW=batch.counts_BHW + 1000))
    assert rate_BHW.max() == pytest.approx(0.0005584, rel=2e-3)  # Sweere et al. (2022), at 2x
    # ... and 0.0022336 at 1x, which is the brightest that the network sees.
    assert features_BFHW[:, 0].max() <= (1.0002 if scaling == "log" else 1.0)


def test_photons_of_a_clamped_source_are_lost_and_ours_are_not():
    batch = make_images(8)
    brighter = [replace(batch, counts_BHW=factor * batch.counts_BHW) for factor in (30, 900)]
    images = [made(SMALL).features(each)[:, 0].amax((1, 2)) for each in brighter]
    assert torch.equal(*images)
    own = families.load("superres")
    ours = build(own, own.config(blocks=1), IMAGES, 0)
    logarithms = [ours.features(each)[1].amax((1, 2)) for each in brighter]
    change = logarithms[1] - logarithms[0]
    assert change.exp().mean().item() == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_as_text(name):
    assert configs.from_dict(Config, configs.to_dict(PRESETS[name])) == PRESETS[name]
