"""Spectra that follow the rows of a catalogue."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wolter.data.split import name_keys
from wolter.errors import InputError
from wolter.spectra.catalogue_rows.columns import read_rows
from wolter.spectra.population.classes import NAMES
from wolter.spectra.population.rows import counts, errors, fit_errors
from wolter.spectra.population.selection import signal_to_noise
from wolter.spectra.population.semi_real import SemiRealSimulator
from wolter.spectra.population.write import SemiReal
from wolter.spectra.simulate import shard_table

TEMPLATES = 1024
HEAD = (
    "name,ra,dec,Fcsc_s,e_Fcsc_s,Fcsc_m,e_Fcsc_m,Fcsc_h,powlaw_gamma_mean,e_powlaw_gamma_mean,"
    "e_Fcsc_h,var_intra_prob,var_inter_prob,Class"
)
GOOD = {
    "a quasar": "a quasar,1,2,1e-14,1e-15,9e-15,1e-15,3e-14,1.9,0.2,4e-15,0.3,0.9,AGN",
    "a star": "a star,1,2,2e-14,1e-15,4e-15,5e-16,2e-15,,,8e-16,,,LM-STAR",
    "a young one": "a young one,1,2,2e-15,4e-16,6e-15,6e-16,2.4e-14,,,3e-15,0.99,1.0,YSO",
    "a binary": "a binary,1,2,2e-15,9e-16,2e-14,2e-15,4e-13,1.0,0.1,2e-14,0.9,,HMXB",
    "unseen when hard": "unseen when hard,1,2,9e-15,9e-16,2e-15,4e-16,8e-18,,,6e-18,,,LM-STAR",
}
BAD = {
    "another class": ("another class,1,2,1e-14,1e-15,9e-15,1e-15,3e-14,,,4e-15,,,QSO", "class"),
    "no flux": ("no flux,1,2,,1e-15,9e-15,1e-15,3e-14,,,4e-15,,,AGN", "flux_s is nan"),
    "no error": ("no error,1,2,1e-14,0,9e-15,1e-15,3e-14,,,4e-15,,,AGN", "error"),
    "faint": ("faint,1,2,1e-15,9e-16,1e-15,9e-16,3e-15,,,3e-15,,,AGN", "fewer than 20 counts"),
    "nowhere": ("nowhere,1,2,1e-13,1e-15,1e-15,1e-16,1e-11,,,1e-13,,,LM-STAR", "no template"),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    file.write_text("\n".join([HEAD, *GOOD.values(), *(line for line, _ in BAD.values())]) + "\n")
    return file


@pytest.fixture(scope="module")
def semi_real(config, table) -> SemiReal:
    return SemiReal(config, table, 300, TEMPLATES)


@pytest.fixture(scope="module")
def batch(semi_real):
    return semi_real.simulator.draw(1, 0)


def row_of(semi_real, batch):
    return semi_real.simulator.rows_of(np.arange(len(batch)))


def test_rows_that_cannot_be_followed_are_rejected_with_the_reason(semi_real):
    assert set(semi_real.simulator.rows.name_N) == set(GOOD)
    assert semi_real.n == 300 * len(GOOD)
    reasons = dict(semi_real.rejects)
    assert set(reasons) == set(BAD)
    for name, (_, reason) in BAD.items():
        assert reason in reasons[name]


def test_band_fluxes_follow_the_row_within_its_errors(semi_real, batch):
    rows, at = semi_real.simulator.rows, row_of(semi_real, batch)
    names = semi_real.simulator.spec.names
    flux_B3 = batch.parameters_BP[:, [names.index(f"flux_{band}") for band in "smh"]].numpy()
    chi2 = (((flux_B3 - rows.flux_NB[at]) / fit_errors(rows)[at]) ** 2).sum(1)
    assert np.median(chi2) < 4
    assert np.quantile(chi2, 0.9) < 10
    for r in range(len(rows)):
        of_row = flux_B3[at == r]
        assert len(np.unique(of_row[:, 2])) > 5  # not one template for all


def test_counts_follow_the_errors_of_the_row(semi_real, batch):
    wanted = counts(semi_real.simulator.rows)[row_of(semi_real, batch)]
    expected = batch.expected_BKC.sum((1, 2)).numpy()
    assert np.median(expected / wanted) == pytest.approx(1, abs=0.02)
    ratio = signal_to_noise(batch.counts_BC, batch.background_BC, batch.background_scale_B)
    assert ratio.min() >= 5


def test_counts_of_a_band_without_detection_are_not_those_of_a_filled_in_number(semi_real):
    rows = semi_real.simulator.rows
    at = rows.name_N.tolist().index("unseen when hard")
    assert errors(rows)[at, 2] > 10 * rows.error_NB[at, 2]
    assert counts(rows)[at] == pytest.approx(100 + 25, rel=0.02)


def test_features_are_the_real_rows(semi_real, batch):
    rows, at = semi_real.simulator.rows, row_of(semi_real, batch)
    names = semi_real.simulator.spec.catalogue
    for column, values in (
        ("log_flux_s", np.log10(rows.flux_NB[:, 0])),
        ("log_error_h", np.log10(rows.error_NB[:, 2])),
        ("gamma", rows.gamma_N),
        ("var_inter_prob", rows.var_inter_N),
    ):
        got = batch.catalogue_BX[:, names.index(column)].numpy()
        np.testing.assert_allclose(got, values[at], rtol=1e-5)
    star, young = (rows.name_N.tolist().index(name) for name in ("a star", "a young one"))
    assert batch.catalogue_BX[at == star, -1].isnan().all()
    assert torch.equal(batch.class_B.long(), torch.from_numpy(rows.class_N[at]))
    assert NAMES[rows.class_N[young]] == "YSO"


def test_splits_are_by_real_source(semi_real):
    table = shard_table(semi_real.simulator, 1, 0, 12)
    names = table["source_id"].to_pylist()
    assert names[:5] == names[5:10] == semi_real.simulator.rows.name_N.tolist()
    assert table["split_key"].to_pylist() == name_keys(names).tolist()
    other_seed = shard_table(semi_real.simulator, 2, 0, 12)
    assert other_seed["split_key"] == table["split_key"]
    assert other_seed["counts"] != table["counts"]


def test_a_block_depends_on_rows_seed_and_number_alone(config, table, batch):
    again = SemiRealSimulator(config, read_rows(table, labelled=True).rows, TEMPLATES).draw(1, 0)
    assert torch.equal(again.counts_BC, batch.counts_BC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD.replace("Class", "kind") + "\n" + GOOD["a star"] + "\n", "no column for class"),
        (HEAD + "\n" + BAD["faint"][0] + "\n", "none of the rows can be followed"),
    ],
)
def test_a_bad_table_is_refused(config, tmp_path, text, said):
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        SemiReal(config, file, 1, TEMPLATES)


def test_no_repeats_are_refused(config, table):
    with pytest.raises(InputError, match="repeats = 0"):
        SemiReal(config, table, 0)
