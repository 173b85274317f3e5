"""Every spectrum of the reference data is read, or refused with its reason."""

import time
from pathlib import Path

import pytest
import torch

from wolter.errors import InputError
from wolter.xray.spectral.observation import read_observation, read_spectrum
from wolter.xray.spectral.response import read_response, read_rmf

pytestmark = pytest.mark.reference

# File: exposure (s), counts, background counts; None without a background.
READ = {
    "xmm/ngc7793_ulx4/PN.pha": (20265.98, 11526, 1213),
    "xmm/ngc7793_ulx4/PN_spectrum_grp20.fits": (20265.98, 11526, 1213),
    "chandra/acisf01575/acisf01575_001N001_r0085_pha3.fits.gz": (37664.16, 855, 303),
    "chandra/acisf04487/acisf04487_001N023_r0009_pha3.fits.gz": (29715.73, 389, 77),
    "chandra/3c273/3c273.pi": (38564.61, 736, 216),
    "chandra/qso/qso.pi": (29800.21, 3688, 116),
    "chandra/qso/qso_bkg.pi": (29800.21, 116, None),  # it names responses of its own
    "chandra/low_counts/bubble.pi": (34397.97, 43, 825),
    "chandra/low_counts/obs1.pi": (43933.42, 54, 44),
}
# Spectra without a response: counts, and what the refusal says.
REFUSED = {
    "xmm/mnlup_mos1/MNLup_2138_0670580101_EMOS1_S001_spec.15grp": (
        1834,
        r"its RMF MNLup_.*_spec\.rmf \(RESPFILE\) is not beside it; give --rmf FILE",
    ),
    "xmm/mnlup_mos1/MNLup_2138_0670580101_EMOS1_S001_specbg.fits": (2880, "names no RMF"),
    "xmm/ngc7793_ulx4/PNbackground_spectrum.fits": (1213, "names no RMF"),
    "chandra/3c273/3c273_bg.pi": (216, "names no RMF"),
    "chandra/low_counts/bubble_bg.pi": (825, "names no RMF"),
    "chandra/low_counts/obs1_bg.pi": (44, "names no RMF"),
    "xmm_instrument/pntffg_spectrum.ds": (11942203, "names no RMF"),
}


def test_the_lists_are_complete(reference_data):
    """Every FITS file either is a spectrum of the lists above or is refused as none."""
    files = {
        path.relative_to(reference_data).as_posix()
        for folder in ("xmm", "chandra", "xmm_instrument")
        for path in (reference_data / folder).rglob("*")
        if path.is_file()
    }
    assert READ.keys() | REFUSED.keys() <= files
    for name in sorted(files - READ.keys() - REFUSED.keys()):
        with pytest.raises(InputError, match=r"PHA file|no binary table|not a FITS file"):
            read_spectrum(reference_data / name)


@pytest.mark.parametrize("name", READ)
def test_read(reference_data, name):
    exposure, counts, background = READ[name]
    observation = read_observation(reference_data / name)
    assert observation.exposure_s == pytest.approx(exposure, abs=0.01)
    assert observation.spectrum.counts_C.sum() == counts
    if background is None:
        assert observation.background is None
    else:
        assert observation.background.counts_C.sum() == background
        assert 0 < observation.background_scale < 1
    response = observation.response
    first = 0 if name.startswith("xmm") else 1
    assert response.first_channel == observation.spectrum.first_channel == first
    # Largest effective areas of one telescope: 1,200 cm^2 for EPIC-pn, 750 for ACIS.
    assert 100 < response.matrix_EC.sum(1).max() < 1300
    assert torch.isfinite(response.matrix_EC).all()
    expected = observation.expected_counts(torch.full((response.n_energies,), 1e-7))
    assert 0 < expected.sum() < 1e5


@pytest.mark.parametrize("name", REFUSED)
def test_refused(reference_data, name):
    counts, message = REFUSED[name]
    path = reference_data / name
    assert read_spectrum(path).counts_C.sum() == counts
    with pytest.raises(InputError, match=message) as caught:
        read_observation(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_mn_lup_with_a_wrong_rmf(reference_data):
    """Another instrument's RMF has neither its channels nor the energies of its ARF."""
    folder = reference_data / "xmm" / "mnlup_mos1"
    pha = folder / "MNLup_2138_0670580101_EMOS1_S001_spec.15grp"
    rmf = reference_data / "xmm/ngc7793_ulx4/PN.rmf"
    with pytest.raises(InputError, match=r"800 channels from 0, .*PN\.rmf has 4096 from 0"):
        read_observation(pha, rmf=rmf)
    with pytest.raises(InputError, match=r"spec\.arf: energies .* differ from .*PN\.rmf"):
        read_response(rmf, pha.with_suffix(".arf"))


def test_grouped_spectrum_of_the_ultraluminous_source(reference_data):
    observation = read_observation(reference_data / "xmm/ngc7793_ulx4/PN_spectrum_grp20.fits")
    grouped = observation.grouped()
    assert grouped.response.n_channels == 114
    assert grouped.spectrum.counts_C.min() >= 20
    assert grouped.spectrum.counts_C.sum() == 11526
    band = grouped.band(0.3, 10)
    assert band.spectrum.counts_C.sum() == 11163


def test_energies_start_above_zero_everywhere(reference_data):
    for path in [*reference_data.rglob("*.rmf"), *reference_data.rglob("*.wrmf")]:
        edges = read_rmf(path).energy_edges_E1
        assert edges[0] > 0


def test_a_large_matrix_is_read_quickly(reference_data):
    folder = Path(reference_data) / "xmm" / "ngc7793_ulx4"
    seconds = []
    for _ in range(3):
        start = time.process_time()
        read_response(folder / "PN.rmf", folder / "PN.arf")
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1.0  # 0.15 s measured
