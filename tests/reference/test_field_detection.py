"""Spectra of the field whose components are detected, and whose AREASCAL is not 1."""

import pytest

from wolter.registry.checkpoint import load_model
from wolter.registry.pretrained import find
from wolter.spectra.check_files import check_files
from wolter.spectra.predict import predict_files

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def field(reference_data):
    folder = reference_data.parent / "field" / "spectra" / "60_epic_pn"
    if not folder.is_dir():
        pytest.skip(f"inputs of the field not found at {folder}")
    return folder


def pretrained(family):
    return load_model(find(family, "pretrained")[0])


def flags_of(table):
    return [set(row["flag"].split(";")) for row in table]


def test_a_faint_power_law_is_detected_by_network_and_likelihood(field):
    files = [field / "faint_0.0001.pha", field / "faint_6e-05.pha"]
    posterior, mlp = pretrained("posterior"), pretrained("mlp")
    found = flags_of(predict_files(posterior, files, response="embedded"))
    found += flags_of(check_files(mlp, files, response="embedded"))
    for flags in found:
        assert "not_detected:pow_norm" not in flags
        # Neither the embedded response nor a missing background is what they were trained on.
        assert {"response_outside_training", "background_outside_training"} <= flags


@pytest.mark.parametrize(("family", "rel"), [("posterior", 0.03), ("deepspectra", 0.05)])
def test_areascale_reaches_the_networks(field, family, rel):
    files = [field / "area_0.3.pha", field / "area_1.pha"]
    table = predict_files(pretrained(family), files, response="embedded")
    assert list(table["pow_norm"]) == pytest.approx([1e-3, 1e-3], rel=rel)
    assert list(table["exposure_s"]) == [25e3, 25e3]


def test_areascale_reaches_the_exact_posterior(field):
    (row,) = check_files(
        pretrained("posterior"), [field / "area_0.3.pha"], response="embedded", refined=True
    )
    assert row["pow_norm"] == pytest.approx(1e-3, rel=0.05)
    assert row["pow_norm_lolim"] < 1e-3 < row["pow_norm_hilim95"]
    assert {"refined", "response_outside_training"} <= set(row["flag"].split(";"))


def test_real_spectra_of_the_recipe_are_within_training(reference_data):
    pha = reference_data / "xmm" / "ngc7793_ulx4" / "PN.pha"
    for family in ("posterior", "deepspectra"):
        (flags,) = flags_of(predict_files(pretrained(family), [pha]))
        assert not {"response_outside_training", "background_outside_training"} & flags


@pytest.mark.parametrize("name", ["3c273/3c273.pi", "qso/qso.pi", "low_counts/bubble.pi"])
def test_other_instruments_are_told_and_have_no_zero_widths(reference_data, name):
    model = pretrained("posterior")
    table = predict_files(model, [reference_data / "chandra" / name])
    (flags,) = flags_of(table)
    assert {"response_outside_training", "background_outside_training"} <= flags
    assert ("few_counts" in flags) == (name == "low_counts/bubble.pi")
    for p in model.card.spec.parameters:
        width = table[f"{p.name}_hilim"][0] - table[f"{p.name}_lolim"][0]
        assert width > 5e-5 * (p.high - p.low), p.name
