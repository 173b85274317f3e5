import numpy as np
import pytest
import torch

from wolter.registry.checkpoint import load_model
from wolter.spectra.predict import predict_files, predict_to_file, to_batch
from wolter.xray.spectral.observation import read_observation, read_spectrum
from wolter.xray.spectral.response import read_response

pytestmark = pytest.mark.reference


@pytest.fixture
def folder(reference_data):
    return reference_data / "xmm" / "ngc7793_ulx4"


@pytest.mark.parametrize("family", ["mlp", "cnn", "deepspectra"])
def test_real_spectrum_by_explicit_rebinning(folder, untrained, family):
    """The table's numbers are the network's on counts that numpy summed by channel energy."""
    model = load_model(untrained(family))
    edges = np.array(model.card.spec.energy_edges)
    channel_edges = read_response(folder / "PN.rmf", folder / "PN.arf").channel_edges_C1.numpy()
    centres = (channel_edges[:-1] + channel_edges[1:]) / 2

    def binned(name, role="total"):
        counts = read_spectrum(folder / name, role).counts_C.numpy()
        return torch.from_numpy(np.histogram(centres, edges, weights=counts)[0]).float()[None]

    pha = folder / "PN_spectrum_grp20.fits"
    batch = to_batch([read_observation(pha)], model.card.spec)
    assert torch.equal(batch.counts_BC, binned(pha.name))
    assert torch.equal(batch.background_BC, binned("PNbackground_spectrum.fits", "background"))
    assert batch.background_scale_B.item() == pytest.approx(2010100 / 6866200)
    assert batch.exposure_B.item() == pytest.approx(20265.98)

    table = predict_files(model, [pha])
    with torch.inference_mode():
        values = model.family.predict(model.module, batch)
    for name in model.card.spec.names:
        assert table[name][0] == values[name].item()
        assert table[f"{name}_mfe"][0] == values[f"{name}_mfe"].item()
    assert table["counts"][0] == batch.counts_BC.sum().item()
    flags = table["flag"][0].split(";")
    # It has learnt flat spectra alone.
    assert {flag for flag in flags if not flag.startswith("at_prior_edge")} == {"anomalous"}


def test_given_files_replace_those_of_the_header(folder, untrained):
    model = load_model(untrained("mlp"))
    named = predict_files(model, [folder / "PN.pha"])
    given = predict_files(
        model,
        [folder / "PN.pha"],
        rmf=folder / "PN.rmf",
        arf=folder / "PN.arf",
        background=folder / "PNbackground_spectrum.fits",
    )
    assert named["nh"][0] == given["nh"][0]


def test_embedded_response_puts_counts_in_the_same_bins(folder, untrained):
    model = load_model(untrained("mlp"))
    own = predict_files(model, [folder / "PN.pha"])
    embedded = predict_files(model, [folder / "PN.pha"], response="embedded")
    # Its channels are 5 eV wide throughout, those of the real RMF only on average.
    assert embedded["counts"][0] == pytest.approx(own["counts"][0], rel=0.01)


def test_every_archive_spectrum_is_predicted_or_rejected(reference_data, untrained, tmp_path):
    model = load_model(untrained("mlp"))
    files = [
        reference_data / "chandra" / name
        for name in (
            "3c273/3c273.pi",
            "acisf01575/acisf01575_001N001_r0085_pha3.fits.gz",
            "low_counts/bubble.pi",
            "low_counts/obs1.pi",
        )
    ]
    lacking = reference_data / "xmm" / "mnlup_mos1"
    files.append(lacking / "MNLup_2138_0670580101_EMOS1_S001_spec.15grp")
    written = predict_to_file(model, files, tmp_path / "out.parquet")
    assert written.rows == 4
    ((rejected, reason),) = written.rejects
    assert rejected.endswith(".15grp")
    assert "RMF" in reason
    table = predict_files(model, files[:1])
    assert "other_instrument:CHANDRA/ACIS" in table["flag"][0]
