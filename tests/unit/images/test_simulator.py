import dataclasses
import itertools

import numpy as np
import pyarrow as pa
import pytest
import torch

from wolter.data.shards import (
    Manifest,
    open_dataset,
    table_to_numpy,
    to_batch,
    write_manifest,
    write_shard,
)
from wolter.errors import InputError
from wolter.images.schema import ImageBatch, ImageSpec
from wolter.images.shards import image_table, round_mantissa
from wolter.images.simulate import field_table
from wolter.images.simulator import PILED, ImageSimulateConfig, ImageSimulator, tile_corners
from wolter.images.tiles import cut, tile_starts
from wolter.xray.imaging.background import estimate_background
from wolter.xray.instruments import epic_pn_camera as camera

CONFIG = ImageSimulateConfig(scenes=("agn", "cluster"), exposure_s=(20e3, 20e3))


@pytest.fixture(scope="module")
def simulator():
    return ImageSimulator(CONFIG)


@pytest.fixture(scope="module")
def field(simulator):
    return simulator.draw(seed=1, index=0)


def test_a_field_is_a_pair_of_whole_frames(field, simulator):
    pair = field.pair
    assert pair.counts_BHW.shape == (1, 416, 416)
    assert pair.target_BHW.shape == (1, 832, 832)
    assert field.kind in CONFIG.scenes
    in_place = (1 - field.how.out_of_time) * 20_000
    assert float(pair.exposure_BHW.max()) == pytest.approx(in_place, rel=0.01)
    assert float(pair.target_exposure_BHW.max()) == pytest.approx(100_000, rel=0.01)
    dark = pair.exposure_BHW == 0
    assert bool((pair.counts_BHW[dark] == 0).all() & (pair.expected_BHW[dark] == 0).all())
    wide, sharp = simulator.spec.psf_fwhm_arcsec
    assert wide == pytest.approx(1.9 * sharp)


@pytest.mark.parametrize("scale", [1, 2])
def test_no_pixel_is_so_bright_that_photons_pile_up(scale):
    """Scenes of the tail would be: their point sources are dimmed with all else."""
    config = dataclasses.replace(CONFIG, scenes=("bright",), scale=scale, background=(1e-9, 1e-9))
    simulator, piled = ImageSimulator(config), 0
    for index in range(6):
        field = simulator.draw(4, index)
        scene, _ = simulator.scene(4, index)
        peak = float(field.pair.expected_target_BHW.max()) / config.target_exposure_s
        dimmed = field.scene.point_N3[:, 2] / scene.point_N3[:, 2]
        assert float(dimmed.max() - dimmed.min()) < 1e-5
        assert peak <= PILED * (1 + 1e-4)
        piled += bool(dimmed[0] < 1)
        assert (peak > 0.8 * PILED) or not dimmed[0] < 1
    assert 0 < piled < 6


def test_the_told_background_is_estimated_from_the_photons_alone():
    config = dataclasses.replace(CONFIG, estimated=1.0, out_of_time=(0.0,))
    pair = ImageSimulator(config).draw(1, 0).pair
    estimate_HW = estimate_background(pair.counts_BHW[0], pair.exposure_BHW[0])
    assert torch.equal(pair.background_BHW[0], estimate_HW)


def test_a_target_with_background_is_what_a_longer_observation_would_be():
    config = dataclasses.replace(
        CONFIG, scenes=("bright",), scale=1, target_background=True, out_of_time=(0.063,)
    )
    pair = ImageSimulator(config).draw(1, 0).pair
    ratio = pair.expected_target_BHW / pair.expected_BHW
    seen = pair.exposure_BHW > 0
    assert ratio[seen].numpy() == pytest.approx(5.0, rel=1e-4)


def test_sources_and_what_is_told_make_up_what_is_seen():
    """Photons out of time included, of which a source's own exposure knows nothing."""
    config = dataclasses.replace(
        CONFIG, scenes=("cluster",), out_of_time=(0.063,), estimated=0.0, background_error=0.0
    )
    made = ImageSimulator(config)
    pair = made.draw(1, 0).pair
    rate_HW = made.imager.rates(made.scene(1, 0)[0], made.counts_per_flux)["input"]
    told = (rate_HW * pair.exposure_BHW[0] / made.imager.vignetting[1]).sum()
    total = float(told + pair.background_BHW.sum())
    assert total == pytest.approx(float(pair.expected_BHW.sum()), rel=0.01)


@pytest.mark.parametrize("name", ["", "target_"])
def test_photons_are_drawn_from_what_is_expected(field, name):
    drawn = field.pair.target_BHW if name else field.pair.counts_BHW
    expected = getattr(field.pair, f"expected_{name}BHW").double()
    total = float(expected.sum())
    assert abs(float(drawn.double().sum()) - total) < 5 * total**0.5
    used = expected > 1e-3
    squares = ((drawn.double() - expected) ** 2 / expected)[used]
    error = float((2 + 1 / expected[used]).sum().sqrt()) / int(used.sum())
    assert abs(float(squares.mean()) - 1) < 5 * error


def test_the_target_is_without_background_unless_asked_for(field):
    assert float(field.pair.expected_target_BHW.min()) == 0
    live = field.pair.target_exposure_BHW > 0
    lowest = field.pair.expected_target_BHW[live].min()
    both = ImageSimulator(dataclasses.replace(CONFIG, target_background=True)).draw(1, 0).pair
    # at least the particles, seldom below a tenth of the level
    assert float(both.expected_target_BHW[live].min()) > float(lowest) + 100e3 * 5e-6 / 4 * 0.2


def test_denoising_pairs_have_one_pixel_size_and_one_psf():
    simulator = ImageSimulator(dataclasses.replace(CONFIG, scale=1, target_background=True))
    pair = simulator.draw(1, 0).pair
    assert pair.target_BHW.shape == (1, 416, 416)
    assert simulator.spec.psf_fwhm_arcsec[0] == simulator.spec.psf_fwhm_arcsec[1]
    assert simulator.spec.scale == 1


def test_a_field_depends_on_seed_and_index_alone(simulator, field):
    again = ImageSimulator(CONFIG).draw(1, 0).pair
    other = simulator.draw(1, 1).pair
    for name, value in vars(field.pair).items():
        assert torch.equal(value, getattr(again, name)), name
    assert not torch.equal(other.counts_BHW, field.pair.counts_BHW)
    assert not torch.equal(simulator.draw(2, 0).pair.counts_BHW, field.pair.counts_BHW)


def test_redrawing_gives_other_photons_of_the_same_sky(field):
    again = field.pair.redraw(torch.Generator().manual_seed(5))
    assert not torch.equal(again.counts_BHW, field.pair.counts_BHW)
    assert torch.equal(again.expected_BHW, field.pair.expected_BHW)


@pytest.mark.parametrize(("tile", "overlap"), [(128, 32), (128, 0), (100, 10), (0, 0), (416, 8)])
def test_tiles_cover_the_frame_and_overlap(tile, overlap):
    starts = tile_starts(416, tile, overlap)
    size = tile or 416
    assert starts[0] == 0
    assert starts[-1] + size == 416
    assert all(b <= a + size - overlap for a, b in itertools.pairwise(starts))


def test_tiles_of_input_and_target_show_the_same_sky(simulator, field):
    tiles = simulator.tiles(field.pair)
    corners = tile_corners(CONFIG)
    assert len(tiles) == len(corners) == 16
    row, column = corners[6]
    assert torch.equal(
        tiles.counts_BHW[6], field.pair.counts_BHW[0, row : row + 128, column : column + 128]
    )
    assert torch.equal(
        tiles.target_BHW[6],
        field.pair.target_BHW[0, 2 * row : 2 * row + 256, 2 * column : 2 * column + 256],
    )
    assert cut(field.pair, 0, 0, 416, 2).target_BHW.shape == (1, 832, 832)


def test_a_shard_gives_back_what_went_in(tmp_path, simulator, field):
    table = field_table(simulator, 1, 0)
    assert len(set(table["source_id"].to_pylist())) == 1
    assert len(set(table["split_key"].to_pylist())) == 1
    shard = write_shard(tmp_path, 0, table)
    manifest = Manifest("images", simulator.spec, {}, 1, "", (shard,))
    assert write_manifest(tmp_path, manifest).manifest.rows == 16
    opened = open_dataset(tmp_path, verify=True)
    assert isinstance(opened.spec, ImageSpec)
    assert opened.spec == simulator.spec
    read = to_batch(table_to_numpy(opened.read(0)), "images")
    tiles = simulator.tiles(field.pair)
    assert torch.equal(read.counts_BHW, tiles.counts_BHW)
    assert torch.equal(read.target_BHW, tiles.target_BHW)
    assert torch.allclose(read.exposure_BHW, tiles.exposure_BHW, rtol=2**-12, atol=0)
    for name in ("expected_BHW", "expected_target_BHW", "background_BHW"):
        assert torch.allclose(getattr(read, name), getattr(tiles, name), rtol=2**-11, atol=3.1e-8)
    types = {name: table.schema.field(name).type.value_type for name in ("counts", "expected")}
    assert types == {"counts": pa.uint16(), "expected": pa.float16()}


def test_photons_that_were_not_taken_stay_nan():
    one = torch.ones(1, 2, 2)
    gap = torch.tensor([[[1.0, float("nan")], [2.0, 3.0]]])
    table = image_table(ImageBatch(one, one, one, target_BHW=gap), {})
    read = to_batch(table_to_numpy(table), "images")
    assert torch.equal(read.target_BHW.isnan(), gap.isnan())
    assert read.expected_BHW is None


def test_rounding_keeps_twelve_bits():
    values = np.random.default_rng(0).uniform(1, 1e5, 10_000).astype(np.float32)
    rounded = round_mantissa(values, 12)
    assert np.abs(rounded / values - 1).max() <= 2.0**-12
    assert round_mantissa(np.array([0.0, 4096.0], np.float32), 12).tolist() == [0.0, 4096.0]
    assert (rounded.view(np.uint32) & 0xFFF == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exposure_s": (0.0, 1.0)}, "exposure_s = 0.0, 1.0: give 0 < low <= high"),
        ({"target_exposure_s": 0.0}, "target_exposure_s = 0.0"),
        ({"scale": 3}, "scale = 3: give 1 to denoise or 2"),
        ({"scenes": ("nebula",)}, "unknown scene nebula; choose from: agn, bright, pairs"),
        ({"scenes": ()}, "unknown scene"),
        ({"tile": 500}, "tile = 500"),
        ({"overlap": 128}, "overlap = 128"),
    ],
)
def test_bad_configs(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CONFIG, **change)


def test_maps_are_scenes_too(tmp_path):
    from astropy.io import fits

    fits.writeto(tmp_path / "halo.fits", np.ones((32, 32), np.float32))
    config = ImageSimulateConfig(scenes=(), maps=(str(tmp_path / "halo.fits"),))
    simulator = ImageSimulator(config)
    field = simulator.draw(0, 0)
    assert field.kind == "map halo.fits"
    assert field.scene.brightness_FF is not None
    assert float(field.pair.expected_target_BHW.sum()) > 0
    with pytest.raises(InputError, match=r"nowhere\.fits: no such file"):
        ImageSimulator(dataclasses.replace(config, maps=("nowhere.fits",)))
    assert field.pair.counts_BHW.shape[1] == camera.FRAME


def test_only_a_known_camera_makes_images(simulator):
    assert simulator.spec.instrument == "XMM/EPN/Thin"
    thick = ImageSimulator(dataclasses.replace(CONFIG, filter="thick"))
    assert thick.spec.instrument == "XMM/EPN/Thick"
    assert thick.counts_per_flux["agn"] < 0.85 * simulator.counts_per_flux["agn"]
    with pytest.raises(InputError, match="instrument acis_s: its camera is not known"):
        ImageSimulator(dataclasses.replace(CONFIG, instrument="acis_s"))
