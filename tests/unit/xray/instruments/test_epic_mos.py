"""EPIC-MOS: its published numbers, and real files of it.

Shapes: E energy, C channel.
"""

from math import exp

import numpy as np
import pytest
import torch
from astropy.io import fits
from tests import event_lists

from wolter.errors import InputError
from wolter.spectra.reading import read_observed
from wolter.xray.imaging.events import read_events
from wolter.xray.instruments import epic_mos, epic_pn
from wolter.xray.instruments import instrument as instruments
from wolter.xray.instruments.pointing import celestial, pixel_sides
from wolter.xray.spectral.response import channel_bins

CAMERAS = ["epic_mos1", "epic_mos2"]
# Transmission above the K edge of oxygen over that below. A micrometre of SiO2, 2.2 g/cm^3, has an
# optical depth of 0.96 below it (oxygen 1,170 cm^2/g for 53.3 % of it, silicon 8,000), and of 3.45
# with the 22,600 above. It is 0.10 micrometres thick over 40 % of a pixel, and 0.76 over the rest,
# where electrodes of silicon let 62 % pass.
OXYGEN_JUMP = (0.40 * exp(-0.345) + 0.60 * 0.62 * exp(-2.62)) / (
    0.40 * exp(-0.096) + 0.60 * 0.62 * exp(-0.73)
)


def at(*energies):
    return torch.tensor(energies, dtype=torch.float64)


def test_gratings_and_front_illumination_leave_less_than_epic_pn_has():
    energy_E = at(0.35, 0.5, 1.0, 1.5, 4.0, 8.0)
    ratio_E = epic_mos.area(energy_E) / epic_pn.area(energy_E)
    assert bool((ratio_E < 0.44).all())
    assert float(ratio_E.argmax()) == 4  # neither electrodes nor depth matter most there
    assert float(ratio_E[4]) > 0.4
    assert float(ratio_E[0]) < 0.2
    assert float(ratio_E[5]) < 0.2


def test_the_quantum_efficiency_jumps_at_the_edges_of_oxygen_and_silicon():
    below_E, above_E = at(0.531, 1.838), at(0.533, 1.840)
    jump_E = epic_mos.quantum_efficiency(above_E) / epic_mos.quantum_efficiency(below_E)
    assert float(jump_E[0]) == pytest.approx(OXYGEN_JUMP, rel=0.03)
    # Electrodes and oxide absorb more, and the depth that records lets fewer photons pass.
    assert 0.88 < float(jump_E[1]) < 0.94
    hard = float(epic_mos.quantum_efficiency(at(6.0)))
    assert hard == pytest.approx(1 - np.exp(-29 / 29.2), rel=0.02)


@pytest.mark.parametrize("name", CAMERAS)
def test_line_widths_are_those_of_the_handbook(name):
    response = instruments.load(name).response(dtype=torch.float64)
    assert (response.n_channels, response.first_channel) == (800, 0)
    for energy, fwhm_kev in [(1.0, 0.070), (1.487, 0.079), (6.0, 0.132)]:
        row_C = response.matrix_EC[int(torch.searchsorted(response.energy_edges_E1, energy)) - 1]
        centre_C = (response.channel_edges_C1[1:] + response.channel_edges_C1[:-1]) / 2
        core_C = row_C * (row_C > 0.05 * row_C.max())  # without shelf and escape peak
        mean = float((core_C * centre_C).sum() / core_C.sum())
        deviation = float(((core_C * (centre_C - mean) ** 2).sum() / core_C.sum()).sqrt())
        assert 2.355 * deviation == pytest.approx(fwhm_kev, rel=0.1)
        assert mean == pytest.approx(energy, abs=0.015)


@pytest.mark.parametrize(
    ("name", "enclosed"), [("epic_mos1", (0.68, 0.83, 0.92)), ("epic_mos2", (0.69, 0.83, 0.93))]
)
def test_energy_within_15_30_and_60_arcsec_is_what_sas_tells(name, enclosed):
    """Table of SAS's eupper, good to 5 % as it says; shares of what falls within 5 arcmin."""
    psf = instruments.load(name).imaging.psf
    found = psf.enclosed(at(15.0, 30.0, 60.0), energy=1.5) / psf.enclosed(at(300.0), energy=1.5)
    assert found.tolist() == pytest.approx(enclosed, abs=0.05)


def test_filters_are_those_of_epic_pn():
    energy_E = at(0.4, 1.0, 5.0)
    ratio_E = epic_mos.area(energy_E, "thick") / epic_mos.area(energy_E)
    torch.testing.assert_close(ratio_E, epic_pn.area(energy_E, "thick") / epic_pn.area(energy_E))
    with pytest.raises(InputError, match="unknown EPIC-pn filter 'open'"):
        epic_mos.area(energy_E, "open")


def test_patterns_up_to_twelve_are_good(tmp_path):
    path = tmp_path / "events.fits"
    change = {"PATTERN": lambda pattern: np.arange(len(pattern)) % 16}
    event_lists.epic_pn(path, 160, change=change, INSTRUME="EMOS1")
    assert len(read_events(path)) == 130
    event_lists.epic_pn(path, 160, change=change, INSTRUME="EMOS1", TELESCOP="ROSAT")
    with pytest.raises(InputError, match="events of ROSAT/EMOS1, whose grades"):
        read_events(path)


def test_detector_pixels_have_a_size_and_the_pointing_is_not_known():
    cards = {
        "TELESCOP": "XMM-Newton", "INSTRUME": "EMOS2", "CTYPE1": "DETX", "CTYPE2": "DETY",
        "CRPIX1": 1, "CRPIX2": 1, "CRVAL1": 0.0, "CRVAL2": 0.0, "CDELT1": 87.0, "CDELT2": 80.0,
        "RA_PNT": 50.0, "DEC_PNT": 41.0, "PA_PNT": 262.0,
    }  # fmt: skip
    assert pixel_sides(fits.Header(cards)) == pytest.approx((4.35, 4))
    assert celestial(fits.Header(cards)) is None


@pytest.fixture(scope="module")
def mn_lup(reference_data):
    return reference_data / "xmm" / "mnlup_mos1"


@pytest.mark.reference
def test_the_area_is_that_of_an_observation(mn_lup):
    """MN Lup, 1.7 arcmin off axis (vignetting 0.965), within 30 arcsec (83 % of the PSF)."""
    table = fits.getdata(mn_lup / "MNLup_2138_0670580101_EMOS1_S001_spec.arf")
    energy_E = torch.from_numpy(((table["ENERG_LO"] + table["ENERG_HI"]) / 2).astype(float))
    real_E = torch.from_numpy(table["SPECRESP"].astype(float))
    ours_E = epic_mos.area(energy_E.clamp(min=0.06), "medium") * 0.83 * 0.965
    edges = [0.3, 0.5, 0.6, 0.8, 1.0, 1.5, 1.83, 2.2, 3.0, 5.0, 7.0, 8.0]
    edges_E1 = np.append(table["ENERG_LO"], table["ENERG_HI"][-1]).astype(float)
    bin_E = channel_bins(edges_E1, edges)
    sums = torch.stack([torch.bincount(bin_E[bin_E >= 0], x[bin_E >= 0]) for x in (ours_E, real_E)])
    ratio = sums[0] / sums[1]
    assert ratio.tolist() == pytest.approx([1.0] * len(ratio), abs=0.08)
    assert float(sums[0].sum() / sums[1].sum()) == pytest.approx(1, abs=0.03)


@pytest.mark.reference
def test_the_background_is_that_of_an_observation(mn_lup):
    """In every band within 98 % of the draws, and within a factor of 2.5 of their median."""
    with fits.open(mn_lup / "MNLup_2138_0670580101_EMOS1_S001_specbg.fits") as hdus:
        counts_C = torch.from_numpy(hdus[1].data["COUNTS"].astype(float))
        exposure_s, backscal = hdus[1].header["EXPOSURE"], hdus[1].header["BACKSCAL"]
    instrument = instruments.load("epic_mos1")
    response = instrument.response("medium")
    generator = torch.Generator().manual_seed(0)
    rate_BC = instrument.draw_backgrounds(response, 500, generator, (1.0, 1.0))
    edges = [0.3, 0.5, 1.0, 1.35, 1.6, 2.0, 3.0, 5.0, 7.0, 9.5]
    bins = channel_bins(response.channel_edges_C1, edges)
    area = backscal * (0.05 / 60) ** 2  # arcmin^2
    for index in range(len(edges) - 1):
        inside_C = bins == index
        seen = float(counts_C[inside_C].sum())
        drawn_B = rate_BC[:, inside_C].sum(1) * exposure_s * area
        noise = 2 * seen**0.5
        assert float(drawn_B.quantile(0.01)) < seen + noise, edges[index]
        assert float(drawn_B.quantile(0.99)) > seen - noise, edges[index]
        assert 0.4 < seen / float(drawn_B.median()) < 2.5, edges[index]


@pytest.mark.reference
def test_an_observation_without_its_rmf_is_read_with_the_embedded_response(mn_lup):
    pha = mn_lup / "MNLup_2138_0670580101_EMOS1_S001_spec.15grp"
    background = mn_lup / "MNLup_2138_0670580101_EMOS1_S001_specbg.fits"
    read = read_observed(pha, background=background, response="embedded", instrument="epic_mos1")
    assert read.response.filter == "Medium"
    assert float(read.spectrum.counts_C.sum()) == 1834
    with pytest.raises(InputError, match=r"XMM EMOS1, .* XMM EPN; ask for instrument epic_mos1"):
        read_observed(pha, background=background, response="embedded")
