"""Shards, readers and specs of images, where they are not those of spectra."""

from dataclasses import fields, replace

import pytest
import torch
from tests.synthetic import IMAGES, SPEC, make_batch, make_image_dataset, make_images

from wolter import config as configs
from wolter.data.batches import BatchConfig, fits, local_reader, read_split, sample_split
from wolter.data.record_kinds import kind_of, names, record_kind
from wolter.data.shards import open_dataset, to_batch, to_table
from wolter.errors import InputError
from wolter.registry.checkpoint import Card


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_image_dataset(tmp_path_factory.mktemp("images"), 40)


def same(a, b):
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@pytest.mark.parametrize("kind", names())
def test_every_column_is_an_attribute_of_the_batch(kind):
    attributes = {field.name for field in fields(record_kind(kind).batch)}
    assert set(record_kind(kind).columns.values()) <= attributes
    assert attributes - set(record_kind(kind).columns.values()) <= {"observed_B"}  # set when mixing


@pytest.mark.parametrize(
    ("kind", "spec", "make"), [("spectra", SPEC, make_batch), ("images", IMAGES, make_images)]
)
def test_a_row_takes_the_memory_that_is_planned_for(kind, spec, make):
    batch = make(9)
    assert kind_of(batch) is record_kind(kind)
    bytes_of_all = sum(v.nbytes for v in vars(batch).values() if v is not None)
    assert bytes_of_all / 9 == pytest.approx(record_kind(kind).row_bytes(spec), rel=0.05)


def test_large_images_come_in_smaller_batches_than_spectra():
    frames = replace(IMAGES, shape=(416, 416))
    assert record_kind("images").batch_rows(frames) < 10
    assert record_kind("images").sample_rows(frames) < 200
    assert (record_kind("spectra").batch_rows(SPEC), record_kind("spectra").sample_rows(SPEC)) == (
        2048,
        16_384,
    )


def test_images_are_read_as_they_were_written(dataset):
    assert open_dataset(dataset.path, verify=True).spec == IMAGES
    assert same(read_split(dataset, "all"), make_images(40))


def test_what_is_not_known_has_no_column():
    real = replace(make_images(3), expected_BHW=None, expected_target_BHW=None)
    assert "expected" not in to_table(real, {}).column_names
    assert not real.has_expected
    columns = {"counts": real.counts_BHW.numpy()} | {
        name: real.exposure_BHW.numpy() for name in ("exposure", "background")
    }
    assert to_batch(columns, "images").target_BHW is None


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_every_epoch_draws_new_photons_of_the_same_images(dataset, cache_bytes):
    assert fits(dataset, 2**30)
    reader = local_reader(dataset, "train", BatchConfig(size=8, cache_bytes=cache_bytes))
    first, again, second = (list(reader(epoch)) for epoch in (0, 0, 1))
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    counts = [torch.cat([b.counts_BHW for b in epoch]).sum() for epoch in (first, second)]
    truth = [torch.cat([b.expected_BHW for b in epoch]).sum() for epoch in (first, second)]
    assert counts[0] != counts[1]
    assert truth[0].item() == pytest.approx(truth[1].item(), rel=1e-5)
    assert counts[0].item() == pytest.approx(truth[0].item(), rel=0.05)


def test_input_and_target_share_no_photon():
    """Draws of pixels with the same expected counts do not go together."""
    spec = replace(IMAGES, scale=1, target_exposure_s=2e4, psf_fwhm_arcsec=(10.0, 10.0))
    batch = make_images(200, spec=spec)
    batch = batch.redraw(torch.Generator().manual_seed(5))
    left = batch.counts_BHW - batch.expected_BHW
    right = batch.target_BHW - batch.expected_target_BHW
    correlation = torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1]
    assert abs(correlation) < 4 / left.numel() ** 0.5 * 3  # bright pixels weigh more than others


def test_a_sample_is_spread_over_the_files(dataset):
    assert len(sample_split(dataset, "train", 10)) == 10


@pytest.mark.parametrize("spec", [SPEC, IMAGES])
def test_a_card_knows_the_kind_of_its_spec(spec):
    card = Card("any", {}, spec)
    assert configs.from_dict(Card, configs.to_dict(card)) == card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sounds"}, "kind 'sounds' is none of spectra, images"),
        ({"colour": 1}, "unknown key colour"),
        ({"scale": "2"}, "'2' is not of type int"),
    ],
)
def test_bad_specs_are_errors_that_name_the_value(change, message):
    values = configs.to_dict(Card("any", {}, IMAGES))
    values["spec"] |= change
    with pytest.raises(InputError, match=message):
        configs.from_dict(Card, values)


def test_a_spec_without_a_kind_is_of_spectra():
    values = configs.to_dict(Card("any", {}, SPEC))
    del values["spec"]["kind"]
    assert configs.from_dict(Card, values).spec == SPEC


def test_weights_go_on_only_with_images_of_the_same_pixels():
    assert IMAGES.mismatch(replace(IMAGES, shape=(99, 50), instrument="other")) == ""
    assert "makes 2x images" in IMAGES.mismatch(replace(IMAGES, scale=1))
    assert '4.0" pixels' in IMAGES.mismatch(replace(IMAGES, pixel_arcsec=2.0))
