"""The embedded instruments against the calibration's own files."""

import numpy as np
import pytest
import torch

from wolter.errors import InputError
from wolter.spectra.grid import AREA_EDGES, default_grid
from wolter.spectra.reading import read_record
from wolter.spectra.schema import SpectraSpec
from wolter.xray.emission.components import parse
from wolter.xray.instruments import acis, epic_pn
from wolter.xray.spectral.response import Response, read_response

pytestmark = pytest.mark.reference

MODEL = parse("wabs * (powerlaw + gaussian + bbody)")
PRIOR = {
    "nh": (0.01, 1.0),
    "slope": (1.0, 3.0),
    "pow_norm": (4e-5, 4e-3),
    "line_energy": (5.0, 7.0),
    "line_norm": (1e-6, 5e-5),
    "kt": (0.12, 0.20),
    "bb_norm": (1e-6, 5e-5),
}
BANDS = {"pn": [0.3, 1.0, 2.0, 5.0, 8.0], "acis": [0.5, 1.0, 2.0, 5.0, 8.0]}


def band_counts(response: Response, bands: list[float], n: int = 300) -> np.ndarray:
    generator = torch.Generator().manual_seed(0)
    params = {
        name: low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)
        for name, (low, high) in PRIOR.items()
    }
    flux_BE = MODEL(response.energy_edges_E1, params)
    return response.rebin(bands).to(dtype=torch.float64).fold(flux_BE).numpy()


@pytest.fixture(scope="module")
def calibration(reference_data):
    folder = reference_data / "xmm_instrument"
    return read_response(folder / "epn_e3_ff20_sdY9_v19.0.rmf", folder / "pn_thin_onaxis.arf")


def test_epic_pn_predicts_the_counts_of_the_calibration_over_the_prior(calibration):
    ratio = band_counts(epic_pn.response("thin"), BANDS["pn"]) / band_counts(
        calibration, BANDS["pn"]
    )
    assert np.abs(ratio - 1).max() < 0.025  # the bar is 0.05


def fwhm(response: Response, energy: float) -> float:
    row_C = response.matrix_EC[int(torch.searchsorted(response.energy_edges_E1, energy)) - 1]
    row_C = row_C.double() / response.channel_edges_C1.diff()
    centre_C = (response.channel_edges_C1[1:] + response.channel_edges_C1[:-1]) / 2
    above = (row_C > row_C.max() / 2).nonzero()[:, 0]
    low, high = int(above[0]), int(above[-1])

    def crossing(i: int, j: int) -> float:
        share = (row_C.max() / 2 - row_C[i]) / (row_C[j] - row_C[i])
        return float(centre_C[i] + share * (centre_C[j] - centre_C[i]))

    return crossing(high, high + 1) - crossing(low, low - 1)


@pytest.mark.parametrize("energy", [0.5, 0.7, 1.0, 1.5, 1.9, 2.5, 4.0, 6.4, 9.0, 12.0])
def test_epic_pn_has_the_line_widths_of_the_calibration(calibration, energy):
    ours = fwhm(epic_pn.response("thin"), energy)
    assert ours == pytest.approx(fwhm(calibration, energy), rel=0.05)


def test_medium_filter_agrees_with_a_real_medium_filter_area(reference_data, calibration):
    """NGC 7793's area over the on-axis thin one, scaled to 1 at 3-5 keV (vignetting and PSF)."""
    folder = reference_data / "xmm" / "ngc7793_ulx4"
    real = read_response(folder / "PN.rmf", folder / "PN.arf")
    energy_E = (calibration.energy_edges_E1[1:] + calibration.energy_edges_E1[:-1]) / 2
    real_E = (real.matrix_EC.sum(1) / calibration.matrix_EC.sum(1)).double()
    real_E = real_E / real_E[(energy_E > 3) & (energy_E < 5)].mean()
    ours_E = epic_pn.area(energy_E, "medium") / epic_pn.area(energy_E, "thin")
    for low, high, tolerance in [(0.3, 0.5, 0.1), (0.5, 1.0, 0.03), (1.0, 2.0, 0.03), (2, 5, 0.02)]:
        inside = (energy_E > low) & (energy_E < high)
        assert float((ours_E / real_E)[inside].mean()) == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize(
    ("name", "year"), [("bubble", 2002.4), ("obs1", 2006.25)], ids=["2002", "2006"]
)
def test_acis_s_predicts_the_counts_of_real_responses(reference_data, name, year):
    folder = reference_data / "chandra" / "low_counts"
    real = read_response(folder / f"{name}.rmf", folder / f"{name}.arf")
    ratio = band_counts(acis.response("s", year), BANDS["acis"]) / band_counts(real, BANDS["acis"])
    assert np.abs(ratio.mean(0) - 1).max() < 0.06
    assert np.abs(ratio - 1).max() < 0.12


@pytest.mark.parametrize(
    ("file", "instrument", "within"),
    [
        ("low_counts/bubble.pi", "acis_s", 0.04),
        ("low_counts/obs1.pi", "acis_s", 0.09),
        ("acisf04487/acisf04487_001N023_r0009_pha3.fits.gz", "acis_s", 0.13),
        ("acisf01575/acisf01575_001N001_r0085_pha3.fits.gz", "acis_s", 0.20),
        ("qso/qso.pi", "acis_i", 0.18),  # weighted over an extended region, off axis
    ],
)
def test_spectra_of_the_archive_find_their_year(reference_data, file, instrument, within):
    """Areas of records with the embedded response, 0.8-8 keV, over those with the file's own."""
    spec, pha = SpectraSpec(default_grid()), reference_data / "chandra" / file
    own = read_record(pha, spec, background="none").batch.area_BA[0]
    embedded = read_record(
        pha, spec, background="none", response="embedded", instrument=instrument
    ).batch.area_BA[0]
    middle = np.sqrt(np.multiply(AREA_EDGES[1:], AREA_EDGES[:-1]))
    inside = (middle > 0.8) & (middle < 8)
    ratio = (embedded / own).numpy()[inside]
    assert np.abs(ratio - 1).max() < within


def test_the_embedded_acis_is_without_gratings(reference_data):
    pha = reference_data / "chandra" / "3c273" / "3c273.pi"
    with pytest.raises(InputError, match="taken behind the grating HETG"):
        read_record(pha, SpectraSpec(default_grid()), response="embedded", instrument="acis_s")
