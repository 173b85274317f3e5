"""Keywords, columns and bins of OGIP files, at both sides of what is accepted."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from wolter.errors import InputError
from wolter.xray.ogip import tables

PATH = Path("a.fits")


def header(value):
    return {"KEY": value}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (3, 3.0), (2.5, 2.5), ("2.5", 2.5), (" 1.5D3 ", 1500.0), ("1e2", 100.0), (None, None),
        ("", None), ("  ", None), (0, 0.0),
    ],
)  # fmt: skip
def test_numbers_also_as_text(value, read):
    assert tables.number(PATH, header(value), "KEY") == read
    assert tables.number(PATH, {}, "KEY") is None


@pytest.mark.parametrize("value", ["five", True, False, 2 + 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match=r"a\.fits: KEY .* is not a number; correct the keyword"):
        tables.number(PATH, header(value), "KEY")


def test_a_number_beyond_all_is_refused():
    with pytest.raises(InputError, match="KEY is too large"):
        tables.number(PATH, header(10**400), "KEY")


@pytest.mark.parametrize("value", [0, -1, 2**31 - 1, 1 - 2**31, 7.0, "12"])
def test_whole_numbers(value):
    assert tables.whole_number(PATH, header(value), "KEY") == int(value)
    assert tables.whole_number(PATH, header(None), "KEY") is None


@pytest.mark.parametrize(
    "value", [2**31, -(2**31), 0.5, 2.4, 2.6, float("inf"), float("nan"), 1e300]
)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InputError, match="is not a whole number"):
        tables.whole_number(PATH, header(value), "KEY")


@pytest.mark.parametrize("value", ["", "NONE", "none", " Null ", "n/a", "unknown"])
def test_no_name_is_said_in_many_ways(value):
    assert tables.text(header(value), "KEY") == ""
    assert tables.text({}, "KEY") == ""
    assert tables.text(header(" a.rmf "), "KEY") == "a.rmf"


def joined(low, high, **options):
    return tables.edges(PATH, np.array(low, float), np.array(high, float), "bins", **options)


def test_bins_become_edges():
    assert joined([1, 2, 3], [2, 3, 5]).tolist() == [1, 2, 3, 5]
    assert joined([1], [2]).tolist() == [1, 2]
    assert joined([1, 2, 2], [2, 2, 5]).tolist() == [1, 2, 2, 5]  # of no width


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ([], [], "no bins"),
        ([1, np.nan], [2, 3], "not finite"),
        ([1, 2], [np.nan, 3], "not finite"),
        ([1, 2], [2, np.inf], "not finite"),
        ([1, 3, 2.5], [3, 2.5, 4], r"do not ascend at row 2 \(3 keV\)"),
        ([1, 2, 9], [2, 9, 4], r"do not ascend at row 3 \(9 keV\)"),
        ([2, 1], [1, 3], "do not ascend at row 1"),
        ([1, 1.5, 1.2], [1.5, 1.2, 2], r"do not ascend at row 2 \(1\.5 keV\)"),
    ],
)
def test_bins_that_make_no_edges(low, high, message):
    with pytest.raises(InputError, match=message):
        joined(low, high)


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_may_differ_by_a_thousandth_of_a_bin_and_rounding(sign):
    """At 2 keV after a bin of 1 keV: 1e-3 of the width and 1e-5 of the energy."""
    low, high = [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]
    for apart, good in ((0.00101, True), (0.00103, False)):
        moved = [high[0] + sign * apart, *high[1:]]
        if good:
            assert joined(low, moved).tolist() == [1, 2, 3, 4]
        else:
            with pytest.raises(InputError, match="gap or overlap after row 1"):
                joined(low, moved)
        assert joined(low, moved, gaps=True).tolist() == [1, 2, 3, 4]
    # The second of bins of other widths, by its own width.
    with pytest.raises(InputError, match="gap or overlap after row 2"):
        joined([1.0, 101.0, 101.1], [101.0, 101.1 + 0.01, 102.0])
    # Rounding is of the energy where bins meet, here 1000 keV.
    low, high = [1.0, 2.0, 1000.0, 1000.001], [2.0, 1000.0, 1000.006, 1001.0]
    assert joined(low, high).tolist() == [*low, 1001.0]
    high[2] = 1000.012
    with pytest.raises(InputError, match="gap or overlap after row 3"):
        joined(low, high)


def table(**columns):
    made = [fits.Column(name, form, array=values) for name, (form, values) in columns.items()]
    return fits.BinTableHDU.from_columns(made, name="T")


def test_columns_of_one_number_a_row():
    hdu = table(A=("J", [1, 2]), B=("2D", [[1.0, 2], [3, 4]]), C=("3A", ["a", "b"]))
    assert tables.vector(PATH, hdu, "A").tolist() == [1, 2]
    assert tables.column(PATH, hdu, "B").shape == (2, 2)
    assert tables.column(PATH, hdu, "A").dtype == np.float64
    with pytest.raises(InputError, match="column B holds 2 numbers a row; expected 1"):
        tables.vector(PATH, hdu, "B")
    with pytest.raises(InputError, match="column C of T is not numeric"):
        tables.column(PATH, hdu, "C")


def test_tables_are_found_by_their_columns():
    one, two = table(A=("J", [1]), b=("J", [1])), table(A=("J", [1]))
    assert tables.with_columns([one, two], "A", "B") == [one]
    assert tables.with_columns([one, two], "A") == [one, two]
    assert tables.columns(one) == ["A", "B"]
    one.header["TLMIN2"] = 7
    assert tables.column_minimum(PATH, one, "B") == 7
    assert tables.column_minimum(PATH, one, "A") is None


def test_files_beside_a_file(tmp_path):
    for name in ("a.rmf", "b.arf.gz", "c[1].pha", "d.pha", "sub.pha"):
        (tmp_path / name).write_bytes(b"")
    own = tmp_path / "own.pha"
    found = {
        "a.rmf": "a.rmf", "a.rmf.gz": "a.rmf", "b.arf": "b.arf.gz", "b.arf.gz": "b.arf.gz",
        "c[1].pha": "c[1].pha", "d.pha[SPECTRUM]": "d.pha", "d.pha{3}": "d.pha",
        "/far/away/sub.pha": "sub.pha", " a.rmf ": "a.rmf",
    }  # fmt: skip
    for named, file in found.items():
        assert tables.beside(own, named) == tmp_path / file
    for named in ("none.rmf", "x" * 5000, "a\0b", "."):
        assert tables.beside(own, named) is None
