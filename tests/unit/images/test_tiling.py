"""Tiled answers against those for the whole image."""

from dataclasses import replace

import pytest
import torch
from tests.synthetic import IMAGES, make_images

from wolter import family as families
from wolter.errors import InputError
from wolter.images.tiling import enhance, in_tiles
from wolter.models.superres import Config
from wolter.train.loop import build

pytestmark = pytest.mark.usefixtures("one_thread")
FAMILY = families.load("superres")
SMALL = Config(blocks=1, filters=8, growth=8)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("name", ["superres", "sweere2022"])
def test_tiles_give_the_answer_for_the_whole_image(name, scale):
    family = families.load(name)
    spec = replace(IMAGES, scale=scale, shape=(131, 90))  # odd, and no multiple of a tile
    module = build(family, family.config(blocks=1, filters=8, growth=8), spec, 0)
    batch = make_images(2, spec=spec, sources=60, gaps=True)
    family.normalise(module, batch)
    with torch.inference_mode():
        whole = family.predict(module.eval(), batch)
    tiled = enhance(family, module, batch, scale, tile=40)
    assert tiled.keys() == whole.keys()
    for name, value in whole.items():
        assert tiled[name].shape == (2, 131 * scale, 90 * scale)
        torch.testing.assert_close(tiled[name], value, rtol=1e-5, atol=0)


def test_a_margin_too_small_would_be_seen():
    """The comparison above can fail: one pixel less than the network reaches is not the same."""
    spec = replace(IMAGES, shape=(80, 80))
    module = build(FAMILY, replace(SMALL, interval=False), spec, 0).eval()
    batch = make_images(1, spec=spec, sources=60)

    def predict(piece):
        return FAMILY.predict(module, piece)

    with torch.inference_mode():
        whole, told = predict(batch), []
        cut = in_tiles(predict, batch, 2, margin=3, tile=40, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    difference = (cut["rate"] / whole["rate"] - 1).abs()
    assert difference.max() > 1e-4


def test_each_tile_is_small():
    spec = replace(IMAGES, shape=(50, 33))
    shapes = []

    def predict(piece):
        shapes.append(tuple(piece.counts_BHW.shape[1:]))
        return {"rate": piece.counts_BHW}

    batch = make_images(1, spec=spec)
    found = in_tiles(predict, batch, 1, margin=2, tile=10)
    assert torch.equal(found["rate"], batch.counts_BHW)
    assert len(shapes) == 5 * 4
    assert max(max(shape) for shape in shapes) <= 14


def test_families_of_spectra_are_refused():
    with pytest.raises(InputError, match="choose superres"):
        enhance(families.load("mlp"), torch.nn.Identity(), make_images(1), 1)
