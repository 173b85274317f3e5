import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from tests.unit.spectra.catalogue_rows.conftest import csv_of

from wolter import cli
from wolter.spectra.catalogue_rows.columns import CLASSES

pytestmark = pytest.mark.usefixtures("few_rounds")


@pytest.fixture
def labelled(population, tmp_path):
    return csv_of(population, tmp_path / "labelled.csv")


def test_a_table_of_classes(labelled, population, tmp_path, capsys):
    own = population[np.array([0, 150, 199])]
    own.name_N[1:] = ["new star", "new binary"]
    own.flux_NB[1] *= 0.05
    own.error_NB[1] *= 0.05
    rows, out = csv_of(own, tmp_path / "rows.csv"), tmp_path / "classes.vot"
    with rows.open("a") as stream:
        stream.write("bad,0,0,-1,1,1,1,1,1,,,,,\n")
    assert cli.main(["classify", str(rows), "--train", str(labelled), "-o", str(out)]) == 0
    table = Table.read(out)
    assert table["name"].tolist() == ["source 0", "new star", "new binary"]
    assert table["class"].tolist() == ["AGN", "LM-STAR", "CV"]
    probabilities = [f"p_{name.lower().replace('-', '_')}" for name in CLASSES]
    total = np.sum([table[name] for name in probabilities], 0)
    assert total == pytest.approx(np.ones(3))
    assert np.allclose(table["p_compact"], table["p_cv"])
    assert "in_training" in table["flag"][0].split(";")
    assert "in_training" not in table["flag"][1]
    assert "outside_training:log_flux" in table["flag"][1].split(";")
    assert "missing:var_inter" in table["flag"][2].split(";")
    # a CV is here an AGN ten times as bright
    assert table["evidence_flux"][2] > 1
    assert table["decided_by"][2].startswith("flux +")
    assert pq.read_table(tmp_path / "classes.rejects.parquet").to_pylist() == [
        {"file": "bad", "reason": "flux_s is -1; needed: 0 or more, erg/s/cm^2"}
    ]
    told = capsys.readouterr().out
    assert "rejected bad: flux_s is -1" in told
    assert f"3 sources: {out}" in told
    assert f"1 rejected: {tmp_path / 'classes.rejects.parquet'}" in told


def test_missing_columns_are_one_line_and_exit_code_2(labelled, tmp_path, capsys):
    rows = tmp_path / "rows.csv"
    rows.write_text("name,Fcsc_s\nA,1\n")
    out = tmp_path / "o.csv"
    assert cli.main(["classify", str(rows), "--train", str(labelled), "--out", str(out)]) == 2
    assert "no column for flux_m (as Fcsc_m or" in capsys.readouterr().err
    assert not out.exists()


def test_an_evaluation_with_comparison_and_another_table(labelled, population, tmp_path, capsys):
    other = population[np.arange(0, 200, 4)]
    other.name_N[:] = [f"other {i}" for i in range(len(other))]
    test = csv_of(other, tmp_path / "other.csv")
    lines = ["name," + ",".join(f"P_{name}" for name in CLASSES)]
    for name, k in zip(population.name_N[:150], population.class_N, strict=False):
        lines.append(f"{name}," + ",".join("0.93" if j == k else "0.01" for j in range(8)))
    (tmp_path / "theirs.csv").write_text("\n".join(lines) + "\n")
    words = ["evaluate", "rows", str(labelled), "--test", str(test)]
    words += ["--compare", str(tmp_path / "theirs.csv"), "--folds", "4", "--repeats", "1"]
    words += ["--json", str(tmp_path / "o.json"), "--out", str(tmp_path / "report")]
    assert cli.main(words) == 0
    result = json.loads((tmp_path / "o.json").read_text())
    assert result["xray"]["n"] == 200
    assert result["xray"]["balanced_accuracy"] > 0.9
    assert result["xray"]["recall"].keys() == {"AGN", "LM-STAR", "CV"}
    assert result["other_selection"]["n"] == 50
    assert result["compare"]["theirs"]["n"] == 150
    assert result["compare"]["theirs"]["balanced_accuracy"] == 1
    assert result["compare"]["uses_optical_infrared"] is True
    first = result["compare"]
    assert first["both_right"] + first["only_theirs_right"] == pytest.approx(150)
    page = (tmp_path / "report" / "report.html").read_text()
    for text in ("uses optical/IR", "MUWCLASS 2022", "by field of sky", "Brier"):
        assert text in page
    files = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert {"confusion-xray.png", "confusion-xray-latitude.png", "reliability.png"} <= files
    assert "ours does not" in capsys.readouterr().out


def test_sources_of_the_other_table_are_not_trained_on(labelled, population, tmp_path):
    """All CV of the labelled rows are in the other table, so that none is left to learn from."""
    cv = population[np.flatnonzero(population.class_N == CLASSES.index("CV"))]
    test = csv_of(cv, tmp_path / "other.csv")
    words = ["evaluate", "rows", str(labelled), "--test", str(test), "--folds", "2"]
    words += ["--repeats", "1", "--json", str(tmp_path / "o.json"), "--out", str(tmp_path / "r")]
    assert cli.main(words) == 0
    assert json.loads((tmp_path / "o.json").read_text())["other_selection"]["recall"] == {"CV": 0}


def test_a_comparison_without_common_sources(labelled, tmp_path, capsys):
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("name," + ",".join(f"P_{n}" for n in CLASSES) + "\nX" + ",0.125" * 8 + "\n")
    words = ["evaluate", "rows", str(labelled), "--compare", str(theirs), "--folds", "2"]
    assert cli.main([*words, "--repeats", "1", "--out", str(tmp_path / "r")]) == 2
    assert "no source of the labelled rows" in capsys.readouterr().err
    theirs.write_text("name,P_AGN\nX,1\n")
    assert cli.main([*words, "--repeats", "1", "--out", str(tmp_path / "r")]) == 2
    assert "no column P_YSO, P_LM-STAR" in capsys.readouterr().err
