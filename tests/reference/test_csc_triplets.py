"""Spectra of the Chandra Source Catalog as they come from its archive: pha3, arf3 and rmf3."""

import shutil

import numpy as np
import pytest
import torch
from astropy.io import fits
from tests.multimodal import group

from wolter.registry import pretrained
from wolter.registry.checkpoint import load_model
from wolter.spectra.grid import acis_grid
from wolter.spectra.ingest import IngestConfig, read_spectra
from wolter.spectra.mmu.counts import GroupedSpectrum, recover
from wolter.spectra.reading import read_record
from wolter.xray.spectral.observation import read_observation
from wolter.xray.spectral.response import channel_bins

pytestmark = pytest.mark.reference

TRIPLETS = ("acisf01575_001N001_r0085_pha3.fits.gz", "acisf04487_001N023_r0009_pha3.fits.gz")
NAMED = {  # header words in place of the right names
    "none": {"RESPFILE": "none", "ANCRFILE": "NONE", "BACKFILE": "none"},
    "otherwise": {"RESPFILE": "rmf.fits", "ANCRFILE": "arf.fits"},
}


@pytest.fixture(params=NAMED)
def archive(request, reference_data, tmp_path):
    """One folder with both triplets, whose spectra do not name their responses rightly."""
    for name in TRIPLETS:
        for file in (reference_data / "chandra" / name[:10]).iterdir():
            shutil.copy(file, tmp_path)
        with fits.open(tmp_path / name, mode="update") as hdus:
            own = NAMED[request.param]
            for hdu in hdus[1:]:
                if hdu.header.get("HDUCLAS1") == "SPECTRUM":
                    hdu.header.update(own)
    return tmp_path


def original(reference_data, name):
    return reference_data / "chandra" / name[:10] / name


def test_each_spectrum_is_read_with_its_own_response(archive, reference_data):
    files = [str(archive / name) for name in TRIPLETS]
    config = IngestConfig(instrument="acis_s", grid="acis")
    rows = read_spectra(files, TRIPLETS, config)
    assert rows["reason"].to_pylist() == ["", ""]
    expected = read_spectra([str(original(reference_data, n)) for n in TRIPLETS], TRIPLETS, config)
    for column in ("counts", "background", "folding_area", "folding_offsets"):
        found, right = (
            each[column].combine_chunks().to_numpy_ndarray() for each in (rows, expected)
        )
        np.testing.assert_array_equal(found, right)
    assert rows["background_scale"].to_pylist() == expected["background_scale"].to_pylist()
    assert min(rows["background_scale"].to_pylist()) > 0


@pytest.mark.parametrize("name", TRIPLETS)
def test_channels_of_the_grid_hold_whole_channels_of_acis(reference_data, name):
    observation = read_observation(original(reference_data, name))
    bins = channel_bins(observation.response.channel_edges_C1, acis_grid())
    held = torch.bincount(bins[bins >= 0], minlength=155)
    assert held.tolist() == [2] * 86 + [4] * 52 + [8] * 17


@pytest.mark.parametrize("name", TRIPLETS)
def test_exposure_and_counts_are_found_again_in_the_form_of_the_multimodal_universe(
    reference_data, name
):
    observation = read_observation(original(reference_data, name)).band(0.5, 8.0)
    assert observation.background is not None
    row = group(
        observation.response.channel_edges_C1.numpy().astype(float),
        observation.spectrum.counts_C.numpy().astype(int),
        observation.background.counts_C.numpy().astype(int),
        float(observation.background_scale),
        observation.exposure_s,
    )
    found = recover(GroupedSpectrum.of(row.low, row.high, row.flux, row.flux_err))
    assert found.exposure_s == pytest.approx(observation.exposure_s, rel=1e-3)
    np.testing.assert_array_equal(found.counts_G, row.counts_G)
    assert found.background_G.sum() == pytest.approx(row.background_G.sum(), abs=0.5)


@pytest.mark.parametrize(
    "name", ["acisf01575/" + TRIPLETS[0], "acisf04487/" + TRIPLETS[1], "low_counts/bubble.pi",
             "low_counts/obs1.pi", "qso/qso.pi"],
)  # fmt: skip
def test_real_responses_of_acis_are_what_the_autoencoder_was_trained_on(reference_data, name):
    model = load_model(pretrained.find("autoencoder", "pretrained")[0])
    batch = read_record(reference_data / "chandra" / name, model.card.spec).batch
    assert model.card.trained is not None
    assert not model.card.trained.other_response(batch).any()
    assert not model.card.trained.other_background(batch).any()


def test_a_grating_is_another_response(reference_data):
    model = load_model(pretrained.find("autoencoder", "pretrained")[0])
    batch = read_record(reference_data / "chandra" / "3c273" / "3c273.pi", model.card.spec).batch
    assert model.card.trained is not None
    assert model.card.trained.other_response(batch).all()
