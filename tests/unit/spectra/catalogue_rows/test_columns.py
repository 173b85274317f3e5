import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from wolter.errors import InputError
from wolter.spectra.catalogue_rows.columns import CLASSES, read_rows

HEAD = "name,Fcsc_s,e_Fcsc_s,Fcsc_m,e_Fcsc_m,Fcsc_h,e_Fcsc_h"
GOOD = "1e-15,2e-16,3e-15,4e-16,5e-15,6e-16"


def test_values_of_a_row(table):
    path = table(
        f"{HEAD},powlaw_gamma_mean,e_powlaw_gamma_mean,var_intra_prob,var_inter_prob,Class,ra,dec\n"
        f"2CXO J1,{GOOD},1.7,0.2,0.5,,LM-STAR,10,-20\n"
    )
    read = read_rows(path, labelled=True, positions=True)
    rows = read.rows
    assert rows.name_N.tolist() == ["2CXO J1"]
    assert rows.flux_NB.tolist() == [[1e-15, 3e-15, 5e-15]]
    assert rows.error_NB.tolist() == [[2e-16, 4e-16, 6e-16]]
    assert (rows.gamma_N[0], rows.gamma_error_N[0], rows.var_intra_N[0]) == (1.7, 0.2, 0.5)
    assert np.isnan(rows.var_inter_N[0])
    assert CLASSES[rows.class_N[0]] == "LM-STAR"
    assert (rows.ra_N[0], rows.dec_N[0]) == (10, -20)
    assert read.absent == ()
    assert read.rejects == ()


def test_columns_that_are_not_there_are_named(table):
    path = table("name,Fcsc_s,Fcsc_m,Fcsc_h,e_Fcsc_m,e_Fcsc_h\nA,1,1,1,1,1\n")
    with pytest.raises(
        InputError, match=r"no column for error_s \(as e_Fcsc_s\); .*--column error_s="
    ):
        read_rows(path)
    path = table(f"{HEAD}\nA,{GOOD}\n")
    with pytest.raises(InputError, match=r"no column for class .*; ra .*; dec "):
        read_rows(path, labelled=True, positions=True)


def test_optional_columns_that_are_not_there_are_said(table):
    read = read_rows(table(f"{HEAD},var_intra_prob\nA,{GOOD},0.3\n"))
    assert read.absent == ("gamma", "gamma_error", "var_inter")
    assert np.isnan(read.rows.gamma_N).all()


def test_other_names_of_columns(table):
    text = f"{HEAD}\nA,{GOOD}\n".replace("Fcsc_s,", "soft,", 1).replace("Fcsc_h", "FCSC_H")
    read = read_rows(table(text), ["flux_s=soft"])
    assert read.rows.flux_NB.tolist() == [[1e-15, 3e-15, 5e-15]]
    with pytest.raises(InputError, match=r"--column flux_s=sift: .* has no column 'sift'"):
        read_rows(table(text), ["flux_s=sift"])
    with pytest.raises(InputError, match="--column flux=soft: give NAME=COLUMN with NAME of name,"):
        read_rows(table(text), ["flux=soft"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("B,nan,1e-16,1e-15,1e-16,1e-15,1e-16,,,AGN", "flux_s is nan; needed: 0 or more"),
        ("B,1e-15,1e-16,-1e-15,1e-16,1e-15,1e-16,,,AGN", "flux_m is -1e-15"),
        ("B,1e-15,1e-16,1e-15,1e-16,1e-15,0,,,AGN", "error_h is 0; needed: above 0"),
        ("B,1e-15,1e-16,1e-15,,1e-15,1e-16,,,AGN", "error_m is nan"),
        ("B,0,1e-16,0,1e-16,0,1e-16,,,AGN", "no flux in any band"),
        ("B,1e-15,1e-16,1e-15,1e-16,1e-15,1e-16,1.2,,AGN", "var_intra is 1.2"),
        ("B,1e-15,1e-16,1e-15,1e-16,1e-15,1e-16,,-0.1,AGN", "gamma_error is -0.1"),
        ("B,1e-15,1e-16,1e-15,1e-16,1e-15,1e-16,,,GALAXY", "class 'GALAXY' is none of AGN, YSO"),
        ("A,1e-15,1e-16,1e-15,1e-16,1e-15,1e-16,,,AGN", "a source of this name came before"),
    ],
)
def test_a_bad_row_is_rejected_and_the_others_stay(table, row, reason):
    head = f"{HEAD},var_intra_prob,e_powlaw_gamma_mean,Class"
    read = read_rows(table(f"{head}\nA,{GOOD},0.3,0.1,CV\n{row}\n"), labelled=True)
    assert len(read.rows) == 1
    assert CLASSES[read.rows.class_N[0]] == "CV"
    ((name, told),) = read.rejects
    assert name == row[0]
    assert reason in told


def test_a_zero_flux_is_a_measurement(table):
    read = read_rows(table(f"{HEAD}\nA,0,2e-16,3e-15,4e-16,5e-15,6e-16\n"))
    assert read.rows.flux_NB[0, 0] == 0


def test_no_usable_row_is_an_error_with_the_first_reason(table):
    with pytest.raises(InputError, match="none of 1 rows can be used: A: flux_s is -1"):
        read_rows(table(f"{HEAD}\nA,-1,1,1,1,1,1\n"))


def test_rows_without_names_are_numbered(table):
    text = f"{HEAD}\nA,{GOOD}\nB,{GOOD}\n".replace("name,", "").replace("A,", "").replace("B,", "")
    assert read_rows(table(text)).rows.name_N.tolist() == ["row 1", "row 2"]


def test_an_empty_name_is_none_and_many_are_not_one_source(table, tmp_path):
    path = table(f"{HEAD},Class\nA,{GOOD},AGN\n,{GOOD},NS\n,{GOOD},NS\n")
    read = read_rows(path, labelled=True)
    assert read.rejects == ()
    assert read.rows.name_N.tolist() == ["A", "row 2", "row 3"]
    assert read.rows.named_N.tolist() == [True, False, False]
    nan = {"name": [float("nan"), 7.0], **dict.fromkeys(HEAD.split(",")[1:], [1e-15] * 2)}
    pq.write_table(pa.table(nan), tmp_path / "nan.parquet")
    assert read_rows(tmp_path / "nan.parquet").rows.name_N.tolist() == ["row 1", "7.0"]


def test_numbers_of_rows_are_no_names_that_two_tables_share(table):
    named = read_rows(table(f"{HEAD}\nA,{GOOD}\n,{GOOD}\n")).rows
    other = read_rows(table(f"{HEAD}\nB,{GOOD}\n,{GOOD}\nA,{GOOD}\n", "other.csv")).rows
    assert named.also_in(other).tolist() == [True, False]
    assert other.also_in(named).tolist() == [False, False, True]


def test_a_position_off_the_sky_is_none(table):
    path = table(f"{HEAD},ra,dec\nA,{GOOD},10,-20\nB,{GOOD},-999,-999\nC,{GOOD},10,95\n")
    rows = read_rows(path).rows
    assert rows.ra_N[0] == 10
    assert np.isnan([rows.ra_N[1:], rows.dec_N[1:]]).all()
    read = read_rows(path, positions=True)
    assert read.rows.name_N.tolist() == ["A"]
    assert read.rejects[0] == (
        "B", "position is ra -999, dec -999; needed: 0 to 360 and -90 to 90 deg",
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".fits", ".vot"])
def test_fluxes_and_positions_in_other_units_are_converted(tmp_path, suffix):
    pairs = zip(HEAD.split(",")[1:], GOOD.split(","), strict=True)
    columns = {name: np.array([float(x)] * 2) for name, x in pairs}
    columns |= {"ra": np.radians([10.0, 20.0]), "dec": np.array([-30.0, 40.0])}
    written = Table({"name": ["A", "B"]} | columns)
    written["Fcsc_s"] = MaskedColumn(columns["Fcsc_s"] / 1e3, unit="W m-2", mask=[False, True])
    written["e_Fcsc_s"].unit = "mW/m2"
    written["ra"].unit, written["dec"].unit = "rad", "deg"
    written.write(tmp_path / f"rows{suffix}", format="fits" if suffix == ".fits" else "votable")
    rows = read_rows(tmp_path / f"rows{suffix}").rows
    assert len(rows) == 1
    np.testing.assert_allclose(rows.flux_NB, [[1e-15, 3e-15, 5e-15]], rtol=1e-12)
    np.testing.assert_allclose(rows.error_NB, [[2e-16, 4e-16, 6e-16]], rtol=1e-12)
    np.testing.assert_allclose((rows.ra_N[0], rows.dec_N[0]), (10, -30), rtol=1e-12)


@pytest.mark.parametrize("suffix", [".parquet", ".fits", ".vot"])
def test_other_formats_give_the_same_rows(table, tmp_path, suffix):
    names = f"{HEAD},powlaw_gamma_mean,Class".split(",")
    values = [["A", "B"], *[[float(x)] * 2 for x in GOOD.split(",")], [1.5, None], ["AGN", "NS"]]
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table(dict(zip(names, values, strict=True))), path)
    else:
        values[7] = MaskedColumn([1.5, 0], mask=[False, True])
        Table(values, names=names).write(path, format="fits" if suffix == ".fits" else "votable")
    rows = read_rows(path, labelled=True).rows
    assert rows.name_N.tolist() == ["A", "B"]
    assert rows.flux_NB.tolist() == [[1e-15, 3e-15, 5e-15]] * 2
    assert rows.gamma_N[0] == 1.5
    assert np.isnan(rows.gamma_N[1])
    assert [CLASSES[k] for k in rows.class_N] == ["AGN", "NS"]


def test_files_that_are_no_tables(table, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"suffix '.txt'; use one of .csv, .parquet"):
        read_rows(table("a", "rows.txt"))
    with pytest.raises(InputError, match="no readable table"):
        read_rows(table("not a table", "rows.fits"))
    with pytest.raises(InputError, match="a table without rows"):
        read_rows(table(f"{HEAD}\n"))
    with pytest.raises(InputError, match="column Fcsc_s has no numbers"):
        read_rows(table(f"{HEAD}\nA,soft,1,1,1,1,1\n"))
