"""Small spectra that went wrong in the field, with the right values (../shared/field)."""

import shutil

import pytest
import torch
from tests.readers import read_by_all

from wolter.errors import InputError
from wolter.xray.spectral.observation import read_observation

pytestmark = pytest.mark.reference

READ = [
    "00_good",
    "02_first_bin_differs",
    "10_arf_unit_counts_per_photon",
    "27_detchans_blank",
    "29_undefined_backscal",
    "30_trailing_bytes",
    "31_extname_other",
    "32_nonascii_comment",
    "40_background_up_down",
]

WRONG = [
    ("03_no_arf_detector", r"no ARF.*HDUCLAS3 DETECTOR.*pass its ARF"),
    ("04_no_arf_no_class", r"no ARF.*no HDUCLAS3.*pass its ARF"),
    ("33_unparsable_backscal", r"keyword BACKSCAL cannot be read; correct"),
    ("41_poisserr_false_fractional", r"fractional counts .*POISSERR"),
]


@pytest.fixture(scope="module")
def field(reference_data):
    folder = reference_data.parent / "field" / "spectra"
    if not folder.is_dir():
        pytest.skip(f"inputs of the field not found at {folder}")
    return folder


@pytest.mark.parametrize("name", READ)
def test_what_is_right_is_read_with_the_same_numbers(field, name):
    observation = read_observation(field / name / "src.pha")
    spectrum = observation.spectrum
    assert spectrum.counts_C.sum() == 700
    assert (spectrum.n_channels, spectrum.backscale, spectrum.areascale) == (100, 1, 1)
    # 1e-2 photon/cm^2/s in each bin, 100 cm^2, 10 ks.
    expected_C = observation.expected_counts(torch.full((100,), 1e-2))
    torch.testing.assert_close(expected_C, torch.full((100,), 10_000.0))


def test_the_background_of_a_grating_is_both_its_sides(field):
    observation = read_observation(field / "40_background_up_down" / "src.pha")
    assert observation.background.counts_C.tolist() == [20] * 100
    assert observation.background_scale == 1 / 8
    assert (observation.background.counts_C * observation.background_scale).tolist() == [2.5] * 100


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_what_is_wrong_is_named(field, name, message):
    with pytest.raises(InputError, match=message) as caught:
        read_observation(field / name / "src.pha")
    assert str(field / name / "src.pha") in str(caught.value)
    assert "fetch it again" not in str(caught.value)


@pytest.mark.parametrize("name", [*READ, *(name for name, _ in WRONG)])
def test_all_readers_agree(field, tmp_path, name):
    for file in (field / name).iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    answers = list(read_by_all(tmp_path / "src.pha").values())
    if name in READ:
        assert [float(counts.sum()) for counts in answers] == [679] * 4  # 0.3 to 10 keV
        return
    said = {str(answer).replace(f"{tmp_path}/", "") for answer in answers}
    assert len(said) == 1
    assert said.pop().startswith("src.pha: ")
