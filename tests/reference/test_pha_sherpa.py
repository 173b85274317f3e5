"""Files written here mean the same to Sherpa; real files mean the same to both."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wolter.xray.ogip.pha import Spectrum
from wolter.xray.spectral.observation import group_min_counts, read_observation, write_spectrum
from wolter.xray.spectral.response import Response
from wolter.xray.spectral.writing import write_response

pytestmark = [pytest.mark.reference, pytest.mark.peers]


def write_set(folder, observation):
    """Spectrum, background and response of an observation, naming each other."""
    source = replace(observation.spectrum, respfile="r.rsp", ancrfile="", backfile="b.pha")
    write_spectrum(folder / "s.pha", source)
    write_spectrum(folder / "b.pha", observation.background, "background")
    write_response(folder / "r.rsp", observation.response)
    return folder / "s.pha"


@pytest.mark.parametrize(
    "name",
    [
        "xmm/ngc7793_ulx4/PN_spectrum_grp20.fits",
        "chandra/acisf01575/acisf01575_001N001_r0085_pha3.fits.gz",
    ],
)
def test_sherpa_reads_back_what_is_written(reference_data, tmp_path, name):
    from sherpa.astro import io

    observation = read_observation(reference_data / name)
    data = io.read_pha(str(write_set(tmp_path, observation)))
    spectrum, background = observation.spectrum, data.get_background()
    np.testing.assert_array_equal(data.counts, spectrum.counts_C)
    np.testing.assert_array_equal(background.counts, observation.background.counts_C)
    assert data.channel[0] == spectrum.first_channel
    assert (data.exposure, data.backscal) == (spectrum.exposure_s, spectrum.backscale)
    assert data.get_background_scale(1) == pytest.approx(observation.background_scale, rel=1e-12)
    flux_E = torch.linspace(1, 2, observation.response.n_energies)
    theirs = data.get_rmf().apply_rmf(flux_E.double().numpy()) * data.exposure
    np.testing.assert_allclose(theirs, observation.expected_counts(flux_E), rtol=1e-5)
    assert data.grouped == (spectrum.grouping_C is not None)


@pytest.mark.parametrize("minimum", [None, 50])
def test_sherpa_groups_alike(reference_data, tmp_path, minimum):
    from sherpa.astro import io

    observation = read_observation(reference_data / "xmm/ngc7793_ulx4/PN_spectrum_grp20.fits")
    if minimum is not None:
        spectrum = group_min_counts(observation.spectrum, minimum)
        observation = replace(observation, spectrum=spectrum)
    data = io.read_pha(str(write_set(tmp_path, observation)))
    data.ignore_bad()
    grouped = observation.grouped()
    np.testing.assert_array_equal(data.get_dep(filter=True), grouped.spectrum.counts_C)
    theirs = data.apply_filter(data.get_background().counts, groupfunc=np.sum)
    np.testing.assert_array_equal(theirs, grouped.background.counts_C)


def test_scales_by_channel_mean_the_same(tmp_path):
    from sherpa.astro import io

    response = Response(
        torch.linspace(1, 5, 5).double(), torch.eye(4), torch.linspace(1, 5, 5).double(), 1
    )
    source = Spectrum(
        torch.tensor([5.0, 6, 7, 8]).double(),
        100.0,
        backscale=torch.tensor([1.0, 2, 1, 2]).double(),
        areascale=torch.tensor([1.0, 1, 0.5, 0.5]).double(),
        first_channel=1,
        respfile="r.rsp",
        backfile="b.pha",
    )
    background = Spectrum(torch.ones(4).double(), 300.0, 4.0, 32.44, first_channel=1)
    write_response(tmp_path / "r.rsp", response)
    write_spectrum(tmp_path / "s.pha", source)
    write_spectrum(tmp_path / "b.pha", background, "background")
    data = io.read_pha(str(tmp_path / "s.pha"))
    ours = read_observation(tmp_path / "s.pha").background_scale
    expected = 100 * np.array([1, 2, 0.5, 1]) / (300 * 4 * 32.44)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    np.testing.assert_allclose(data.get_background_scale(1, units="counts"), expected, rtol=1e-12)
