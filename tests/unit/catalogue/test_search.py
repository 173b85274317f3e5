"""Filters give what numpy gives; orders are fixed; what is no filter is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wolter.catalogue.search import (
    Circle,
    Filter,
    Order,
    _condition,
    by_identifiers,
    search,
    select,
    whole_source,
)
from wolter.errors import InputError


@pytest.fixture(scope="module")
def rows(snapshot):
    return snapshot.query("SELECT * FROM source ORDER BY rowid")


def ids(found):
    return found.rows["source_id"].to_pylist()


COMPARE = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


@settings(max_examples=60)
@given(
    operator=st.sampled_from(list(COMPARE)),
    column=st.sampled_from(["kt", "counts", "ra", "shapes_usable", "source_id"]),
    row=st.integers(0, 2_999),
    limit=st.integers(1, 4_000),
    offset=st.integers(0, 50),
)
def test_comparisons_are_those_of_arrow(snapshot, rows, operator, column, row, limit, offset):
    value = rows[column][row].as_py()
    value = 0 if value is None else value
    expected = rows.filter(COMPARE[operator](rows[column], pa.scalar(value, rows[column].type)))
    filters = [Filter(column, operator, value)]
    found = search(snapshot, filters, select(snapshot, ["source_id"]), limit, offset=offset)
    assert ids(found) == expected["source_id"].to_pylist()[offset : offset + limit]
    assert found.truncated == (len(expected) > offset + limit)


def test_filters_order_and_circle_together(snapshot, rows):
    filters = [Filter.parse("p_agn between 0.2 and 0.7"), Filter.parse("instrument starts XMM")]
    circle = Circle(120.0, -30.0, 40.0)
    found = search(snapshot, filters, snapshot.source.columns, 50, Order("anomaly", True), circle)
    inside, _ = snapshot.positions.within(120.0, -30.0, 40.0)
    expected = rows.take(inside)
    between = pc.and_(
        pc.greater_equal(expected["p_agn"], np.float32(0.2)),
        pc.less_equal(expected["p_agn"], np.float32(0.7)),
    )
    expected = expected.filter(between)
    order = pc.sort_indices(expected, [("anomaly", "descending", "at_end")])
    assert ids(found) == expected.take(order)["source_id"].to_pylist()[:50]
    assert found.truncated == (len(expected) > 50)


def test_nulls_come_last_and_ties_are_fixed(snapshot, rows):
    columns = select(snapshot, ["source_id", "anomaly"])
    for descending in (True, False):
        found = search(snapshot, [], columns, 3_000, Order("anomaly", descending))
        assert found.rows["anomaly"].combine_chunks().is_null().to_pylist()[-500:] == [True] * 500
    tied = search(snapshot, [], columns, 3_000, Order("instrument"))
    assert ids(tied) == rows["source_id"].to_pylist()


@pytest.mark.parametrize(
    ("text", "filter_"),
    [
        ("kt>=1.5", Filter("kt", ">=", 1.5)),
        (" KT <  -2 ", Filter("kt", "<", -2)),
        ("kt between 1 and 2.5", Filter("kt", "between", [1, 2.5])),
        ("name in a, 'b c' ,3", Filter("name", "in", ["a", "b c", 3])),
        ("name = 'WLT J1'", Filter("name", "=", "WLT J1")),
        ("name starts WLT J1", Filter("name", "starts", "WLT J1")),
        ("kt IS NULL", Filter("kt", "null", True)),
        ("kt is not null", Filter("kt", "null", False)),
        ("kt = nan", Filter("kt", "=", pytest.approx(float("nan"), nan_ok=True))),
    ],
)
def test_filters_are_read_as_written(text, filter_):
    assert Filter.parse(text) == filter_


@pytest.mark.parametrize(
    "text", ["", "kt", "kt ~ 1", "kt between 1", "a b = 1", "1; drop table", "kt like 1"]
)
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(InputError, match="write COLUMN OPERATOR VALUE"):
        Filter.parse(text)


@pytest.mark.parametrize(
    ("filters", "line"),
    [
        ([Filter("kt", "<", float("nan"))], "kt: nan; give a finite"),
        ([Filter("kt", "=", float("inf"))], "finite"),
        ([Filter("kt", "=", 10**400)], "finite"),
        ([Filter("kt", "=", True)], "no number"),
        ([Filter("kt", "=", "1")], "no number"),
        ([Filter("kt", "=", None)], "no number"),
        ([Filter("kt", "between", [2, 1])], "lower bound 2 is above the upper 1"),
        ([Filter("kt", ">", 2), Filter("kt", "<=", 1)], "exchange"),
        ([Filter("kt", "between", [1])], "two numbers"),
        ([Filter("kt", "between", 1)], "two numbers"),
        ([Filter("kt", "in", [])], "1 to 10000"),
        ([Filter("kt", "in", [1] * 10_001)], "1 to 10000"),
        ([Filter("kt", "null", 1)], "true or false"),
        ([Filter("kt", "starts", "1")], "operator 'starts'"),
        ([Filter("name", "<", "a")], "operator '<'"),
        ([Filter("name", "=", "a" * 257)], "256 characters"),
        ([Filter("name", "=", ["a"])], "256 characters"),
        ([Filter("name", "in", ["a", "\ud800"])], "256 characters"),
        ([Filter('kt" OR 1=1 --', "=", 1)], "no column"),
        ([Filter("rowid", "=", 1)], "no column"),
        ([Filter("kt", "=", 1)] * 51, "at most 50"),
    ],
)
def test_what_cannot_be_compared_is_refused(snapshot, filters, line):
    with pytest.raises(InputError, match=line):
        search(snapshot, filters, snapshot.source.columns, 10)


@pytest.mark.parametrize("word", ["0670120201", "1.10", "1e3", "1_0", "7"])
def test_text_that_looks_like_a_number_is_compared_as_written(snapshot, word):
    for text in (f"name = {word}", f"name in x, {word}", f"name != {word}"):
        _, values = _condition(snapshot, Filter.parse(text))
        assert values[-1] == word
    _, (number,) = _condition(snapshot, Filter.parse(f"ra >= {word}"))
    assert number == float(word)
    assert type(number) in (int, float)


def test_values_beyond_a_column_are_answered(snapshot):
    columns = select(snapshot, ["source_id"])
    for column, value in (("source_id", 2**70), ("kt", 1e300), ("shapes_usable", 1e10)):
        assert ids(search(snapshot, [Filter(column, ">", value)], columns, 5)) == []
        found = search(snapshot, [Filter(column, "<", value)], columns, 5)
        assert len(found.rows) == 5
    quote = search(snapshot, [Filter("name", "=", "x' OR '1'='1")], columns, 5)
    assert ids(quote) == []


def test_identifiers_come_in_the_order_asked_and_the_missing_are_told(snapshot, rows):
    asked = [10**12 + 5, 7, 10**12, 2**80, 10**12 + 5]
    found, missing = by_identifiers(snapshot, asked, select(snapshot, ["source_id"]))
    assert ids(found) == [10**12 + 5, 10**12, 10**12 + 5]
    assert missing == [7, 2**80]
    found, missing = by_identifiers(snapshot, ["WLT J000002", "x"], snapshot.source.columns)
    assert ids(found) == [10**12 + 2]
    assert missing == ["x"]


def test_a_source_comes_with_all_its_rows(snapshot):
    found = whole_source(snapshot, 10**12 + 9, 100)
    assert list(found) == [
        "source", "detection", "identification", "upper_limit", "shapes", "picture"
    ]  # fmt: skip
    assert [len(each.rows) for each in found.values()] == [1, 1, 0, 0, 1, 0]
    for missing in (1, 2**70):
        with pytest.raises(InputError, match="no source"):
            whole_source(snapshot, missing, 100)


def test_unknown_columns_are_refused_and_repeated_ones_told_once(snapshot):
    assert [c.name for c in select(snapshot, ["ra", "kt", "ra"])] == ["ra", "kt"]
    with pytest.raises(InputError, match="no column 'nope'"):
        select(snapshot, ["nope"])
